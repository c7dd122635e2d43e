"""Folders of records as a site shows them: the boards in them, and the record behind every run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from leaderboard.columns import Column, columns
from leaderboard.cost import CostRecord, OldCostRecord, read_costs
from leaderboard.history import OldRecord
from leaderboard.plan import Plan, plans
from leaderboard.record import Record
from leaderboard.results import Result, results_of
from leaderboard.rows import Group, groups_of
from leaderboard.shelf import Finding, looks_like_record, many_objects, read_all
from leaderboard.submission.board import bundles_beside, with_submissions
from leaderboard.submission.manifest import RECORDS
from leaderboard.table import Board, Line, fold, lines_of


@dataclass(frozen=True)
class BoardRead:
    """One board: what `ivi table` shows of a folder, for a plan or for all that no plan has.

    Attributes:
        key: names it in addresses; ``folder``: what ``--folder`` of the commands must be.
        suite: of its plan; empty without one.
        columns: every column that has a number, and the default ones; ``default``: keys of those.
        board: with all of ``columns``.
        lines: by task and name of the row, its numbers by seed or round.
    """

    key: str
    title: str
    folder: Path
    suite: str
    plan: Plan | None = field(repr=False)
    results: Sequence[Result] = field(repr=False)
    costs: Sequence[CostRecord | OldCostRecord] = field(repr=False)
    columns: Sequence[Column]
    default: tuple[str, ...]
    board: Board = field(repr=False)
    lines: dict[tuple[str, str], Line] = field(repr=False)

    @property
    def tasks(self) -> list[str]:
        """Names of its tasks, in the order of the table."""
        return list(dict.fromkeys(row.task for row in self.board.rows))


@dataclass(frozen=True)
class Library:
    """All boards below a folder, the record of each run by its file, and the files that are none."""

    boards: list[BoardRead]
    records: dict[Path, Record | OldRecord] = field(repr=False)
    findings: list[Finding]


def read_library(folder: Path, suites: Mapping[str, str] | None = None) -> Library:
    """The boards of ``folder``: its own, or those of the folders in it where it is none of records; the largest first.

    Args:
        folder: of records, or of such folders.
        suites: name of a suite -> what it is: for folders that are called as one and have no plan.

    Raises:
        RecordError: a plan is damaged.
    """
    boards: list[BoardRead] = []
    records: dict[Path, Record | OldRecord] = {}
    findings: list[Finding] = []
    for one in _folders(folder):
        with many_objects():
            shelf = read_all(one)
        results, found = results_of(shelf)
        results, more = with_submissions(results, one)
        costs = read_costs(one)
        findings += [*found, *more, *costs.findings]
        records |= dict(zip(shelf.paths, shelf.records, strict=True)) | dict(shelf.history)
        records |= _submitted(one, {result.path for result in results})
        boards += _boards(one, results, costs.records, suites or {})
    return Library(sorted(boards, key=_weight, reverse=True), records, findings)


def _weight(board: BoardRead) -> int:
    """How much stands on a board: its ranked runs. What has most of them is shown first."""
    return sum(row.n for row in board.board.rows if row.ranked)


def _submitted(folder: Path, shown: Collection[Path]) -> dict[Path, Record | OldRecord]:
    """The records of submissions beside ``folder`` whose runs are ``shown``."""
    shelves = [read_all(bundle / RECORDS) for bundle in bundles_beside(folder)]
    pairs = [pair for shelf in shelves for pair in zip(shelf.paths, shelf.records, strict=True)]
    return {path: record for path, record in pairs if path in shown}


def _folders(folder: Path) -> list[Path]:
    """``folder`` where it holds records or a plan; else those of its folders that do."""
    if _is_of_records(folder):
        return [folder]
    return [inner for inner in sorted(folder.iterdir()) if inner.is_dir() and _is_of_records(inner)]


def _is_of_records(folder: Path) -> bool:
    return any(folder.glob("*.plan.json")) or any(looks_like_record(path.name) for path in folder.glob("*/*/*.json"))


def _boards(
    folder: Path, results: Sequence[Result], costs: Sequence[CostRecord | OldCostRecord], suites: Mapping[str, str]
) -> list[BoardRead]:
    """A board for each plan, and one for what was made on tasks of none."""
    found = plans(folder)
    boards = [_board(folder, plan.suite, plan.description, results, costs, plan, None) for plan in found]
    planned = {run.task for plan in found for run in plan.runs}
    rest = list(dict.fromkeys(one.task for one in results if one.task not in planned))
    if rest:
        name = folder.resolve().name
        title = suites.get(name, f"All records of {name}")
        boards.append(_board(folder, "", title, results, costs, None, rest if found else None))
    return boards


def _board(
    folder: Path,
    suite: str,
    title: str,
    results: Sequence[Result],
    costs: Sequence[CostRecord | OldCostRecord],
    plan: Plan | None,
    tasks: Sequence[str] | None,
) -> BoardRead:
    groups = groups_of(results, plan, tasks)
    of_board = [one for group in groups for one in group.results.values()]
    chosen = columns(None, of_board)
    every = list({one.key: one for one in [*chosen, *columns(["all"], of_board)]}.values())
    lines = _lines(groups, every, costs)
    measured = {key for line in lines.values() for key, values in line.values.items() if values}
    default = tuple(one.key for one in chosen)
    kept = [one for one in every if one.key in measured or one.key in default]
    made = fold(results, plan, kept, costs=costs, tasks=tasks)
    name = folder.resolve().name
    key = name if suite in ("", name) else f"{name}-{suite}"
    return BoardRead(key, title, folder, suite, plan, results, costs, kept, default, made, lines)


def _lines(
    groups: Sequence[Group], chosen: Sequence[Column], costs: Sequence[CostRecord | OldCostRecord]
) -> dict[tuple[str, str], Line]:
    found: dict[tuple[str, str], Line] = {}
    for task in dict.fromkeys(group.task for group in groups):
        lines = lines_of([group for group in groups if group.task == task], chosen, costs)
        found |= {(task, line.name): line for line in lines}
    return found
