"""`ivi list`, `plan`, `run`, `check`: from a suite to its records."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from baselines.names import UserError
from baselines.spec import parse
from benchmarks import results, views
from benchmarks.commands.options import (
    RESULTS,
    Device,
    Extra,
    Methods,
    Out,
    Seeds,
    SuiteName,
    chosen_runs,
    console,
    errors,
)
from leaderboard import table as board
from leaderboard.cost import read_costs
from leaderboard.record import latest, read_all

commands = typer.Typer()


class Kind(StrEnum):
    """What `ivi list` lists."""

    tasks = "tasks"
    methods = "methods"
    suites = "suites"


@commands.command("list")
def list_(kind: Annotated[Kind, typer.Argument(help="What to list.")]) -> None:
    """Show what there is: tasks, methods or suites."""
    console.print({"tasks": views.tasks, "methods": views.methods, "suites": views.suites}[kind]())


@commands.command("plan")
def plan_(
    suite: SuiteName,
    methods: Methods = None,
    seeds: Seeds = None,
    device: Device = "auto",
    out: Out = RESULTS,
    method: Extra = None,
) -> None:
    """Show the runs that a suite means, which of them are done, and how long the others may take."""
    runs = chosen_runs(suite, methods, seeds, device, method)[1]
    console.print(views.plan(runs, read_all(out)))


@commands.command()
def run(
    suite: SuiteName,
    methods: Methods = None,
    seeds: Seeds = None,
    jobs: Annotated[int | None, typer.Option(help="Runs at a time. Default: one per core, or one on a GPU.")] = None,
    device: Device = "auto",
    out: Out = RESULTS,
    retry: Annotated[bool, typer.Option("--retry", help="Also repeat runs that failed.")] = False,
    method: Extra = None,
) -> None:
    """Make every run of a suite that is not done yet, then show its table.

    Each run leaves a record, also if it fails; finished runs are never repeated, so an interrupted suite goes on where
    it stopped. Exit code 1 if a run of the suite has failed.
    """
    from benchmarks.execute import make_runs

    chosen, runs = chosen_runs(suite, methods, seeds, device, method)
    if jobs is not None and jobs < 1:
        raise UserError(f"--jobs must be at least 1, not {jobs}")
    records = make_runs(runs, out, jobs, retry, console)
    rows = board.fold(records, results.planned(runs), costs=read_costs(out))
    views.show_table(console, rows, chosen.description)
    found = latest(records)
    failed = [run for run in runs if run.run_id in found and found[run.run_id].status not in ("ok", "skipped")]
    if failed:
        errors.print(f"{len(failed)} of {len(runs)} runs failed; their records say why. Repeat them with --retry.")
        raise typer.Exit(1)


@commands.command()
def check(
    method: Annotated[str, typer.Argument(help="A method's name, or path/to/file.py:Class.")],
) -> None:
    """Check a method, built-in or your own, against the contract: each check is named after the fact it establishes."""
    spec = parse(method)
    from benchmarks.check import check_method

    if not check_method(spec, console):
        raise typer.Exit(1)
