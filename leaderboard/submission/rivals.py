"""A bundle beside the board: its MAP against ours, its predictions against all others, its numbers against the best."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from leaderboard.columns import Column, columns
from leaderboard.elsewhere import at_hand
from leaderboard.identity import array_sha256
from leaderboard.plan import is_base
from leaderboard.predictions import AnyPredictions, Categorical
from leaderboard.record import Record
from leaderboard.results import Result, result_of, results_of
from leaderboard.rows import groups_of
from leaderboard.scores import Scores
from leaderboard.shelf import Shelf, read_all
from leaderboard.statistics import detectable_difference
from leaderboard.student import half_width
from leaderboard.submission.case import Case, Entry
from leaderboard.submission.findings import Finding, doubted, noted
from leaderboard.submission.numbers import Metrics

NEAR = 1e-4
"""Mean difference of two predictions (of probabilities; of means in deviations of the labels) that two trainings never
have: seeds of one method differ by a hundred times as much."""
CONFIDENCE = 0.999
"""Of the interval in which a stranger's MAP must lie: one honest bundle in a thousand is asked for a second look."""
HALF = 0.6
"""Share of the best row's loss or error below which a row is asked for a re-run, whatever the seeds can tell."""
_LEAST = {"accuracy": 0.01, "nll": 0.02, "rmse": 0.0, "crps": 0.0, "auroc_near": 0.02, "auroc_far": 0.02}
"""Columns of which `HALF` is asked, and the loss below which halves come by chance."""


@dataclass
class Published:
    """What is on the board.

    Attributes:
        shelf: our own records of this edition: what MAP is, and what the best rows are.
        strangers: records of other submissions: nobody may copy from them, and nothing is concluded from them.
    """

    shelf: Shelf = field(default_factory=lambda: Shelf([], [], [], []), repr=False)
    strangers: list[tuple[Path, Record]] = field(default_factory=list, repr=False)

    @classmethod
    def of(cls, folder: Path, strangers: Iterable[Path] = ()) -> Published:
        """Everything below ``folder``, and below the folders of records of ``strangers``; bad files are left out."""
        shelves = [read_all(one) for one in strangers]
        return cls(read_all(folder), [pair for one in shelves for pair in zip(one.paths, one.records, strict=True)])

    def __post_init__(self) -> None:
        self._arrays: dict[Path, np.ndarray | None] = {}

    @cached_property
    def map_sources(self) -> frozenset[str]:
        """Source hashes of MAP rows."""
        return frozenset(one.identity.method.source for one in self.shelf.records if _is_map(one))

    @cached_property
    def codes(self) -> frozenset[str]:
        """Hashes of our own code with which rows were made."""
        return frozenset(one.environment.code for one in self.shelf.records)

    @cached_property
    def results(self) -> list[Result]:
        """Every run with its scores."""
        return results_of(self.shelf).results

    def runs(self, task: str) -> Iterator[tuple[Path, Record]]:
        """Our own runs of a task that are ok."""
        for path, record in zip(self.shelf.paths, self.shelf.records, strict=True):
            if record.identity.task.name == task and record.status == "ok":
                yield path, record

    def everybodys(self, task: str) -> Iterator[tuple[Path, Record]]:
        """The same, and those of other submissions."""
        yield from self.runs(task)
        for path, record in self.strangers:
            if record.identity.task.name == task and record.status == "ok":
                yield path, record

    def answers(self, path: Path) -> np.ndarray | None:
        """What `answers` gives of the test predictions of the run at ``path``, if they are here."""
        if path not in self._arrays:
            try:
                found = at_hand(path, "test".__eq__) or {}
            except (OSError, ValueError):
                found = {}
            self._arrays[path] = answers(found["test"]) if "test" in found else None
        return self._arrays[path]


def answers(one: AnyPredictions) -> np.ndarray:
    """Probabilities [N, C], or means [N, 1] in deviations of the labels: what copies are told by."""
    if isinstance(one, Categorical):
        return np.exp(one.log_probs)
    scale = float(np.std(one.labels)) if one.labels is not None else 1.0
    return one.mean[:, None] / (scale or 1.0)


def _is_map(record: Record) -> bool:
    return is_base(record.identity.method, record.label == "map")


