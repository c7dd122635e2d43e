"""A run with its scores: what tables, comparisons and figures read, whichever schema its record has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from leaderboard.history import REASON, OldCost, OldEnvironment, OldRecord
from leaderboard.identity import TaskIdentity
from leaderboard.plan import is_base
from leaderboard.record import Cost, Environment, Record
from leaderboard.scores import Scores, ScoresError, read_scores, scores_path
from leaderboard.shelf import PREDICTIONS, Finding, Shelf, beside, many_objects, read_all

if TYPE_CHECKING:
    import pandas as pd

STACK = ("torch", "torchvision", "timm", "numpy")
"""Packages whose version decides numbers, beside our own code and the method's package."""
Metrics = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Result:
    """One run.

    Attributes:
        path: of its record.
        run_id, row, setting: those of its identity; of the first edition what corresponds to them.
        task, version: of the task.
        label: what people call its method; ``method``: name, source and parameters.
        is_base: whether it is a run of MAP as it comes, by all that the record says.
        metrics: evaluation set -> metric -> value; empty for a run that is not ok, or not scored.
        metrics_version: of the metrics, when they were computed.
        device, device_name: class and name.
        stack: versions of `STACK`, and the hash of our code under "code" where it was recorded.
        classes, test_size: of the test set; None where unknown or no classes.
        doubt: why it cannot be ranked, whatever stands beside it; empty if it may.
        notes: what a reader of its row should know.
        likelihood: as in the task's identity.
        identity: the task's; None in the first edition.
        started: when it was made, as ISO 8601.
        state: what the board has seen of it: `record.State`, or ``stale``.
        beside: of a submitted run: MAP's runs of its machine, by seed.
    """

    path: Path
    run_id: str
    row: str
    setting: str
    task: str
    version: int
    label: str
    method: tuple[object, ...]
    is_base: bool
    seed: int
    attempt: int
    status: str
    reason: str
    metrics: Metrics
    cost: Cost | OldCost | None
    device: str
    device_name: str
    stack: tuple[tuple[str, str], ...]
    doubt: str = ""
    notes: tuple[str, ...] = ()
    metrics_version: int = 1
    is_history: bool = False
    likelihood: str = "categorical"
    classes: int | None = None
    test_size: int | None = None
    identity: TaskIdentity | None = field(default=None, repr=False)
    started: str = ""
    state: str = "own"
    beside: Mapping[int, Result] = field(default_factory=dict, repr=False)

    @property
    def predictions(self) -> Path:
        """Where its predictions lie, if they are here."""
        return beside(self.path, PREDICTIONS)

    @property
    def code(self) -> str:
        """What says whether two attempts were made with the same code."""
        return dict(self.stack).get("code", "")

    @property
    def is_ok(self) -> bool:
        """Whether it succeeded and its numbers are known."""
        return self.status == "ok" and bool(self.metrics)


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


def load_results(folder: Path) -> Results:
    """Every result below ``folder``. A table reads scores only: it opens no predictions."""
    with many_objects():
        return results_of(read_all(folder))


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
        path=path,
        run_id=record.run_id,
        row=identity.row,
        setting=identity.setting,
        task=identity.task.name,
        version=identity.task.version,
        label=record.label,
        method=(method.name, method.source, method.resolved),
        is_base=is_base(method, record.label == "map"),
        seed=identity.seed,
        attempt=record.attempt,
        status=record.status,
        reason=record.error.reason if record.error else "",
        metrics=scores.sets if scores else {},
        metrics_version=scores.metrics_version if scores else 0,
        cost=record.cost,
        device=identity.device,
        device_name=record.environment.device_name,
        stack=stack_of(record.environment),
        doubt=doubt or _doubt(record),
        notes=_notes(record),
        likelihood=identity.task.likelihood,
        classes=identity.task.outputs if identity.task.likelihood == "categorical" else None,
        test_size=test.n if test else None,
        identity=identity.task,
        started=record.environment.started,
        state=record.origin.state,
    )


def old_result(path: Path, record: OldRecord) -> Result:
    """The result of a record of the first edition: its metrics are in it, and it is never ranked."""
    method, environment = record.method, record.environment
    return Result(
        path=path,
        run_id=record.run_id,
        row=record.row,
        setting=record.setting,
        task=record.task.name,
        version=record.task.version,
        label=method.label,
        method=(method.name, method.source_sha256, method.resolved),
        is_base=method.label == "map" and method.package == "ivi-bench",
        seed=record.seed,
        attempt=record.attempt,
        status=record.status,
        reason=record.error.reason if record.error else "",
        metrics=record.metrics,
        cost=record.cost,
        device=environment.device,
        device_name=environment.device_name,
        stack=stack_of(environment),
        doubt=REASON,
        is_history=True,
        started=environment.started,
    )


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
