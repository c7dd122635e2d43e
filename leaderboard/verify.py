"""Recompute every number of a folder of records from the stored predictions, and name what does not agree."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal, NamedTuple

from leaderboard.predictions import load_predictions
from leaderboard.record import Record, RecordError, path_of, read, record_files
from leaderboard.scoring import score

LEFT_OUT = "left_out.txt"
"""A file in the folder of records that names, one glob pattern a line, those whose predictions are kept elsewhere."""

Kind = Literal["unreadable", "misplaced", "missing", "damaged", "foreign", "metric"]


class Finding(NamedTuple):
    """One thing that does not agree.

    Attributes:
        path: the file at fault.
        kind: ``unreadable`` record; ``misplaced`` record, which lies where another run's belongs; ``missing``
            predictions; ``damaged`` predictions; ``foreign`` predictions, which are another run's; ``metric`` that is
            not what the predictions give.
        problem: in one line.
    """

    path: Path
    kind: Kind
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


def predictions_path(record_path: Path) -> Path:
    """Where the predictions of a record lie: beside it, under the same name."""
    return record_path.with_suffix(".safetensors")


def verify(folder: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> list[Finding]:
    """Check every record below ``folder`` against its predictions; an empty list means that all agree.

    Numbers must agree to the last digit: `score` keeps ten, which are the same on every machine.

    Args:
        folder: the folder of records, or any folder in it.
        progress: (records checked, records in all), called after each.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    findings: list[Finding] = []
    records: dict[Path, Record] = {}
    for path in record_files(folder):
        try:
            records[path] = read(path)
        except RecordError as error:
            findings.append(Finding(path, "unreadable", str(error).removeprefix(f"{path}: ")))
    owners = {record.predictions.sha256: record for record in records.values() if record.predictions}
    for done, (path, record) in enumerate(records.items(), 1):
        findings += _place(path, record)
        if not is_left_out(path, folder):
            findings += _predictions(path, record, owners)
        progress(done, len(records))
    return findings


def is_left_out(path: Path, folder: Path) -> bool:
    """Whether the predictions of the record at ``path`` are not there, and `LEFT_OUT` says that they need not be."""
    if predictions_path(path).is_file():
        return False
    patterns = _patterns(folder)
    return any(fnmatch(path.absolute().relative_to(where).as_posix(), pattern) for where, pattern in patterns)


def _patterns(folder: Path) -> list[tuple[Path, str]]:
    """The patterns of `LEFT_OUT` in ``folder`` or in one above it, each with the folder it counts from."""
    for where in (folder.absolute(), *folder.absolute().parents):
        file = where / LEFT_OUT
        if file.is_file():
            lines = (line.partition("#")[0].strip() for line in file.read_text().splitlines())
            return [(where, line) for line in lines if line]
    return []


def _place(path: Path, record: Record) -> list[Finding]:
    """A record names its own place, so a copy under the name of another run shows."""
    expected = path_of(Path(), record).parts
    if path.absolute().parts[-len(expected) :] == expected:
        return []
    return [Finding(path, "misplaced", f"is the record of {_run(record)} and belongs at {'/'.join(expected)}")]


def _predictions(path: Path, record: Record, owners: Mapping[str, Record]) -> list[Finding]:
    if record.predictions is None:
        if not record.metrics:
            return []
        return [Finding(path, "missing", "has metrics but no predictions, so they cannot be recomputed")]
    file = predictions_path(path)
    if not file.is_file():
        return [Finding(file, "missing", "the predictions are missing, so the metrics cannot be recomputed")]
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != record.predictions.sha256:
        owner = owners.get(digest)
        if owner is not None:
            return [Finding(file, "foreign", f"holds the predictions of {_run(owner)}, not of {_run(record)}")]
        return [
            Finding(file, "damaged", f"has SHA-256 {digest[:12]}…, the record says {record.predictions.sha256[:12]}…")
        ]
    try:
        sets = load_predictions(file)
        recomputed = score(sets)
    except ValueError as error:
        return [Finding(file, "damaged", f"cannot be scored: {error}")]
    findings = []
    if sorted(sets) != sorted(record.predictions.sets):
        findings.append(Finding(path, "metric", f"lists the sets {record.predictions.sets}, stored are {sorted(sets)}"))
    return findings + [Finding(path, "metric", line) for line in _differences(record.metrics, recomputed)]


def _differences(stored: Mapping[str, Mapping[str, float]], computed: Mapping[str, Mapping[str, float]]) -> list[str]:
    """One line for each number that only one side has, or that differs; NaN agrees with NaN."""
    left = {(name, key): value for name, row in stored.items() for key, value in row.items()}
    right = {(name, key): value for name, row in computed.items() for key, value in row.items()}
    lines = []
    for place in sorted(left.keys() | right.keys()):
        label = " ".join(place)
        if place not in right:
            lines.append(f"{label} is stored as {left[place]!r}, but the predictions do not give it")
        elif place not in left:
            lines.append(f"{label} is not stored, the predictions give {right[place]!r}")
        elif left[place] != right[place] and not (math.isnan(left[place]) and math.isnan(right[place])):
            lines.append(f"{label} is stored as {left[place]!r}, the predictions give {right[place]!r}")
    return lines


def _run(record: Record) -> str:
    return f"{record.task.name} {record.method.label} seed {record.seed} (run {record.run_id})"
