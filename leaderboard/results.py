"""The runs of a folder with their scores: what tables, comparisons and figures read, whichever schema a record has."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from leaderboard import index
from leaderboard.history import REASON, OldEnvironment, OldRecord
from leaderboard.packed import Packed, Row
from leaderboard.plan import is_base
from leaderboard.record import Environment, Record
from leaderboard.result import Result
from leaderboard.scores import Scores, ScoresError, read_scores, scores_path
from leaderboard.shelf import Finding, Shelf, json_files, looks_like_record, many_objects, read_files

if TYPE_CHECKING:
    import pandas as pd

STACK = ("torch", "torchvision", "timm", "numpy")
"""Packages whose version decides numbers, beside our own code and the method's package."""


class Results(NamedTuple):
    """Every result of a folder, in a fixed order, and the files that are none."""

    results: list[Result]
    findings: list[Finding]


def stack_of(one: Result | Environment | OldEnvironment) -> tuple[tuple[str, str], ...]:
    """What of the software decides numbers."""
    if isinstance(one, Result):
        return one.stack
    code = (("code", one.code),) if isinstance(one, Environment) else ()
    return (*code, *((name, one.packages[name]) for name in STACK if name in one.packages))


def load_results(folder: Path, cache: Path | None = None) -> Results:
    """Every result below ``folder``. A table reads scores only: it opens no predictions.

    Args:
        folder: of records and their scores.
        cache: where an index of many records is kept (`leaderboard.index`); None: every file is read.
    """
    began = time.time_ns()
    with many_objects():
        entries = list(json_files(str(folder)))
        paths = sorted(entry.path for entry in entries if looks_like_record(entry.name))
        kept = index.Index(cache, folder, entries) if cache and len(paths) >= index.LEAST else None
        known = kept.results() if kept else {}
        fresh = results_of(read_files(path for path in paths if path not in known))
        by_file = known | {one.file: one for one in fresh.results}
        results = sorted((by_file[path] for path in paths if path in by_file), key=lambda one: one.is_history)
        if kept and len(fresh.results) >= index.LEAST:
            kept.write(results, began)
    return Results(results, fresh.findings)


def results_of(shelf: Shelf) -> Results:
    """The results of what was read."""
    results, findings = [], list(shelf.findings)
    for path, record in zip(shelf.paths, shelf.records, strict=True):
        scores, doubt, finding = _scored(path, record) if record.status == "ok" else (None, "", None)
        findings += [finding] if finding else []
        results.append(result_of(path, record, scores, doubt))
    results += [old_result(path, record) for path, record in shelf.history]
    return Results(results, findings)


def _scored(path: Path, record: Record) -> tuple[Scores | None, str, Finding | None]:
    """The scores of an ok run, else why there are none, and what is wrong with the file that should hold them."""
    try:
        scores = read_scores(path)
    except (ScoresError, OSError) as error:
        finding = Finding(scores_path(path), "unreadable", str(error).removeprefix(f"{scores_path(path)}: "))
        return None, "its scores cannot be read: make them with 'ivi score'", finding
    if scores is None:
        return None, "no scores yet: make them with 'ivi score'", None
    if record.predictions is None or scores.predictions != record.predictions.sha256:
        finding = Finding(scores_path(path), "foreign", "scores of other predictions than the record's")
        return None, "its scores are of other predictions: make them with 'ivi score'", finding
    return scores, "", None


def frame(results: Iterable[Result]) -> pd.DataFrame:
    """Results as a table of pandas: a row for every run, a column for every metric, named as in `ivi table`.

    Columns: task, version, method, seed, status, device, doubt, run_id, row, attempt, reason, started, is_history,
    state, then ``test:nll`` and so on; NaN where not measured.
    """
    import pandas as pd

    rows = []
    for one in results:
        names = {"task": one.task, "version": one.version, "method": one.label, "seed": one.seed}
        names |= {"status": one.status, "device": one.device_name, "doubt": one.doubt}
        names |= {"run_id": one.run_id, "row": one.row, "attempt": one.attempt, "reason": one.reason}
        names |= {"started": one.started, "is_history": one.is_history, "state": one.state}
        rows.append(names | {f"{name}:{key}": value for name, row in one.metrics.items() for key, value in row.items()})
    return pd.DataFrame(rows)


def result_of(path: Path, record: Record, scores: Scores | None, doubt: str = "") -> Result:
    """The result of a record and its scores; ``doubt``: why there are none."""
    identity, method = record.identity, record.identity.method
    test = record.sets.get("test")
    return Result(
        **_as_ever(path, record),
        row=identity.row,
        setting=identity.setting,
        task=identity.task.name,
        version=identity.task.version,
        label=record.label,
        method=(method.name, method.source, method.resolved),
        is_base=is_base(method, record.label == "map"),
        seed=identity.seed,
        metrics=Packed.of(scores.sets if scores else {}),
        metrics_version=scores.metrics_version if scores else 0,
        device=identity.device,
        doubt=doubt or _doubt(record),
        notes=_notes(record),
        likelihood=identity.task.likelihood,
        classes=identity.task.outputs if identity.task.likelihood == "categorical" else None,
        test_size=test.n if test else None,
        identity=identity.task,
        state=record.origin.state,
    )


def old_result(path: Path, record: OldRecord) -> Result:
    """The result of a record of the first edition: its metrics are in it, and it is never ranked."""
    method = record.method
    return Result(
        **_as_ever(path, record),
        row=record.row,
        setting=record.setting,
        task=record.task.name,
        version=record.task.version,
        label=method.label,
        method=(method.name, method.source_sha256, method.resolved),
        is_base=method.label == "map" and method.package == "ivi-bench",
        seed=record.seed,
        metrics=Packed.of(record.metrics),
        device=record.environment.device,
        doubt=REASON,
        is_history=True,
    )


def _as_ever(path: Path, record: Record | OldRecord) -> dict[str, Any]:
    """Those fields that records of every schema hold under the same name."""
    return {
        "file": str(path),
        "run_id": record.run_id,
        "attempt": record.attempt,
        "status": record.status,
        "reason": record.error.reason if record.error else "",
        "cost": Row.of({} if record.cost is None else {k: v for k, v in vars(record.cost).items() if v is not None}),
        "device_name": record.environment.device_name,
        "stack": stack_of(record.environment),
        "started": record.environment.started,
    }


def _doubt(record: Record) -> str:
    """Why no row of this record may be ranked."""
    state, environment = record.origin.state, record.environment
    if record.identity.method.package is None:
        return "the method was loaded from a file"
    if environment.dirty:
        return "the code had uncommitted changes"
    if state not in ("own", "rerun"):
        return f"{state}: {'nobody but its author has computed it' if state == 'claimed' else 'see its record'}"
    return ""


def _notes(record: Record) -> tuple[str, ...]:
    changes = record.audit.recipe_changes
    notes = [f"changes the recipe: {', '.join(f'{key} {value}' for key, value in changes.items())}"] if changes else []
    if record.environment.dirty is None:
        notes.append("made outside of a checkout, from code that equals MAP's by its hash")
    if record.tuning is not None:
        notes.append(f"tuned on {record.tuning.on}: {', '.join(record.tuning.tried)}")
    return tuple(notes)