def rivals(case: Case, metrics: Mapping[str, Metrics], published: Published) -> Iterator[Finding]:
    """What a bundle's numbers look like beside the board's."""
    yield from _copies(case, published)
    for task in case.seeds:
        yield from _map_agrees(case, task, metrics, published)
        yield from _too_good(case, task, metrics, published)


def _copies(case: Case, published: Published) -> Iterator[Finding]:
    """Predictions that another run has made, on the board or in the bundle. A run that went on from MAP and says so may
    have MAP's; MAP itself is asked only whether it is another MAP, since others may come out near it."""
    for task in case.seeds:
        there = sorted(case.counting.values(), key=lambda one: not one.is_map)
        mine = [(one, answers(one.sets["test"])) for one in there if _has_test(one, task)]
        others, unseen = _published(task, published)
        if unseen:
            what = f"the test predictions of {unseen} published runs are not here: copies of those were not looked for"
            mend = "in a clone with its history they are: git fetch --unshallow"
            yield noted("copied", f"records/{task}", what, mend)
        for i, (entry, array) in enumerate(mine):
            beside_it = [(one.run, one.record, other) for one, other in mine[:i]]
            for name, record, other in (*beside_it, *others):
                if entry.is_map and not _is_map(record) or _may_be_equal(entry.record, record):
                    continue
                if near(array, other):
                    yield _copied(entry, name, record)
                    break
        yield from _equal_sets(task, case)


def _published(task: str, published: Published) -> tuple[list[tuple[str, Record, np.ndarray]], int]:
    """Every run of a task with its name and answers, and how many there are whose answers are not here."""
    found, unseen = [], 0
    for path, record in published.everybodys(task):
        array = published.answers(path)
        if array is None:
            unseen += 1
        else:
            found.append((f"the published {record.label} seed {record.identity.seed}", record, array))
    return found, unseen


def _copied(entry: Entry, name: str, record: Record) -> Finding:
    what = f"the predictions of {entry.run} are those of {name}"
    if _is_map(record) and record.identity.seed == entry.record.identity.seed and not entry.is_map:
        return doubted("like map", entry.where, what, "a re-run shows whether the source makes them: 'ivi review'")
    return doubted("copied", entry.where, what, "submit what the method predicted; a re-run to the bit shows it")


def _has_test(entry: Entry, task: str) -> bool:
    return entry.record.identity.task.name == task and "test" in entry.sets


def near(array: np.ndarray, other: np.ndarray, within: float = NEAR) -> bool:
    """Whether two `answers` are nearer to each other than those of two trainings."""
    return array.shape == other.shape and float(np.abs(array - other).mean()) < within


def _may_be_equal(one: Record, other: Record) -> bool:
    if one.run_id == other.run_id:
        return True
    shared = {*one.audit.shared.values(), one.audit.state} & {*other.audit.shared.values(), other.audit.state} - {None}
    return one.identity.seed == other.identity.seed and bool(shared) and (_is_map(one) or _is_map(other))


def _equal_sets(task: str, case: Case) -> Iterator[Finding]:
    """Any set whose predictions two seeds share to the bit."""
    seen: dict[tuple[str, str], Entry] = {}
    for entry in sorted(case.counting.values(), key=lambda one: not one.is_map):
        if entry.record.identity.task.name != task:
            continue
        for name, one in entry.sets.items():
            first = seen.setdefault((name, array_sha256(answers(one))), entry)
            if first is not entry and not _may_be_equal(first.record, entry.record):
                yield _copied(entry, f"{first.run} on {name}", first.record)


def _map_agrees(case: Case, task: str, metrics: Mapping[str, Metrics], published: Published) -> Iterator[Finding]:
    """MAP of the submitter's machine against ours: to the bit at equal code and processor, else within the interval."""
    mine = case.ok(task, is_map=True)
    truth = case.truths[task]
    ours = {r.run_id: r for _, r in published.runs(task) if _is_map(r) and r.identity.task == truth.task}
    where = f"records/{task}/map"
    if not ours:
        yield doubted(
            "map", where, "there is no published MAP row of this task to hold it against", "publish one first"
        )
        return
    for entry in mine.values():
        other = ours.get(entry.record.run_id)
        if other is None or _machine(other) != _machine(entry.record):
            continue
        if (other.predictions and other.predictions.sha256) != _sha(entry.record):
            what = "is not the published MAP run to the bit, at the same code, packages and processor"
            yield doubted("map", entry.where, what, "run MAP again: 'ivi run --retry', then submit")
    theirs = [one for one in published.results if one.run_id in ours and one.is_ok]
    for key in ("nll", "accuracy") if truth.task.likelihood == "categorical" else ("nll", "rmse"):
        a = [metrics[one.record.run_id].get("test", {}).get(key, math.nan) for one in mine.values()]
        b = [one.metrics.get("test", {}).get(key, math.nan) for one in theirs]
        yield from _within(where, key, np.array(a), np.array(b))


