"""The board: a pure fold of results into rows. `leaderboard.views` show them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from leaderboard.choice import Choice
from leaderboard.columns import Column, column, columns
from leaderboard.cost import CostRecord, Measured, OldCostRecord, cost_of, quartiles, ratios
from leaderboard.marks import Marks, marks_of, mean_of
from leaderboard.plan import Plan
from leaderboard.results import Result
from leaderboard.rows import Group, comparable, groups_of
from leaderboard.statistics import Interval, detectable_difference, paired_difference, t_interval

BEST = "best"
"""As ``against``: whichever method is best in the column."""
Costs = Sequence[CostRecord | OldCostRecord]


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
        method: what the row is called.
        n: seeds with an ok record.
        ranked: whether the row may be compared with the others; ``reason`` says why not.
        metrics: column key -> mean over seeds and its 95 % t interval within the metric's range, NaN bounds for one
            seed; for a ratio of costs that were alternated with MAP: the median over rounds and its quartiles. None
            where nothing was measured.
        top: keys of the columns in which the row is in the best group; ``worse``: in which it was told to be worse.
        state: what the board has seen of it: ``own``: it was made here; else `record.State`, or ``stale``.
        notes: footnotes.
        rounds: of the cost record that ratios are from; 0: they are of separate runs.
    """

    task: str
    method: str
    n: int
    ranked: bool
    reason: str
    metrics: Mapping[str, Interval | None]
    top: frozenset[str] = frozenset()
    worse: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    rounds: int = 0
    state: str = "own"


@dataclass(frozen=True)
class Board:
    """Rows, the columns they have, and what no table of these seeds could show.

    Attributes:
        detectable: task -> column key -> the smallest difference that as many seeds as were run would probably tell.
    """

    rows: list[Row]
    columns: Sequence[Column]
    detectable: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    against: str = ""


@dataclass(frozen=True)
class Line:
    """A group with the numbers of each column, by seed (alternated ratios: by round)."""

    group: Group
    values: Mapping[str, Mapping[int, float]]
    measured: Measured | None

    @property
    def name(self) -> str:
        """Of its row."""
        return self.group.name

    @property
    def is_ranked(self) -> bool:
        """Whether it may be compared."""
        return not self.group.reason

    def interval(self, one: Column) -> Interval | None:
        """What its cell shows."""
        values = list(self.values[one.key].values())
        if not values:
            return None
        found = Interval(*quartiles(values)) if one.cost and self.measured else t_interval(values)
        return one.clipped(found, _kind(self.group))


def fold(
    results: Sequence[Result],
    plan: Plan | None = None,
    chosen: Sequence[Column] | None = None,
    *,
    costs: Costs = (),
    sort: Column | None = None,
    against: str = "",
    where: Sequence[Bound] = (),
    tasks: Sequence[str] | None = None,
    runs: bool = False,
    choice: Choice | None = None,
) -> Board:
    """Rows of the board: tasks in the order of the plan, ranked rows first, the best leading.

    Args:
        results: all that there are.
        plan: what the table is about; None: all results.
        chosen: its columns; None: the default ones.
        costs: measurements of `ivi cost`; where one fits a row of a task, those of separate runs are left out.
        sort: the column to sort by; None: NLL on the test set.
        against: a row's name or `BEST`: cells are then paired differences to it, not means.
        where: bounds that every row keeps; the best of a column is then the best of those rows. What they are compared
            ``against`` need not keep them.
        tasks: only these.
        runs: a row for every run, methods by name, and their seeds.
        choice: of rows that differ in one hyperparameter only those that it chooses.
    """
    groups = groups_of(results, plan, tasks)
    if choice is not None:
        groups = choice.of(groups)
    board_of = partial(
        _board, chosen=columns() if chosen is None else chosen, costs=costs, sort=sort, against=against, where=where
    )
    return _run_by_run(groups, board_of) if runs else board_of(groups)


def _run_by_run(groups: Sequence[Group], board_of: Callable[[Sequence[Group]], Board]) -> Board:
    """A board of every seed alone, their rows beside each other: methods by name, and their seeds."""
    seeds = sorted({seed for group in groups for seed in group.runs})
    boards = [board_of([_of_seed(group, seed) for group in groups if seed in group.runs]) for seed in seeds]
    rows = [
        replace(row, method=f"{row.method}, seed {seed}")
        for seed, board in zip(seeds, boards, strict=True)
        for row in board.rows
    ]
    places = {(group.task, f"{group.name}, seed {seed}"): (i, seed) for i, group in enumerate(groups) for seed in seeds}
    order = {group.task: i for i, group in reversed(list(enumerate(groups)))}
    rows.sort(key=lambda row: (order[row.task], places[row.task, row.method]))
    return replace(board_of([]), rows=rows)


def _of_seed(group: Group, seed: int) -> Group:
    """The group with one seed alone; it is ranked if that run would be."""
    pick = {key: {s: one for s, one in getattr(group, key).items() if s == seed} for key in ("runs", "results", "ok")}
    reason = "" if group.state == "seeds" and pick["ok"] else group.reason
    if group.state == "seeds" and not pick["ok"]:
        result = group.results.get(seed)
        reason = f"{result.status}: {result.reason}" if result and not result.is_ok else "not run yet"
    return replace(group, reason=reason, notes=(), **pick)


