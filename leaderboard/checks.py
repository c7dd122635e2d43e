"""One record against its predictions and its scores: what does not agree."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from leaderboard import history
from leaderboard.elsewhere import HISTORY, Lost, Unreachable, fetch, place_of
from leaderboard.history import OldRecord
from leaderboard.identity import array_sha256, content_of
from leaderboard.last_digits import agree, possible
from leaderboard.predictions import AnyPredictions, Categorical, load_predictions
from leaderboard.record import PredictionsInfo, Record
from leaderboard.scores import Scores, ScoresError, read_scores, scores_path
from leaderboard.scoring import score
from leaderboard.shelf import PREDICTIONS, Finding, above, beside
from leaderboard.store import path_of

LEFT_OUT = "left_out.txt"
"""A file that names, one glob pattern a line, records of the first edition whose predictions are kept elsewhere."""
NEWER = ("augrc", "ece_classwise")
"""Metrics that records of the first edition cannot hold."""
Sets = Mapping[str, AnyPredictions]
Metrics = Mapping[str, Mapping[str, float]]


class Checked(NamedTuple):
    """What was found of one record, and its predictions; None where they are not here or damaged.

    ``is_lost``: the repository's history should have them, and has not.
    """

    findings: list[Finding]
    sets: Sets | None
    is_lost: bool = False


def check_place(path: Path, record: Record | OldRecord) -> list[Finding]:
    """A record names its own place, so a copy under the name of another run shows."""
    where = path_of(Path(), record) if isinstance(record, Record) else history.path_of(Path(), record)
    if path.absolute().parts[-len(where.parts) :] == where.parts:
        return []
    return [Finding(path, "misplaced", f"is the record of {run_of(record)} and belongs at {where.as_posix()}")]


def check_record(
    path: Path, record: Record, owners: Mapping[str, str], keep: Path | None = None, scratch: Path | None = None
) -> Checked:
    """A record of this edition against what lies beside it.

    Args:
        path: of the record.
        record: what it says.
        owners: SHA-256 of predictions -> whose they are.
        keep: folder for predictions that are fetched from elsewhere; None: they are not.
        scratch: folder for those that this clone's history holds; None: they are not looked for.
    """
    findings = check_place(path, record)
    if record.sets and content_of(record.sets) != record.identity.task.data.content:
        findings.append(Finding(path, "labels", "its sets are not those that the identity's data content names"))
    if record.predictions is None:
        return Checked(findings, None)
    file = beside(path, PREDICTIONS)
    if not (file.is_file() or file.is_symlink()):
        try:
            found = _from_elsewhere(path, record.predictions, keep, scratch)
        except Unreachable as error:
            if keep is None and isinstance(error, Lost):
                return Checked(findings, None, is_lost=True)
            return Checked([*findings, Finding(file, "missing", str(error))], None)
        if found is None:
            return Checked(findings, None)
        file = found
    sets, more = _loaded(file, record.predictions.sha256, owners, run_of(record))
    findings += more
    if sets is None:
        return Checked(findings, None)
    findings += _against_sets(path, record, sets) + _against_scores(path, record, sets)
    return Checked(findings, sets)


def check_old(path: Path, record: OldRecord, owners: Mapping[str, str], folder: Path) -> Checked:
    """A record of the first edition, whose metrics are in it, against its predictions."""
    findings = check_place(path, record)
    if is_left_out(path, folder):
        return Checked(findings, None)
    if record.predictions is None:
        if record.metrics:
            findings.append(Finding(path, "missing", "has metrics but no predictions, so they cannot be recomputed"))
        return Checked(findings, None)
    file = beside(path, PREDICTIONS)
    sets, more = _loaded(file, record.predictions.sha256, owners, run_of(record))
    findings += more
    if sets is None:
        return Checked(findings, None)
    if sorted(sets) != sorted(record.predictions.sets):
        problem = f"lists the sets {record.predictions.sets}, stored are {sorted(sets)}"
        findings.append(Finding(path, "metric", problem))
    try:
        scored = score(sets, recalibrated=False)  # newer than such records, too
        computed = {name: {k: v for k, v in row.items() if not _is_newer(k)} for name, row in scored.items()}
    except ValueError as error:
        return Checked([*findings, Finding(file, "damaged", f"cannot be scored: {error}")], sets)
    findings += [Finding(path, "metric", line) for line in differences(record.metrics, computed, sets=sets)]
    return Checked(findings, sets)


def is_left_out(path: Path, folder: Path) -> bool:
    """Whether the predictions of an old record are not there, and `LEFT_OUT` says that they need not be."""
    if beside(path, PREDICTIONS).is_file():
        return False
    patterns = _patterns(folder)
    return any(fnmatch(path.absolute().relative_to(where).as_posix(), pattern) for where, pattern in patterns)


def differences(
    stored: Metrics, computed: Metrics, *, is_whole: bool = True, sets: Sets | None = None, exact: bool = False
) -> list[str]:
    """One line for each number that only one side has, or that differs by more than last digits; NaN agrees with NaN.

    Args:
        is_whole: whether what is computed should all be stored.
        sets: what was computed from, for numbers that the order of near ties decides (`leaderboard.last_digits`).
        exact: whether last digits count too: both sides were stored, and nothing is computed here.
    """
    left = {(name, key): value for name, row in stored.items() for key, value in row.items()}
    right = {(name, key): value for name, row in computed.items() for key, value in row.items()}
    lines = []
    for place in sorted(left.keys() | right.keys()):
        label = " ".join(place)
        if place not in right:
            lines.append(f"{label} is stored as {left[place]!r}, but the predictions do not give it")
        elif place not in left:
            lines += [f"{label} is not stored, the predictions give {right[place]!r}"] if is_whole else []
        elif not (_same if exact else agree)(left[place], right[place]) and not (
            sets and possible(left[place], sets, *place)
        ):
            lines.append(f"{label} is stored as {left[place]!r}, the predictions give {right[place]!r}")
    return lines


def _same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


def run_of(record: Record | OldRecord) -> str:
    """A run, for people."""
    if isinstance(record, Record):
        return f"{record.identity.task.name} {record.label} seed {record.identity.seed} (run {record.run_id})"
    return f"{record.task.name} {record.method.label} seed {record.seed} (run {record.run_id})"


def _from_elsewhere(path: Path, predictions: PredictionsInfo, keep: Path | None, scratch: Path | None) -> Path | None:
    """The predictions that are not beside the record; None where something says where they are, and they stay there.

    Raises:
        Unreachable: nothing says where they are, or they are not there.
    """
    place = place_of(path, predictions)
    if place.address is None:
        raise Unreachable(place.problem or "the predictions are missing, so the metrics cannot be recomputed")
    if keep is not None:
        return fetch(place.address, predictions, keep, path)
    if place.address == HISTORY and scratch is not None:
        try:
            return fetch(HISTORY, predictions, scratch, path)
        except Lost:
            raise
        except Unreachable:  # a clone need not have its history
            return None
    return None


def _loaded(file: Path, expected: str, owners: Mapping[str, str], mine: str) -> tuple[Sets | None, list[Finding]]:
    """The predictions in ``file``, if they are those with the ``expected`` SHA-256."""
    if file.is_symlink() or not file.is_file():
        return None, [Finding(file, "missing", "the predictions are missing, so the metrics cannot be recomputed")]
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != expected:
        if digest in owners:
            return None, [Finding(file, "foreign", f"holds the predictions of {owners[digest]}, not of {mine}")]
        problem = f"has SHA-256 {digest[:12]}…, the record says {expected[:12]}…"
        return None, [Finding(file, "damaged", problem)]
    try:
        return load_predictions(file), []
    except ValueError as error:
        return None, [Finding(file, "damaged", str(error).removeprefix(f"{file}: "))]


def _against_sets(path: Path, record: Record, sets: Sets) -> list[Finding]:
    """Predictions against what the record and its identity say of the sets."""
    expected = {name: info for name, info in record.sets.items() if name != "train"}
    findings = []
    if sets.keys() != expected.keys():
        problem = f"names the sets {', '.join(sorted(expected))}; predicted are {', '.join(sorted(sets))}"
        findings.append(Finding(path, "labels", problem))
    task = record.identity.task
    for name, one in sorted(sets.items()):
        info = expected.get(name)
        if one.kind != task.likelihood:
            findings.append(Finding(path, "labels", f"{name}: {one.kind} predictions of a {task.likelihood} task"))
            continue
        n = len(one.log_probs if isinstance(one, Categorical) else one.mean)
        if info is not None and n != info.n:
            findings.append(Finding(path, "labels", f"{name}: {n} predictions of {info.n} items"))
        if isinstance(one, Categorical) and one.log_probs.shape[1] != task.outputs:
            problem = f"{name}: predictions of {one.log_probs.shape[1]} classes, the task has {task.outputs}"
            findings.append(Finding(path, "labels", problem))
        labels = None if one.labels is None else array_sha256(one.labels)
        if info is not None and labels != info.labels:
            findings.append(Finding(path, "labels", f"{name}: its labels are not those of the set"))
    return findings


def _against_scores(path: Path, record: Record, sets: Sets) -> list[Finding]:
    """Stored scores against those that the predictions give now; none are stored: nothing to compare."""
    assert record.predictions is not None
    try:
        computed = score(sets)
    except ValueError as error:
        return [Finding(beside(path, PREDICTIONS), "damaged", f"cannot be scored: {error}")]
    stored, findings = _scores(path)
    if stored is None:
        return findings
    if stored.predictions != record.predictions.sha256:
        return [Finding(scores_path(path), "foreign", "scores of other predictions than the record's")]
    lines = differences(stored.sets, computed, is_whole=not stored.is_old, sets=sets)
    return [Finding(scores_path(path), "metric", line) for line in lines]


def _scores(path: Path) -> tuple[Scores | None, list[Finding]]:
    file = scores_path(path)
    try:
        return read_scores(path), []
    except (ScoresError, OSError) as error:
        return None, [Finding(file, "unreadable", str(error).removeprefix(f"{file}: "))]


def _is_newer(key: str) -> bool:
    return key.removesuffix("_scaled") in NEWER


def _patterns(folder: Path) -> list[tuple[Path, str]]:
    """The patterns of `LEFT_OUT` in ``folder`` or in one of those `above` it, each with the folder it counts from."""
    for where in above(folder / LEFT_OUT):
        file = where / LEFT_OUT
        if file.is_file():
            lines = (line.partition("#")[0].strip() for line in file.read_text().splitlines())
            return [(where, line) for line in lines if line]
    return []