def _within(where: str, key: str, mine: np.ndarray, ours: np.ndarray) -> Iterator[Finding]:
    n, m = len(mine), len(ours)
    if n == 0 or m < 2:
        what = "cannot be held against the published one: too few seeds"
        yield doubted("map", where, what, "two published and one submitted seed at least")
        return
    pooled = (np.var(mine) * n + np.var(ours) * m) / (n + m - 2)
    half = half_width(n + m - 2, CONFIDENCE) * math.sqrt(pooled * (1 / n + 1 / m))
    difference = float(mine.mean() - ours.mean())
    if not abs(difference) <= half + 1e-12:
        what = f"test {key} of MAP is {mine.mean():.4g}, the published one {ours.mean():.4g} (interval ± {half:.2g})"
        yield doubted("map", where, what, "run MAP again with the board's code and packages")


def _machine(record: Record) -> tuple[object, ...]:
    where = record.environment
    return (where.code, where.cpu, where.capability, where.threads, record.identity.device, where.packages.get("torch"))


def _sha(record: Record) -> str | None:
    return record.predictions.sha256 if record.predictions else None


def _too_good(case: Case, task: str, metrics: Mapping[str, Metrics], published: Published) -> Iterator[Finding]:
    """Better than the best of the board by more than its seeds can tell: such a row is re-run before it is believed."""
    mine = [_result(one, metrics) for one in case.ok(task, is_map=False).values()]
    setting = {one.setting for one in mine}
    known = [one for one in published.results if one.task == task and one.setting in setting]
    known = known or [_result(one, metrics) for one in case.ok(task, is_map=True).values()]
    groups = [group for group in groups_of(known) if len(group.ok) > 1]
    if not mine or not groups:
        return
    for one in columns(None, [*known, *mine]):
        if one.cost or not one.better:
            continue
        by_row = {group.name: _by_seed(one, group.ok.values()) for group in groups}
        found = _beyond(one, _by_seed(one, mine), {name: row for name, row in by_row.items() if len(row) > 1})
        if found:
            yield doubted("too good", f"records/{task}", found, "a re-run with fresh seeds shows it: 'ivi review'")


def _beyond(one: Column, mine: Mapping[int, float], rows: Mapping[str, Mapping[int, float]]) -> str:
    """In what ``mine`` is better than every row by more than the smallest detectable difference, or by half."""
    if not rows or not mine:
        return ""
    sign = -1.0 if one.better == "higher" else 1.0
    means = {name: float(np.mean(list(row.values()))) for name, row in rows.items()}
    best, value = min(means, key=lambda name: sign * means[name]), float(np.mean(list(mine.values())))
    gain = sign * (means[best] - value)
    smallest = detectable_difference({**rows, "this": mine}) if len(mine) > 1 else math.inf
    loss, least = (1 - value, 1 - means[best]) if one.better == "higher" else (value, means[best])
    halved = least > _LEAST.get(one.key, math.inf) and loss < HALF * least
    if math.isfinite(gain) and gain > 0 and (gain > smallest or halved):
        return f"{one.title.rstrip(' ↑↓')} {value:.4g}, the best of the board has {means[best]:.4g} ({best})"
    return ""


def _by_seed(one: Column, results: Iterable[Result]) -> dict[int, float]:
    values = {result.seed: one.value(result) for result in results}
    return {seed: value for seed, value in values.items() if value is not None and math.isfinite(value)}


def _result(entry: Entry, metrics: Mapping[str, Metrics]) -> Result:
    record = entry.record
    sets = {name: dict(row) for name, row in metrics.get(record.run_id, {}).items()}
    scores = Scores(kind=record.identity.task.likelihood, predictions=_sha(record) or "0" * 64, sets=sets)
    return result_of(entry.path, record, scores)
