"""What the commands that read records have in common: the folder, the plan in it, and what of both is asked for."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from baselines.grammar import split
from baselines.names import UserError, unknown, unknown_among
from benchmarks.machine import cache_folder
from leaderboard.card import Card
from leaderboard.choice import Choice
from leaderboard.columns import Column, UnknownColumn, column, columns, every
from leaderboard.cost import CostRecord, OldCostRecord, read_costs
from leaderboard.plan import SUFFIX, Plan, folder_of, read_plan
from leaderboard.record import RecordError
from leaderboard.results import Result, load_results
from leaderboard.rows import Group, groups_of
from leaderboard.shelf import Finding
from leaderboard.submission.board import with_submissions
from leaderboard.table import Board, Bound, fold

if TYPE_CHECKING:
    from benchmarks.cards import CardPlan

SUITES = Path(__file__).parent / "suites"


@dataclass(frozen=True)
class Shown:
    """A folder of records, as a command was asked to show it.

    Attributes:
        results: all that are of interest.
        plan: that of the suite; None: everything in the folder is.
        tasks: only these; None: all.
        costs: of `ivi cost`.
        findings: files that were set aside.
        title: what is shown.
    """

    results: list[Result]
    plan: Plan | None
    tasks: tuple[str, ...] | None
    costs: list[CostRecord | OldCostRecord]
    findings: list[Finding]
    title: str

    def groups(self) -> list[Group]:
        """Its rows."""
        return groups_of(self.results, self.plan, self.tasks)

    def names(self) -> list[str]:
        """Names of its rows."""
        return sorted({group.name for group in self.groups()})

    def only(self, made: Board, methods: str | None, *, strict: bool = True) -> Board:
        """The board with the rows of ``methods`` alone, as `ivi table --methods` names them; single runs of every seed.

        Args:
            made: the whole board.
            methods: None, or "all" among them: all.
            strict: whether each of them must have a row.

        Raises:
            UserError: none of them has a row, or one has none.
        """
        wanted = [] if methods is None else split(methods)
        if methods is None or "all" in wanted:
            return made
        names = {row.method: {_bare(row.method), _bare(re.sub(r", seed \d+$", "", row.method))} for row in made.rows}
        known = set().union(*names.values())
        missing = [name for name in wanted if _bare(name) not in known]
        if missing and (strict or len(missing) == len(wanted)):
            raise unknown("method", missing[0], {re.sub(r", seed \d+$", "", row.method) for row in made.rows})
        bare = {_bare(name) for name in wanted}
        return replace(made, rows=[row for row in made.rows if names[row.method] & bare])


def _bare(name: str) -> str:
    return re.sub(r"\s", "", name)


def load(folder: Path, suite: str | None, seeds: Collection[int] | None) -> Shown:
    """What ``folder`` holds of ``suite``, a name or a TOML file; None: everything.

    Raises:
        UserError: there are no records, or nothing of that name.
    """
    folder = folder if suite is None else folder_of(folder, suite)
    results, findings = load_results(folder, cache_folder())
    results, more = with_submissions(results, folder)
    costs = read_costs(folder)
    findings += more + costs.findings
    plan, tasks = (None, None) if suite is None else _asked(folder, suite, results)
    if plan is None and not results:
        where = f"no records in {folder}" if suite is None else f"no records of {suite} in {folder}"
        raise UserError(f"{where}: make them with 'ivi run {suite or 'quick'}', or name the folder with --folder")
    if seeds is not None:
        results = [result for result in results if result.seed in seeds]
        plan = plan and plan.model_copy(update={"runs": tuple(run for run in plan.runs if run.seed in seeds)})
    title = f"all records in {folder}" if plan is None and tasks is None else plan.description if plan else f"{suite}"
    return Shown(results, plan, tasks, costs.records, findings, title)


def _asked(folder: Path, suite: str, results: list[Result]) -> tuple[Plan | None, tuple[str, ...] | None]:
    """The plan called ``suite``, or the tasks that are meant where the folder has no plan of it."""
    name, tasks = suite, ()
    file = Path(suite) if suite.endswith(".toml") else SUITES / f"{suite}.toml"
    if suite.endswith(".toml") and not file.is_file():
        raise UserError(f"no such file: {file}")
    if file.is_file() and file.parent.name != "tasks":
        try:
            described = tomllib.loads(file.read_text())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UserError(f"{file}: not valid TOML: {error}") from None
        name, tasks = str(described.get("name", suite)), tuple(map(str, described.get("tasks", ())))
    if re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", name):
        try:
            plan = read_plan(folder, name)
        except RecordError as error:
            raise UserError(str(error)) from None
        if plan is not None:
            return plan, None
    made = {result.task for result in results}
    if made.isdisjoint({*tasks, name}):
        known = made or {path.stem for path in (SUITES.parent / "tasks").glob("*.toml")}
        if file.is_file() or (not made and suite in known):
            raise UserError(
                f"no records of {suite} in {folder}: make them with 'ivi run {suite}', or name another folder"
            )
        suites = {path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}")} - made
        raise unknown_among(suite, {"suite": suites | {path.stem for path in SUITES.glob("*.toml")}, "task": known})
    return None, tuple({*tasks, name} & made)


def card_of(folder: Path, planned: CardPlan, plan: Plan) -> Card:
    """The card of a method from the records in ``folder``.

    Raises:
        UserError: no run of it is ok.
    """
    from leaderboard.views.card import COLUMNS
    from leaderboard.views.drawing import about_of

    made = {run.run_id for run in plan.runs}
    results = [result for result in load_results(folder).results if result.run_id in made]
    ok = {group.name: group.ok for group in groups_of(results, plan) if group.ok}
    if not ok:
        raise UserError(f"no run of the card of {planned.spec.label} is ok: 'ivi table --runs' says why")
    kind = "gaussian" if any("rmse" in one.metrics.get("test", {}) for one in results) else "categorical"
    known = {one.key for one in every(results)}
    board = fold(results, plan, columns([key for key in COLUMNS[kind] if key in known], results))
    devices = ", ".join(sorted({one.device_name for runs in ok.values() for one in runs.values()}))
    about = about_of(plan.runs[0].task, ok)
    return Card(planned.spec.label, planned.spec.cls.summary, about, devices, planned.knobs, board)


def one_task(shown: Shown, task: str | None) -> list[Group]:
    """The rows of one task, or of all."""
    groups = shown.groups()
    names = sorted({group.task for group in groups})
    if task is not None and task not in names:
        raise unknown("task", task, names)
    return [group for group in groups if task in (None, group.task)]


def chosen_columns(names: str | None, shown: Shown) -> list[Column]:
    """The columns that ``names``, with commas between, mean; None: the default ones."""
    results = shown.results if shown.tasks is None else [one for one in shown.results if one.task in shown.tasks]
    try:
        found = columns(None if names is None else [name.strip() for name in names.split(",") if name.strip()], results)
    except UnknownColumn as error:
        raise unknown("column", error.name, error.known) from None
    if not found:
        raise UserError(f"no record has a column of {names!r}: no shifted sets were predicted")
    return found


def chosen_column(name: str, results: list[Result]) -> Column:
    """The one column that ``name`` means."""
    try:
        return column(name, results)
    except UnknownColumn as error:
        raise unknown("column", error.name, error.known) from None
    except ValueError as error:
        raise UserError(f"{error}: no shifted sets were predicted" if name == "shift" else str(error)) from None


def choice(hyperparameter: str, by: str, results: list[Result]) -> Choice | None:
    """Which rows stand for those that differ in ``hyperparameter``; None where it is empty: all stand.

    Raises:
        UserError: no method here has it, or ``by`` is no column of the validation set.
    """
    if not hyperparameter:
        return None
    known = {key for one in results if isinstance(one.method[2], dict) for key in one.method[2]}
    if hyperparameter not in known:
        raise unknown("hyperparameter", hyperparameter, known)
    chosen = chosen_column(by, results)
    if chosen.place is None or chosen.place[0] != "validation" or not chosen.better:
        raise UserError(f"--by {by}: a choice is made on the validation set, by a column such as validation:accuracy")
    return Choice(hyperparameter, chosen)


def bound(text: str, results: list[Result]) -> Bound:
    """What ``text`` means: ``COLUMN<=NUMBER`` or ``COLUMN>=NUMBER``."""
    match = re.fullmatch(r"\s*(\S+?)\s*(<=|>=)\s*(\S+)\s*", text)
    try:
        limit = float(match[3]) if match else math.nan
    except ValueError:
        limit = math.nan
    if match is None or math.isnan(limit):
        raise UserError(f"--where: {text!r} is not COLUMN<=NUMBER or COLUMN>=NUMBER")
    return Bound(chosen_column(match[1], results), "<=" if match[2] == "<=" else ">=", limit)
