"""Two methods on one task and one metric: over seeds, and over test items where the metric is a mean over items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from leaderboard.columns import Column
from leaderboard.cost import CostRecord, OldCostRecord, cost_of, ratios
from leaderboard.elsewhere import at_hand
from leaderboard.results import Result
from leaderboard.rows import Group, comparable
from leaderboard.scoring import PER_ITEM, per_item
from leaderboard.statistics import Comparison, Interval, compare, item_interval
from leaderboard.table import values_by_seed


class TaskComparison(NamedTuple):
    """What one task says about two methods.

    Attributes:
        task: its name.
        means: of the two methods over the common seeds (alternated costs: rounds).
        seeds: over trainings: would another training say the same?
        items: over test items: would another test set of this size? None where it cannot be had.
        sentence: what ``items`` says, or why it is None.
        left_out: a line for each run or row that may not be paired, and why.
    """

    task: str
    means: tuple[float, float]
    seeds: Comparison
    items: Interval | None
    sentence: str
    left_out: tuple[str, ...] = ()


class LeftOut(NamedTuple):
    """A task on which nothing may be paired, and why."""

    task: str
    reasons: tuple[str, ...]


def compare_methods(
    groups: Sequence[Group],
    methods: tuple[str, str],
    column: Column,
    costs: Sequence[CostRecord | OldCostRecord] = (),
    *,
    over_items: bool = True,
) -> tuple[list[TaskComparison], list[LeftOut]]:
    """Compare two methods on every task on which runs of theirs may stand beside each other.

    Args:
        groups: rows of the board (`leaderboard.rows.groups_of`).
        methods: labels, or names of rows; the difference is the first less the second.
        column: the metric, or a cost as its ratio to MAP: alternated where `ivi cost` measured both, else of the runs.
        costs: measurements of `ivi cost`.
        over_items: whether the interval over test items is made too, for which all predictions are read.

    Raises:
        ValueError: a predictions file is damaged.
    """
    found: list[TaskComparison] = []
    left_out: list[LeftOut] = []
    for task in dict.fromkeys(group.task for group in groups):
        rows = [group for group in groups if group.task == task]
        first, second = (_rows_of(rows, name) for name in methods)
        if not first or not second:
            continue
        one, other, reasons = _pair(first, second)
        compared = _compared(one, other, methods, column, rows, costs, over_items) if one and other else None
        if compared is None:
            left_out.append(LeftOut(task, tuple(reasons)))
        else:
            found.append(compared._replace(left_out=tuple(reasons)))
    return found, left_out


def _rows_of(rows: Sequence[Group], name: str) -> list[Group]:
    """Rows of this name; else those of this label, ranked ones first."""
    exact = [row for row in rows if row.name == name and row.ok]
    labelled = [row for row in rows if row.label == name and row not in exact and row.ok]
    return [*exact, *sorted(labelled, key=lambda row: bool(row.reason))]


def _pair(first: Sequence[Group], second: Sequence[Group]) -> tuple[Group | None, Group | None, list[str]]:
    """The first two rows that have a seed whose runs may be paired, and what is left out."""
    for one in first:
        for other in second:
            if _common(one, other):
                rest = [row for row in (*first, *second) if row is not one and row is not other]
                return one, other, [*map(_reason_of, rest), *_unpaired(one, other)]
    return None, None, [line for row in (*first, *second) if (line := _reason_of(row))]


def _reason_of(row: Group) -> str:
    return f"{row.name}: {row.reason or 'not on the same seeds, or made differently'}"


def _common(one: Group, other: Group) -> list[int]:
    """Seeds of which both have runs that may be paired."""
    seeds = sorted(one.ok.keys() & other.ok.keys())
    return [seed for seed in seeds if comparable(one.ok[seed], other.ok[seed])]


def _unpaired(one: Group, other: Group) -> list[str]:
    """A line about the seeds that one of the two lacks, or whose runs may not be paired."""
    left = sorted((one.ok.keys() | other.ok.keys()) - set(_common(one, other)))
    return [f"seed {', '.join(map(str, left))}: not run by both on the same task, machine and code"] if left else []


def _compared(
    one: Group,
    other: Group,
    methods: tuple[str, str],
    column: Column,
    rows: Sequence[Group],
    costs: Sequence[CostRecord | OldCostRecord],
    over_items: bool,
) -> TaskComparison | None:
    seeds = _common(one, other)
    a, b = ({seed: row.ok[seed] for seed in seeds} for row in (one, other))
    values = _costs(one, other, column, costs) or _values(a, b, column, rows)
    common = sorted(values[0].keys() & values[1].keys())
    if not common:
        return None
    over_seeds = compare(values[0], values[1], methods, column.key, column.better)
    items, sentence = _items(column, list(a.values()), list(b.values())) if over_items else (None, "not asked for")
    mine, theirs = (float(np.mean([side[i] for i in common])) for side in values)
    return TaskComparison(one.task, (mine, theirs), over_seeds, items, sentence)


def _values(
    a: dict[int, Result], b: dict[int, Result], column: Column, rows: Sequence[Group]
) -> tuple[dict[int, float], dict[int, float]]:
    base = next((row.ok for row in rows if row.is_base), {})
    return values_by_seed(column, a, base), values_by_seed(column, b, base)


def _costs(
    one: Group, other: Group, column: Column, costs: Sequence[CostRecord | OldCostRecord]
) -> tuple[dict[int, float], dict[int, float]] | None:
    """Alternated ratios by round, where one measurement has both methods."""
    mine, theirs = (cost_of(costs, row.ok.values()) if column.cost else None for row in (one, other))
    if mine is None or theirs is None or mine.source != theirs.source:
        return None
    return ratios(mine.cost, mine.base, column.cost), ratios(theirs.cost, theirs.base, column.cost)


def _items(column: Column, first: Sequence[Result], second: Sequence[Result]) -> tuple[Interval | None, str]:
    if column.place is None or column.place[1] not in PER_ITEM:
        return None, f"{column.key} is not a mean over test items, so there is no interval over them."
    name, metric = column.place
    found = [[_per_item(result, name, metric) for result in side] for side in (first, second)]
    if any(one is None for side in found for one in side):
        return None, "Predictions are not in this folder, so there is no interval over test items."
    a, b = (np.stack([one for one in side if one is not None]) for side in found)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return None, f"The {metric} of an item is infinite, so there is no interval over test items."
    interval = item_interval(a, b)
    verdict = "excludes 0" if interval.low > 0 or interval.high < 0 else "includes 0"
    sentence = (
        f"Over the {a.shape[1]} items of {name}, these trainings held fixed: 95 % interval of the difference "
        f"{interval.low:.4g} to {interval.high:.4g} (paired bootstrap), which {verdict}."
    )
    return interval, sentence


def _per_item(result: Result, name: str, metric: str) -> np.ndarray | None:
    """[N]: the metric of each item of a set; of ``shift/3``, its mean over the corruptions of that item."""
    kind, _, severity = name.partition("/")

    def is_of_it(key: str) -> bool:
        return key == name or (key.startswith(f"{kind}/") and key.split("/")[2:] == [severity])

    sets = at_hand(result.path, is_of_it)
    if sets is None:
        return None
    if not sets:
        raise ValueError(f"{result.predictions}: no predictions of {name}")
    return np.mean([per_item(metric, one) for one in sets.values()], axis=0)
