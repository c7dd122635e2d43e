"""The board: a pure fold of records into rows. `leaderboard.formats` shows them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from leaderboard.columns import Column, columns
from leaderboard.cost import CostRecord, cost_of, quartiles, ratios
from leaderboard.record import Record, latest
from leaderboard.statistics import Interval, paired_difference, t_interval, top_group

BASELINE = "map"
"""The method that costs are ratios to."""
BEST = "best"
"""As ``against``: whichever method is best in the column."""


@dataclass(frozen=True)
class Planned:
    """A run that belongs to the table, made or not."""

    run_id: str
    task: str
    method: str
    seed: int


@dataclass(frozen=True)
class Bound:
    """What a row's mean must satisfy to stand in the table: the column's number is at most, or at least, ``limit``."""

    column: Column
    sign: Literal["<=", ">="]
    limit: float

    def holds(self, value: float) -> bool:
        """Whether ``value`` is within; NaN, which says that nothing was measured, is not."""
        return value <= self.limit if self.sign == "<=" else value >= self.limit


@dataclass(frozen=True)
class Row:
    """One method on one task.

    Attributes:
        n: seeds with an ok record.
        ranked: whether the row may be compared with the others; ``reason`` says why not.
        metrics: column key -> mean over seeds and its 95 % t interval, NaN bounds for one seed; for a ratio of costs
            that were alternated with MAP: the median over rounds and its quartiles. None where nothing was measured.
        top: keys of the columns in which the row cannot be told from the best ranked one.
        rounds: of the cost record that ratios are from; 0: they are of separate runs.
    """

    task: str
    method: str
    n: int
    ranked: bool
    reason: str
    metrics: Mapping[str, Interval | None]
    top: frozenset[str] = frozenset()
    rounds: int = 0


@dataclass(frozen=True)
class _Group:
    """The runs of one row, and the numbers of each column by seed (alternated ratios: by round)."""

    task: str
    method: str
    ok: Mapping[int, Record]
    reason: str
    values: Mapping[str, Mapping[int, float]]
    rounds: int


def planned_of(records: Iterable[Record]) -> list[Planned]:
    """The plan that a set of records fulfils by itself."""
    return [Planned(r.run_id, r.task.name, r.method.label, r.seed) for r in latest(list(records)).values()]


def fold(
    records: Sequence[Record],
    planned: Sequence[Planned],
    chosen: Sequence[Column] | None = None,
    *,
    costs: Sequence[CostRecord] = (),
    sort: Column | None = None,
    against: str = "",
    where: Sequence[Bound] = (),
) -> list[Row]:
    """Rows of the board: tasks in the order of the plan, ranked rows first, the best leading.

    Args:
        records: all that there are.
        planned: the runs that the table is about.
        chosen: its columns; None: the default ones.
        costs: measurements of `ivi cost`; where one fits a row, its ratios take the place of those of separate runs.
        sort: the column to sort by; None: NLL on the test set.
        against: a method's label or `BEST`: cells are then paired differences to it, not means.
        where: bounds that every row keeps; the best of a column is then the best of those rows.
    """
    chosen = columns() if chosen is None else chosen
    sort = sort or columns(["nll"])[0]
    needed = list({column.key: column for column in [*chosen, sort, *(bound.column for bound in where)]}.values())
    groups = _groups(records, planned, needed, costs)
    groups = [group for group in groups if all(_keeps(bound, group) for bound in where)]
    rows: list[Row] = []
    for task in dict.fromkeys(group.task for group in groups):
        members = [group for group in groups if group.task == task]
        tops = {column.key: _top(column, members) for column in needed}
        means = {group.method: _mean(group.values[sort.key]) for group in members}
        sign = -1 if sort.better == "higher" else 1
        members.sort(key=lambda g: (bool(g.reason), math.isnan(means[g.method]), sign * means[g.method]))
        rows += [_row(group, members, chosen, tops, against) for group in members]
    return rows


def fold_runs(records: Sequence[Record], planned: Sequence[Planned], *arguments: Any, **options: Any) -> list[Row]:
    """As `fold`, with a row for every run: methods by name, and their seeds."""
    rows = [
        replace(row, method=f"{row.method}, seed {seed}", top=frozenset())
        for seed in dict.fromkeys(run.seed for run in planned)
        for row in fold(records, [run for run in planned if run.seed == seed], *arguments, **options)
    ]
    place = {(run.task, f"{run.method}, seed {run.seed}"): i for i, run in enumerate(sorted(planned, key=_place))}
    return sorted(rows, key=lambda row: place[row.task, row.method])


def values_by_seed(column: Column, records: Mapping[int, Record], base: Mapping[int, Record]) -> dict[int, float]:
    """The column's number of each seed; a cost as its ratio to MAP of the same seed (``base``)."""
    values = {}
    for seed, record in records.items():
        value = column.value(record)
        if value is not None and column.cost:
            reference = column.value(base[seed]) if seed in base else None
            value = value / reference if reference else None
        if value is not None:
            values[seed] = value
    return values