def values_by_seed(one: Column, results: Mapping[int, Result], base: Mapping[int, Result]) -> dict[int, float]:
    """The column's number of each seed; a cost as its ratio to MAP of the same seed (``base``)."""
    values = {seed: value for seed, result in results.items() if (value := one.value(result)) is not None}
    if not one.cost:
        return values
    others = {seed: base[seed] for seed in values if seed in base and comparable(base[seed], results[seed])}
    references = {seed: one.value(other) for seed, other in others.items()}
    return {seed: values[seed] / reference for seed, reference in references.items() if reference}


def _board(
    groups: Sequence[Group],
    chosen: Sequence[Column],
    costs: Costs,
    sort: Column | None,
    against: str,
    where: Sequence[Bound],
) -> Board:
    sort = sort or column("nll")
    needed = list({one.key: one for one in [*chosen, sort, *(bound.column for bound in where)]}.values())
    rows: list[Row] = []
    detectable: dict[str, dict[str, float]] = {}
    for task in dict.fromkeys(group.task for group in groups):
        every = lines_of([group for group in groups if group.task == task], needed, costs)
        kept = [line for line in every if all(_keeps(bound, line) for bound in where)]
        marks = {one.key: _marks(one, kept) for one in needed}
        sign = -1 if sort.better == "higher" else 1
        means = {line.name: mean_of(line.values[sort.key]) for line in kept}
        kept.sort(key=lambda line: (not line.is_ranked, math.isnan(means[line.name]), sign * means[line.name]))
        rows += [_row(line, every, chosen, marks, against) for line in kept]
        detectable[task] = _detectable(chosen, kept)
    return Board(rows, chosen, detectable, against)


def lines_of(groups: Sequence[Group], needed: Sequence[Column], costs: Costs) -> list[Line]:
    """The rows of one task with their numbers. Ratios of runs stand only where `ivi cost` measured none of the rows."""
    measured = {group.name: cost_of(costs, group.ok.values()) for group in groups}
    alternated = any(measured.values())
    base = next((group.ok for group in groups if group.is_base), {})
    lines = []
    for group in groups:
        found, theirs = measured[group.name], group.one.beside if group.one else {}
        in_turns = alternated and (not theirs or found is not None)  # what others have measured stays untested
        chosen = [one for one in needed if not (one.cost and in_turns)]
        values = {one.key: values_by_seed(one, group.ok, theirs or base) for one in chosen}
        for one in needed:
            if one.cost and in_turns:
                values[one.key] = ratios(found.cost, found.base, one.cost) if found else {}
        lines.append(Line(group, values, found))
    return lines


def _marks(one: Column, lines: Sequence[Line]) -> Marks:
    ranked = [line for line in lines if line.is_ranked and line.values[one.key]]
    ranked = [line for line in ranked if line.group.standing == "own" or line.measured or not one.cost]
    sources = {line.measured.source if line.measured else "" for line in ranked} if one.cost else {"seeds"}
    return marks_of({line.name: line.values[one.key] for line in ranked}, one.better, sources)


def _row(line: Line, every: Sequence[Line], chosen: Sequence[Column], marks: Mapping[str, Marks], against: str) -> Row:
    metrics: dict[str, Interval | None] = {}
    for one in chosen:
        metrics[one.key] = line.interval(one)
        if against and not one.cost:
            name = marks[one.key].best if against == BEST else against
            metrics[one.key] = next((_difference(one, line, other) for other in every if other.name == name), None)
    group = line.group
    keys = {kind: frozenset(one.key for one in chosen if line.name in getattr(marks[one.key], kind)) for kind in _KINDS}
    rounds = line.measured.rounds if line.measured else 0
    return Row(
        group.task, line.name, len(group.ok), line.is_ranked, group.reason, metrics, **keys,
        notes=group.notes, rounds=rounds, state=group.standing,
    )  # fmt: skip


_KINDS = ("top", "worse")


def _difference(one: Column, line: Line, other: Line) -> Interval | None:
    """The paired difference over the seeds of runs that may stand beside each other."""
    mine, theirs = line.group.ok, other.group.ok
    seeds = [seed for seed in mine.keys() & theirs.keys() if comparable(mine[seed], theirs[seed])]
    a, b = line.values[one.key], other.values[one.key]
    seeds = [seed for seed in sorted(seeds) if seed in a and seed in b]
    return paired_difference({s: a[s] for s in seeds}, {s: b[s] for s in seeds}) if seeds else None


def _detectable(chosen: Sequence[Column], lines: Sequence[Line]) -> dict[str, float]:
    """The minimum detectable difference of each column that is tested over seeds, of rows that trained.

    One row with a seed at chance would make it that between training and not.
    """
    trained = [line for line in lines if line.is_ranked and not line.group.at_chance]
    found = {}
    for one in chosen:
        values = {line.name: line.values[one.key] for line in trained if line.values[one.key]}
        if one.cost or not one.better or len(values) < 2:
            continue
        smallest = detectable_difference(values)
        if math.isfinite(smallest):
            found[one.key] = smallest
    return found


def _keeps(bound: Bound, line: Line) -> bool:
    interval = line.interval(bound.column)
    return interval is not None and bound.holds(interval.mean)


def _kind(group: Group) -> Literal["categorical", "gaussian"]:
    return "gaussian" if group.one is not None and group.one.likelihood == "gaussian" else "categorical"
