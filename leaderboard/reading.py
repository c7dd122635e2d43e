"""Results for Python: the numbers of the board as tables of pandas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from leaderboard.columns import Column, column, every
from leaderboard.compare import compare_methods
from leaderboard.cost import CostRecord, OldCostRecord, read_costs
from leaderboard.plan import Plan, folder_of, plans, read_plan
from leaderboard.results import Result, frame, load_results
from leaderboard.rows import Group, groups_of
from leaderboard.shelf import Finding
from leaderboard.store import latest
from leaderboard.submission.board import with_submissions
from leaderboard.table import fold

ROWS = ["task", "method", "column", "mean", "low", "high", "n", "ranked", "reason", "best", "state"]
DIFFERENCES = ["task", "method", "against", "difference", "low", "high", "p", "n", "reason"]


@dataclass(frozen=True)
class Loaded:
    """A folder of records.

    Attributes:
        folder: where they lie.
        results: one entry for every record.
        plan: of the suite that was asked for; None: everything in the folder is shown.
        costs: measurements of `ivi cost`.
        findings: files that are none of the folder's records, and what is wrong with each.
    """

    folder: Path
    results: Sequence[Result] = field(repr=False)
    plan: Plan | None = field(repr=False)
    costs: Sequence[CostRecord | OldCostRecord] = field(repr=False)
    findings: Sequence[Finding] = field(repr=False)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """A row for every record: who made what, how it ended, and a column ``set:metric`` for every metric.

        The columns of identity are those of `leaderboard.results.frame`. ``counts`` says which attempt of a run the
        board shows; the others are there to be seen. NaN where not measured.
        """
        made, counting = frame(self.results), latest(self.results)
        made.insert(list(made.columns).index("attempt") + 1, "counts", [counting[r.run_id] is r for r in self.results])
        return made

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The board in long form: a row for every method of a task and every column in which it has a number.

        ``mean``, ``low`` and ``high`` are what `ivi table` shows: mean over ``n`` seeds and its 95 % t interval, NaN
        bounds for one seed; of a cost that was alternated with MAP the median and the quartiles. ``ranked``: whether
        the row may be compared, else ``reason`` says why not; ``best``: not told from the best of the column;
        ``state``: as `leaderboard.table.Row` has it.
        """
        board = fold(self.results, self.plan, _columns(self.results), costs=self.costs)
        lines: list[list[Any]] = []
        for row in board.rows:
            shown = ((key, interval) for key, interval in row.metrics.items() if interval is not None)
            lines += [
                [row.task, row.method, key, *interval, row.n, row.ranked, row.reason, key in row.top, row.state]
                for key, interval in shown
            ]
        return pd.DataFrame(lines, columns=ROWS)

    def differences(self, metric: str = "nll", against: str = "map") -> pd.DataFrame:
        """Every method less ``against``, paired by seed, on every task that has both.

        ``difference``, ``low``, ``high``: mean and 95 % t interval over the ``n`` seeds of which both have runs that
        may be paired; ``p``: of the paired t test, not corrected for the number of methods. Where nothing may be paired
        the numbers are NaN, ``n`` is 0 and ``reason`` says why.

        Args:
            metric: a column of the board: ``nll``, ``auroc_near``, ``validation:ece``, ``fit`` ...
            against: the name of a row.

        Raises:
            ValueError: no such column or row.
        """
        chosen, groups = column(metric, self.results), groups_of(self.results, self.plan)
        if not any(against in (group.name, group.label) for group in groups):
            raise ValueError(f"no row {against!r}: there is {', '.join(sorted({group.name for group in groups}))}")
        lines = [
            self._difference(group, against, chosen, [other for other in groups if other.task == group.task])
            for group in groups
            if against != group.name
        ]
        return pd.DataFrame([line for line in lines if line], columns=DIFFERENCES)

    def _difference(self, group: Group, against: str, chosen: Column, rows: Sequence[Group]) -> list[Any]:
        """One line of `differences`; [] where the task has no row to compare with."""
        if not any(against in (row.name, row.label) for row in rows):
            return []
        names = (group.name, against)
        found, left_out = compare_methods(rows, names, chosen, self.costs, over_items=False)
        if found:
            compared = found[0].seeds
            return [group.task, *names, *compared.difference, compared.p, compared.seeds, ""]
        is_measured = not chosen.place or any(chosen.value(one) is not None for one in group.ok.values())
        reason = "; ".join(reason for one in left_out for reason in one.reasons) or "no run that is ok"
        return [group.task, *names, *[float("nan")] * 4, 0, reason if is_measured else f"no {chosen.key} measured"]


def read(folder: Path, suite: str | None = None) -> Loaded:
    """As `leaderboard.load`."""
    folder = folder if suite is None else folder_of(folder, suite)
    results, findings = load_results(folder)
    results, more = with_submissions(results, folder)
    findings, costs = [*findings, *more], read_costs(folder)
    if not results:
        raise ValueError(
            f"no records in {folder}: make some with 'ivi run quick --out {folder}', or name another folder"
        )
    plan = None if suite is None else read_plan(folder, suite)
    if suite is not None and plan is None:
        known = ", ".join(one.suite for one in plans(folder)) or "none"
        raise ValueError(f"no plan of suite {suite!r} in {folder}: there is {known}")
    return Loaded(folder, results, plan, costs.records, [*findings, *costs.findings])


def _columns(results: Sequence[Result]) -> list[Column]:
    """Every column once: ``nll`` and not ``test:nll`` too, which is the same number."""
    found: dict[object, Column] = {}
    for one in every(results):
        found.setdefault(one.place or one.key, one)
    return list(found.values())