def _groups(
    records: Sequence[Record], planned: Sequence[Planned], needed: Sequence[Column], costs: Sequence[CostRecord]
) -> list[_Group]:
    found = latest(list(records))
    runs: dict[tuple[str, str], list[Planned]] = {}
    for run in planned:
        runs.setdefault((run.task, run.method), []).append(run)
    ok = {
        key: {run.seed: found[run.run_id] for run in mine if run.run_id in found and found[run.run_id].status == "ok"}
        for key, mine in runs.items()
    }
    groups = []
    for (task, method), mine in runs.items():
        records_of, base = ok[task, method], ok.get((task, BASELINE), {})
        values = {column.key: values_by_seed(column, records_of, base) for column in needed}
        measured = cost_of(costs, records_of)
        if measured is not None:
            cost, map_cost, _ = measured
            values |= {column.key: ratios(cost, map_cost, column.cost) for column in needed if column.cost}
        reason = _reason(mine, found, records_of, base)
        groups.append(_Group(task, method, records_of, reason, values, measured[2] if measured else 0))
    return groups


def _top(column: Column, members: Sequence[_Group]) -> list[str]:
    """Methods of the top group, the best first; none where fewer than two can be compared."""
    ranked = [group for group in members if not group.reason and group.values[column.key]]
    same_source = len({bool(group.rounds) for group in ranked}) < 2 or not column.cost
    tested = any(len(group.values[column.key]) > 1 for group in ranked)  # one number each: nothing is told apart
    if len(ranked) < 2 or not column.better or not same_source or not tested:
        return []
    return top_group({group.method: group.values[column.key] for group in ranked}, column.better)


def _row(
    group: _Group, members: Sequence[_Group], chosen: Sequence[Column], tops: Mapping[str, list[str]], against: str
) -> Row:
    metrics = {}
    for column in chosen:
        interval = _interval(column, group)
        if against and not column.cost:
            name = (tops[column.key] or [""])[0] if against == BEST else against
            other = next((other.values[column.key] for other in members if other.method == name), {})
            interval = _difference(group.values[column.key], other)
        metrics[column.key] = interval
    top = frozenset(column.key for column in chosen if group.method in tops[column.key])
    return Row(group.task, group.method, len(group.ok), not group.reason, group.reason, metrics, top, group.rounds)


def _interval(column: Column, group: _Group) -> Interval | None:
    values = list(group.values[column.key].values())
    if not values:
        return None
    return Interval(*quartiles(values)) if column.cost and group.rounds else t_interval(values)


def _difference(mine: Mapping[int, float], other: Mapping[int, float]) -> Interval | None:
    return paired_difference(mine, other) if mine.keys() & other.keys() else None


def _reason(
    runs: Sequence[Planned], found: Mapping[str, Record], ok: Mapping[int, Record], base: Mapping[int, Record]
) -> str:
    """Why a row is not ranked; empty if it is."""
    missing = [run for run in runs if run.seed not in ok]
    if missing:
        first = found.get(missing[0].run_id)
        why = "not run yet" if first is None else f"{first.status}: {first.error.reason if first.error else ''}"
        return f"{len(ok)} of {len(runs)} seeds ok; seed {missing[0].seed} {why}"
    records = list(ok.values())
    if any(record.method.package is None for record in records):
        return "the method was loaded from a file"
    if any(record.environment.dirty for record in records):
        return "the code had uncommitted changes"
    devices = {record.environment.device_name for record in [*records, *base.values()]}
    if len(devices) > 1:
        return f"made on different devices: {', '.join(sorted(devices))}"
    return ""


def _place(run: Planned) -> tuple[str, str, int]:
    return run.task, run.method, run.seed


def _keeps(bound: Bound, group: _Group) -> bool:
    interval = _interval(bound.column, group)
    return interval is not None and bound.holds(interval.mean)


def _mean(values: Mapping[int, float]) -> float:
    return math.fsum(values.values()) / len(values) if values and all(map(math.isfinite, values.values())) else math.nan
