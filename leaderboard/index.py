"""What was read of many records, kept in the cache: ten thousand are then not parsed again for every table.

An entry stands for a record and its scores only while both files have the size, the times of change and the number on
their file system that they had before they were read; whatever else lies in the folder is read. An index that is
damaged, or was written by other code, is as good as none.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import struct
import sys
from array import array
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic import WrapValidator

from leaderboard.identity import Part, Recurring, TaskIdentity
from leaderboard.packed import Packed, Row, layout_of, size
from leaderboard.result import Result
from leaderboard.shelf import SCORES, read_bytes
from leaderboard.store import write_once

LEAST = 256
"""Records that are worth an index: fewer are read as fast."""
SETTLED = 2 * 10**9
"""Nanoseconds since the last change after which a file is indexed: a second change within the same tick of the file
system's clock (2 s, at the coarsest) would not show."""
LARGEST = 2**30
_DIGEST = 32  # bytes

_STAMP = struct.Struct("=qqqQ")
"""Of a regular file: bytes, times of the last change of content and of anything (ns), number on the file system."""
_NO_FILE = bytes(_STAMP.size)
_BOTH = 2 * _STAMP.size


class _Shared(Part):
    """Those fields of a result that the runs of a row have in common."""

    row: str
    setting: str
    task: str
    version: int
    label: str
    method: tuple[str, str, dict[str, Any]]
    is_base: bool
    device: str
    device_name: str
    stack: tuple[tuple[str, str], ...]
    doubt: str
    notes: tuple[str, ...]
    state: str
    metrics_version: int
    likelihood: str
    classes: int | None
    test_size: int | None
    identity: Annotated[TaskIdentity, WrapValidator(Recurring())]


_OWN = ("run_id", "seed", "attempt", "status", "reason", "started")
_Run = tuple[str, int, int, int, str, int, int, str, str, str]
"""File, places of what it shares, of its layout and of the names of its costs, and its `_OWN`."""


class _Header(Part):
    """All of an index but the stamps of the files, and metrics and costs, which follow it run by run."""

    reader: str
    shared: list[_Shared]
    layouts: list[dict[str, list[str]]]
    costs: list[list[str]]
    runs: list[_Run]


class Index:
    """The index of one folder.

    Args:
        cache: folder of indices.
        folder: of records.
        entries: what lies in it, as `shelf.json_files` lists it. Its stamps are taken here, before anything is read.
    """

    def __init__(self, cache: Path, folder: Path, entries: Iterable[os.DirEntry[str]]) -> None:
        name = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:16]
        self.path = cache / "records" / f"{name}.index"
        self._above = os.path.join(folder, "")
        self._stamps = {entry.path: _stamp(entry) for entry in entries}

    def results(self) -> dict[str, Result]:
        """By file: what the index knows of files that are as they were; {} where there is no good index."""
        try:
            return self._unchanged(*_opened(read_bytes(str(self.path), LARGEST)))
        except (ValueError, LookupError):
            return {}

    def _unchanged(self, header: _Header, stamps: bytes, numbers: Sequence[float]) -> dict[str, Result]:
        shared = [{"is_history": False, "beside": None, **dict(one)} for one in header.shared]
        layouts = [layout_of(tuple((name, tuple(keys)) for name, keys in one.items())) for one in header.layouts]
        costs = [{key: i for i, key in enumerate(keys)} for keys in header.costs]
        sizes, start = list(map(size, layouts)), 0
        found = {}
        for i, (name, place, layout, spent, *own) in enumerate(header.runs):
            end = start + sizes[layout]
            file = self._above + name
            if self._stamp_of(file) == stamps[i * _BOTH : (i + 1) * _BOTH]:
                metrics, cost = Packed(layouts[layout], numbers, start), Row(costs[spent], numbers, end)
                values: dict[str, object] = dict(zip(_OWN, own, strict=True))
                found[file] = Result.of_fields(shared[place], values, {"file": file, "metrics": metrics, "cost": cost})
            start = end + len(costs[spent])
        if start != len(numbers):
            raise ValueError("an index with other numbers than its layouts place")
        return found

    def _stamp_of(self, file: str) -> bytes:
        """Of a record and its scores."""
        return self._stamps.get(file, _NO_FILE) + self._stamps.get(file[:-5] + SCORES, _NO_FILE)

    def write(self, results: Iterable[Result], now: int) -> None:
        """Keep those ``results`` that are whole, of this edition, and of files that had settled by ``now`` (ns).

        Where the cache cannot be written to, nothing is kept.
        """
        made = _Made()
        for one in results:
            stamp = self._stamp_of(one.file)
            times = [time for _, *times, _ in _STAMP.iter_unpack(stamp) for time in times]
            is_whole = one.status != "ok" or (one.is_ok and not stamp.endswith(_NO_FILE))
            if is_whole and not one.is_history and not stamp.startswith(_NO_FILE) and now - max(times) > SETTLED:
                made.add(one, one.file.removeprefix(self._above), stamp)
        try:
            write_once(self.path, made.data(), replace=True)
        except OSError:
            return


