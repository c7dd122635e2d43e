"""Predictions that are too large for a repository: kept elsewhere under their SHA-256, fetched to recompute with.

`python -m leaderboard.elsewhere FOLDER --to PLACE` moves those of a folder of records there.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from leaderboard import past
from leaderboard.predictions import AnyPredictions, parse_predictions, read_bytes
from leaderboard.record import PredictionsInfo, Record
from leaderboard.shelf import PREDICTIONS, NoFile, above, beside, read, read_all

ADDRESS = "predictions.toml"
"""A file whose ``address`` says where predictions of records below its folder lie, ``{sha256}`` in the place of theirs:
a URL, or a path that counts from that folder; or `HISTORY`."""
HISTORY = "git:history"
"""The address of predictions that a commit of this repository had beside their records and a later one has not."""


class Unreachable(Exception):
    """The predictions cannot be had, or are others than the record's."""


class Lost(Unreachable):
    """The repository's history should have them, is here as a whole, and has not."""


class Place(NamedTuple):
    """An address with the hash put in, or why there is none."""

    address: str | None
    problem: str = ""


def place_of(path: Path, predictions: PredictionsInfo) -> Place:
    """Where the predictions of the record at ``path`` lie: at its own URL, or where `ADDRESS` above it says."""
    if predictions.url is not None:
        return Place(predictions.url)
    for folder in above(path):
        file = folder / ADDRESS
        if file.is_file():
            try:
                template = tomllib.loads(file.read_text()).get("address")
            except (OSError, ValueError) as error:
                return Place(None, f"{file}: {error}")
            if template == HISTORY:
                return Place(HISTORY)
            if not isinstance(template, str) or "{sha256}" not in template:
                return Place(None, f'{file}: needs a line such as address = "https://…/{{sha256}}.safetensors"')
            address = template.replace("{sha256}", predictions.sha256)
            return Place(address if "://" in address else str(folder / address))
    return Place(None)


def fetch(address: str, predictions: PredictionsInfo, to: Path, path: Path) -> Path:
    """The predictions at ``address`` as a file in the folder ``to``, where they are kept; ``path``: of their record.

    Raises:
        Unreachable: they are not there, or others than the record's, which are not kept.
        Lost: no commit of the repository had them, where one should.
    """
    file = to / f"{predictions.sha256}{PREDICTIONS}"
    if file.is_file():
        return file
    try:
        if address == HISTORY:
            content = past.read(beside(path, PREDICTIONS), predictions.sha256, predictions.bytes)
        else:
            with _opened(address) as stream:
                content = stream.read(predictions.bytes + 1)
    except past.NotInHistory as error:
        raise Lost(str(error)) from None
    except past.NotInClone as error:
        raise Unreachable(str(error)) from None
    except Exception as error:  # every kind of store raises kinds of its own
        raise Unreachable(f"cannot be read from {address}: {type(error).__name__}: {error}") from None
    if len(content) > predictions.bytes:
        raise Unreachable(f"what lies at {address} is longer than the {predictions.bytes} bytes of its predictions")
    if hashlib.sha256(content).hexdigest() != predictions.sha256:
        raise Unreachable(f"what lies at {address} is not the predictions that the record names")
    to.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(file)
    return file


def at_hand(path: Path, wanted: Callable[[str], bool] | None = None) -> dict[str, AnyPredictions] | None:
    """The predictions of the record at ``path``, of many sets those alone whose names are ``wanted``.

    They lie beside it or in the history of this clone; None: in neither, so that they would have to be fetched.

    Raises:
        ValueError: they are damaged.
    """
    content = bytes_at_hand(path)
    return None if content is None else parse_predictions(content, str(beside(path, PREDICTIONS)), wanted)


def all_at_hand(
    paths: Iterable[Path], wanted: Callable[[str], bool] | None = None
) -> list[dict[str, AnyPredictions]] | None:
    """`at_hand` of each record; None if those of one are not."""
    found = []
    for path in paths:
        sets = at_hand(path, wanted)
        if sets is None:
            return None
        found.append(sets)
    return found


def bytes_at_hand(path: Path) -> bytes | None:
    """The file that `at_hand` reads."""
    file = beside(path, PREDICTIONS)
    if file.is_file():
        return read_bytes(file)
    try:
        record = read(path)
    except NoFile:
        return None
    if not isinstance(record, Record) or record.predictions is None:
        return None
    if place_of(path, record.predictions).address != HISTORY:
        return None
    try:
        return past.read(file, record.predictions.sha256, record.predictions.bytes)
    except past.NotInClone:
        return None


def _opened(address: str) -> Any:
    if "://" not in address:
        return Path(address).open("rb")
    try:
        import fsspec
    except ModuleNotFoundError:
        raise Unreachable("addresses need fsspec: pip install 'ivi-bench[run]'") from None
    return fsspec.open(address, "rb")


def move(folder: Path, to: Path) -> int:
    """Move predictions of the records below ``folder`` to ``to``, under their SHA-256; how many. Others' stay."""
    to.mkdir(parents=True, exist_ok=True)
    shelf, moved = read_all(folder), 0
    for path, record in zip(shelf.paths, shelf.records, strict=True):
        file = beside(path, PREDICTIONS)
        if record.predictions is not None and file.is_file() and _sha256(file) == record.predictions.sha256:
            shutil.move(file, to / f"{record.predictions.sha256}{PREDICTIONS}")
            moved += 1
    return moved


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_elsewhere(path: Path, record: Record) -> bool:
    """Whether the predictions are not beside the record, and something says where they are."""
    if record.predictions is None or beside(path, PREDICTIONS).is_file():
        return False
    return place_of(path, record.predictions).address is not None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="Folder of records.")
    parser.add_argument("--to", type=Path, required=True, help="Folder for the predictions.")
    asked = parser.parse_args()
    sys.stdout.write(f"{move(asked.folder, asked.to)} files moved to {asked.to}\n")
