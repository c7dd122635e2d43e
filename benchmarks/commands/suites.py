"""`ivi list`, `plan`, `run`, `check`: from a suite to its records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from baselines.names import UserError
from benchmarks.commands.board import show_suite
from benchmarks.commands.options import (
    RESULTS,
    Chosen,
    Device,
    Extra,
    KeepModels,
    Methods,
    Out,
    Seeds,
    SuiteName,
    Tasks,
    Told,
    chosen_runs,
    console,
    errors,
    say,
)

commands = typer.Typer()


class Kind(StrEnum):
    """What `ivi list` lists."""

    tasks = "tasks"
    methods = "methods"
    suites = "suites"
    columns = "columns"


@commands.command("list")
def list_(kind: Annotated[Kind, typer.Argument(help="What to list.")]) -> None:
    """Show what there is: tasks, methods, suites, or the columns of a table."""
    from benchmarks import views
    from leaderboard.views.terminal import print_whole

    shown = {"tasks": views.tasks, "methods": views.methods, "suites": views.suites, "columns": views.columns}
    (console.print if console.is_terminal else partial(print_whole, console))(shown[kind]())


@commands.command("plan")
def plan_(
    suite: SuiteName,
    methods: Methods = None,
    seeds: Seeds = None,
    tasks: Tasks = None,
    device: Device = "auto",
    out: Out = RESULTS,
    method: Extra = None,
) -> None:
    """Show the runs that a suite means, which of them are done, and how long the others may take."""
    from benchmarks import views
    from leaderboard.shelf import read_all

    runs = chosen_runs(suite, methods, seeds, device, method, tasks=tasks).runs
    console.print(views.plan(runs, read_all(out).records))


@commands.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run(
    context: typer.Context,
    suite: SuiteName,
    methods: Methods = None,
    seeds: Seeds = None,
    tasks: Tasks = None,
    jobs: Annotated[int | None, typer.Option(help="Jobs at a time. Default: one per core, or one on a GPU.")] = None,
    device: Device = "auto",
    out: Out = RESULTS,
    retry: Annotated[bool, typer.Option("--retry", help="Also repeat runs that failed.")] = False,
    stale: Annotated[
        bool, typer.Option("--stale", help="Also repeat runs that other code or other packages have made.")
    ] = False,
    keep_models: KeepModels = False,
    limit: Annotated[float, typer.Option(help="Minutes that one fit, or all predictions of a run, may take.")] = 240,
    method: Extra = None,
    on: Annotated[
        str,
        typer.Option(
            help="Where runs are made: local, slurm, ray, or a profile.toml. Its own options follow as --KEY VALUE."
        ),
    ] = "local",
) -> None:
    """Make every run of a suite that is not done yet, then show its table.

    Each run leaves a record, also if it fails; finished runs are never repeated, so an interrupted suite goes on where
    it stopped. Exit code 1 if a run of the suite has failed.
    """
    from benchmarks.execute import make_runs
    from benchmarks.executors.chosen import chosen as chosen_executor
    from benchmarks.results import Todo, row_name

    _check_options(suite, jobs, limit)
    where = chosen_executor(on, context.args, [str(one.name) for one in context.command.params])
    chosen = chosen_runs(suite, methods, seeds, device, method, where.name == "local", tasks)
    redo = Todo.STALE if stale else Todo.FAILED if retry else Todo.NEW
    with _interrupted(chosen, out):
        options = {"workers": jobs, "redo": redo, "limit": 60 * limit, "keep_models": keep_models}
        make_runs(chosen.runs, out, console, on=where, plan=chosen.plan(out), **options)
    labels = ",".join(map(row_name, dict.fromkeys(one.method.label for one in chosen.runs)))
    show_suite(out, chosen.suite.name, None if methods is None else labels, seeds)
    _, failed = _ended(chosen, out)
    if failed:
        errors.print(f"{failed} of {len(chosen.runs)} runs failed; their records say why. Repeat them with --retry.")
        raise typer.Exit(1)


def _check_options(suite: str, jobs: int | None, limit: float) -> None:
    if suite.startswith("-"):
        raise UserError(f"no option {suite} before the suite: name the suite first, what belongs to --on after it")
    if jobs is not None and jobs < 1:
        raise UserError(f"--jobs must be at least 1, not {jobs}")
    if not limit > 0:
        raise UserError(f"--limit must be more than 0 minutes, not {limit:g}")


@contextmanager
def _interrupted(chosen: Chosen, out: Path) -> Iterator[None]:
    """Ctrl-C in the block says what is done and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        done, _ = _ended(chosen, out)
        kept = f"{done} of {len(chosen.runs)} runs are done and kept"
        errors.print(f"interrupted: {kept}; the same command goes on from here", soft_wrap=True)
        raise Told(130) from None


def _ended(chosen: Chosen, out: Path) -> tuple[int, int]:
    """How many of the runs are done, and how many have failed."""
    from benchmarks.results import DONE
    from leaderboard.shelf import latest, read_all

    found = latest(read_all(out).records)
    ends = [found[one.run_id].status in DONE for one in chosen.runs if one.run_id in found]
    return sum(ends), len(ends) - sum(ends)


@commands.command()
def check(
    method: Annotated[str, typer.Argument(help="A method's name, or path/to/file.py:Class.")],
    task: Annotated[
        list[str] | None, typer.Option(help="Tasks to check it on, in place of three small ones of several kinds.")
    ] = None,
    device: Device = "cpu",
) -> None:
    """Check a method, built-in or your own, against the contract: each check is named after the fact it establishes."""
    from baselines.spec import parse
    from benchmarks.checked import TASKS
    from benchmarks.machine import chosen_device
    from benchmarks.suite import load_task

    spec, tasks, where = parse(method), tuple(task or TASKS), chosen_device(device)
    for name in tasks:
        load_task(name)  # a misspelt one is said before torch is loaded
    say(f"{spec.label} on {', '.join(tasks)}: some six fits on each, a minute in all where each takes as MAP's")
    from benchmarks.check import check_method

    if not check_method(spec, console, tasks, where):
        raise typer.Exit(1)