class _Made:
    """An index as it is made, result by result."""

    def __init__(self) -> None:
        self._shared: list[bytes] = []
        self._layouts: list[bytes] = []
        self._costs: list[bytes] = []
        self._places: dict[object, int] = {}
        self._runs: list[bytes] = []
        self._stamps: list[bytes] = []
        self._numbers = array("d")

    def add(self, one: Result, name: str, stamp: bytes) -> None:
        """Take one in, unless its values have no JSON: NaN in a configuration, a file whose name is no text."""
        own = {key: getattr(one, key) for key in _OWN}
        layout, costs = one.metrics.layout, tuple(one.cost)
        shared = {key: getattr(one, key) for key in _Shared.model_fields}
        alike = id(shared.pop("identity")), repr(shared)
        try:
            if alike not in self._places:
                self._shared.append(_json(shared | {"identity": one.identity and one.identity.model_dump()}))
                self._places[alike] = len(self._shared) - 1
            if id(layout) not in self._places:
                self._layouts.append(_json({name: list(keys) for name, keys in layout.items()}))
                self._places[id(layout)] = len(self._layouts) - 1
            if costs not in self._places:
                self._costs.append(_json(costs))
                self._places[costs] = len(self._costs) - 1
            places = (self._places[key] for key in (alike, id(layout), costs))
            self._runs.append(_json([name, *places, *own.values()]))
        except ValueError:
            return
        self._stamps.append(stamp)
        self._numbers.extend(one.metrics.in_a_row())
        self._numbers.extend(one.cost.values())

    def data(self) -> bytes:
        """The bytes of the index: digest of what follows, length of the header, header, stamps, numbers."""
        lists = {"shared": self._shared, "layouts": self._layouts, "costs": self._costs, "runs": self._runs}
        header = b'{"reader":%b,' % _json(_reader())
        header += b",".join(b'"%b":[%b]' % (name.encode(), b",".join(parts)) for name, parts in lists.items()) + b"}"
        body = b"".join([len(header).to_bytes(8, "big"), header, *self._stamps, self._numbers.tobytes()])
        return hashlib.sha256(body).digest() + body


def _opened(data: bytes) -> tuple[_Header, bytes, array[float]]:
    """Header, stamps and numbers of an index; a ValueError where it is damaged or written by other code."""
    if hashlib.sha256(memoryview(data)[_DIGEST:]).digest() != data[:_DIGEST]:
        raise ValueError("a damaged index")
    end = _DIGEST + 8 + int.from_bytes(data[_DIGEST : _DIGEST + 8], "big")
    header = _Header.model_validate_json(data[_DIGEST + 8 : end])
    if header.reader != _reader():
        raise ValueError("an index of other code")
    stamps = data[end : end + len(header.runs) * _BOTH]
    numbers = array("d")
    numbers.frombytes(data[end + len(stamps) :])
    return header, stamps, numbers


@cache
def _reader() -> str:
    """What makes results of files: this package's source and what it runs on."""
    hashed = hashlib.sha256(f"{sys.version} {sys.byteorder} {pydantic.VERSION}".encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        hashed.update(file.read_bytes())
    return hashed.hexdigest()


def _stamp(entry: os.DirEntry[str]) -> bytes:
    try:
        found = entry.stat(follow_symlinks=False)
        is_file = stat.S_ISREG(found.st_mode)
        return _STAMP.pack(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino) if is_file else _NO_FILE
    except (OSError, struct.error):  # gone; or changed in a year that nanoseconds do not reach
        return _NO_FILE


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _json(value: object) -> bytes:
    return _ENCODER.encode(value).encode()
