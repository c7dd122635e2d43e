"""What lies in a folder of records: each readable record, and each bad file by name."""

from __future__ import annotations

import errno
import gc
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, TypeVar

from pydantic import ValidationError

from leaderboard.history import OldRecord
from leaderboard.record import SCHEMA, Record, RecordError

PREDICTIONS, SCORES, LOG = ".safetensors", ".scores.json", ".log"
LARGEST = 16 * 2**20
"""Bytes of a JSON file that is read; a record has some ten thousand."""
LEVELS = 4
"""Folders that a record lies in, up to that of all suites: method, task, suite, records."""
OTHERS = (SCORES, ".cost.json", ".plan.json")
"""JSON files of a folder of records that are no records."""
_SCHEMA = re.compile(rb'\s*\{\s*"schema_version"\s*:\s*(\d{1,9})\s*[,}]')

Kind = Literal[
    "unreadable", "misplaced", "missing", "damaged", "foreign", "metric", "stale", "copied", "labels", "cost", "plan"
]


class Finding(NamedTuple):
    """One thing in a folder of records that is not as it should be.

    Attributes:
        path: the file at fault.
        kind: ``unreadable``: no record, or of another schema; the others are those of `leaderboard.verify`.
        problem: in one line.
    """

    path: Path
    kind: Kind
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


@dataclass(frozen=True)
class Shelf:
    """What lies in a folder.

    Attributes:
        records: in a fixed order; ``paths``: the file of each.
        history: records of schema 1 with their files.
        findings: files that look like records and cannot be read.
    """

    records: list[Record]
    paths: list[Path]
    history: list[tuple[Path, OldRecord]]
    findings: list[Finding]


class NoFile(RecordError):
    """There is no such file."""


class Attempted(Protocol):
    """A record of any schema, or a result."""

    @property
    def run_id(self) -> str:
        """Of the identity."""
        ...

    @property
    def status(self) -> str:
        """`record.Status`."""
        ...

    @property
    def attempt(self) -> int:
        """From 1 on."""
        ...

    @property
    def code(self) -> str:
        """What says whether two attempts were made with the same code."""
        ...


T = TypeVar("T", bound=Attempted)


def read_all(folder: Path) -> Shelf:
    """Every record below ``folder``, in a fixed order; nothing where there is no such folder.

    A file that looks like a record (``....1.json``) and cannot be read is a finding. Links, pipes and devices are not
    opened, and nothing larger than `LARGEST`.
    """
    with many_objects():
        return read_files(sorted(entry.path for entry in json_files(str(folder)) if looks_like_record(entry.name)))


def read_files(paths: Iterable[str]) -> Shelf:
    """The records in these files, and those that are none."""
    shelf = Shelf([], [], [], [])
    for path in paths:
        try:
            record = parsed(read_bytes(path))
        except RecordError as error:
            shelf.findings.append(Finding(Path(path), "unreadable", str(error)))
            continue
        if isinstance(record, OldRecord):
            shelf.history.append((Path(path), record))
        else:
            shelf.records.append(record)
            shelf.paths.append(Path(path))
    return shelf


@contextmanager
def many_objects() -> Iterator[None]:
    """Garbage is not looked for while the block makes objects that stay: of 10,000 records it takes half the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if collecting:
            gc.enable()


def read(path: Path) -> Record | OldRecord:
    """Read one record of any schema.

    Raises:
        RecordError: it cannot be read, or is newer than this program.
    """
    try:
        return parsed(read_bytes(str(path)))
    except RecordError as error:
        raise type(error)(f"{path}: {error}") from None


def read_bytes(path: str, most: int = LARGEST) -> bytes:
    """The bytes of a regular file of at most ``most``.

    Raises:
        NoFile: there is none of that name.
        RecordError: it is none; without the path.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise NoFile(f"cannot be read: {error.strerror}") from None
        reason = "is a link" if error.errno == errno.ELOOP else f"cannot be read: {error.strerror}"
        raise RecordError(reason) from None
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise RecordError("is no regular file")
        if found.st_size > most:
            raise RecordError(f"has {found.st_size} bytes: more than any record")
        data = os.read(file, found.st_size)
        while len(data) < found.st_size and (more := os.read(file, found.st_size - len(data))):
            data += more
        return data
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}") from None
    finally:
        os.close(file)


def parsed(data: bytes) -> Record | OldRecord:
    """The record in ``data``.

    Raises:
        RecordError: there is none that this program knows; without a path.
    """
    schema = schema_of(data)
    try:
        return (OldRecord if schema == 1 else Record).model_validate_json(data)
    except ValidationError as error:
        if schema is not None and schema > SCHEMA:
            raise RecordError(f"has schema {schema}, this program reads up to {SCHEMA}: update it") from None
        raise RecordError(f"not a record: {first_of(error)}") from None


def schema_of(data: bytes) -> int | None:
    """The schema that the first field of the JSON in ``data`` names; None where it names none."""
    head = _SCHEMA.match(data)
    return int(head[1]) if head else None


def first_of(error: ValidationError) -> str:
    """The first thing that is wrong, in one line."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"])) or "the file"
    return f"{place}: {first['msg'].removeprefix('Value error, ')}"[:300]


def latest(records: Iterable[T]) -> dict[str, T]:
    """The record that counts for each run: an ok one if there is one, else the last attempt.

    Of several ok ones it is the first that was made with the code of the last: a run that is made again under the same
    code never takes the place of what it gave before, one that is made again since the code changed does.
    """
    attempts: dict[str, list[T]] = {}
    for record in records:
        attempts.setdefault(record.run_id, []).append(record)
    return counting(attempts)


def counting(attempts: Mapping[str, list[T]]) -> dict[str, T]:
    """As `latest`, of records that lie together by run."""
    return {run_id: one[0] if len(one) == 1 else _counting(one) for run_id, one in attempts.items()}


def _counting(attempts: list[T]) -> T:
    ok = [one for one in attempts if one.status == "ok"]
    if not ok:
        return max(attempts, key=lambda one: one.attempt)
    code = max(ok, key=lambda one: one.attempt).code
    return min((one for one in ok if one.code == code), key=lambda one: one.attempt)


def json_files(folder: str) -> Iterator[os.DirEntry[str]]:
    """Whatever below ``folder`` has a name that ends in ``.json``, also links and folders; links are not followed."""
    inner = [folder]
    while inner:
        try:
            with os.scandir(inner.pop()) as entries:
                for entry in entries:
                    if entry.name.endswith(".json"):
                        yield entry
                    if entry.is_dir(follow_symlinks=False):
                        inner.append(entry.path)
        except OSError:  # a folder that nobody may list, or that has gone
            continue


def above(path: Path) -> Sequence[Path]:
    """The folders that may speak of the record at ``path``, nearest first: what lies further up is not of the board."""
    return path.absolute().parents[:LEVELS]


def beside(path: Path, suffix: str) -> Path:
    """The file that goes with the record at ``path``: `PREDICTIONS`, `SCORES` or `LOG`."""
    return path.with_name(path.name.removesuffix(".json") + suffix)


def looks_like_record(name: str) -> bool:
    """Whether a file of this name should be a record."""
    return name.endswith(".json") and name.count(".") > 1 and name[0] != "." and not name.endswith(OTHERS)
