"""The command `ivi`. Imports torch only where a command needs it, so that the others answer at once."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from baselines.names import UserError, unknown
from baselines.spec import parse, split
from benchmarks import results, views
from benchmarks.suite import Run, Suite, load_suite, plan
from leaderboard import table as board
from leaderboard.record import RecordError, latest, read_all

app = typer.Typer(
    name="ivi",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Compare implicit-bias variational inference with the standard methods for uncertainty, under one recipe.\n\n"
    "Start with: ivi run quick",
)
console = Console()
errors = Console(stderr=True)

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of records and predictions.", show_default=True)]
Methods = Annotated[
    str | None,
    typer.Option("--methods", "-m", help='Only these, e.g. "map,implicit_vi(rank=2)"; see ivi list methods.'),
]
Seeds = Annotated[int | None, typer.Option("--seeds", "-s", help="Seeds 0 ... N-1 instead of the suite's.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ...; auto takes a GPU where there is one.")]
Extra = Annotated[
    list[str] | None,
    typer.Option("--method", help="Add a method from a file: path/to/file.py:Class. Such rows are never ranked."),
]
RESULTS = Path("results")


class Kind(StrEnum):
    """What `ivi list` lists."""

    tasks = "tasks"
    methods = "methods"
    suites = "suites"


class Format(StrEnum):
    """Views of a table."""

    terminal = "terminal"
    md = "md"
    csv = "csv"
    json = "json"
    latex = "latex"


@app.command("list")
def list_(kind: Annotated[Kind, typer.Argument(help="What to list.")]) -> None:
    """Show what there is: tasks, methods or suites."""
    console.print({"tasks": views.tasks, "methods": views.methods, "suites": views.suites}[kind]())


@app.command("plan")
def plan_(
    suite: Annotated[str, typer.Argument(help="Name of a suite, or a path to a TOML file.")],
    methods: Methods = None,
    seeds: Seeds = None,
    device: Device = "auto",
    out: Out = RESULTS,
    method: Extra = None,
) -> None:
    """Show the runs that a suite means, which of them are done, and how long the others may take."""
    runs = _runs(suite, methods, seeds, device, method)[1]
    console.print(views.plan(runs, read_all(out)))


@app.command()
def run(
    suite: Annotated[str, typer.Argument(help="Name of a suite, or a path to a TOML file.")],
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

    chosen, runs = _runs(suite, methods, seeds, device, method)
    if jobs is not None and jobs < 1:
        raise UserError(f"--jobs must be at least 1, not {jobs}")
    records = make_runs(runs, out, jobs, retry, console)
    rows = board.fold(records, results.planned(runs))
    views.show_table(console, rows, chosen.description)
    found = latest(records)
    failed = [run for run in runs if run.run_id in found and found[run.run_id].status not in ("ok", "skipped")]
    if failed:
        errors.print(f"{len(failed)} of {len(runs)} runs failed; their records say why. Repeat them with --retry.")
        raise typer.Exit(1)


@app.command()
def table(
    suite: Annotated[str | None, typer.Argument(help="Name of a suite; all records of the folder without it.")] = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="How to show it.")] = Format.terminal,
    methods: Methods = None,
    seeds: Seeds = None,
    device: Device = "auto",
    out: Out = RESULTS,
    method: Extra = None,
    write: Annotated[
        Path | None, typer.Option(help="Put the Markdown table into this file, between its marks for the suite.")
    ] = None,
) -> None:
    """Show the table of a suite from its records: mean over seeds ± 95 % t interval; costs as ratios to MAP."""
    records = read_all(out)
    if suite is None:
        if not records:
            raise UserError(f"no records in {out}: make some with 'ivi run quick', or name the folder with --out")
        planned, title = board.planned_of(records), f"all records in {out}"
    else:
        chosen, runs = _runs(suite, methods, seeds, device, method)
        planned, title = results.planned(runs), chosen.description
        if methods is None:
            planned += results.unplanned(runs, records)
    rows = board.fold(records, planned)
    if write is not None:
        try:
            write.write_text(board.insert(write.read_text(), suite or "all", board.as_markdown(rows)))
        except (OSError, ValueError) as error:
            raise UserError(f"{write}: {getattr(error, 'strerror', None) or error}") from None
        return
    if format is Format.terminal:
        views.show_table(console, rows, title)
        return
    text = {
        Format.md: board.as_markdown,
        Format.csv: lambda rows: board.frame(rows).to_csv(index=False).rstrip("\n"),
        Format.json: board.as_json,
        Format.latex: board.as_latex,
    }[format](rows)
    typer.echo(text)


@app.command()
def check(
    method: Annotated[str, typer.Argument(help="A method's name, or path/to/file.py:Class.")],
) -> None:
    """Check a method, built-in or your own, against the contract: each check is named after the fact it establishes."""
    spec = parse(method)
    from benchmarks.check import check_method

    if not check_method(spec, console):
        raise typer.Exit(1)


def _runs(
    suite: str, methods: str | None, seeds: int | None, device: str, extra: list[str] | None
) -> tuple[Suite, list[Run]]:
    """The suite, with what the command line changes in it, and its runs."""
    chosen = load_suite(suite)
    changes: dict[str, Any] = {}
    if seeds is not None:
        if seeds < 1:
            raise UserError(f"--seeds must be at least 1, not {seeds}")
        changes["seeds"] = tuple(range(seeds))
    listed = tuple(split(methods)) if methods is not None else chosen.methods
    if methods is not None and not listed:
        raise UserError("--methods names no method; see ivi list methods")
    changes["methods"] = tuple(dict.fromkeys([*listed, *(extra or [])]))
    chosen = chosen.model_copy(update=changes)
    return chosen, plan(chosen, _device(device))


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if Path("/dev/nvidiactl").exists() else "cpu"
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdecimal()):
        raise unknown("device", name, ["auto", "cpu", "cuda"])
    return name


def main() -> None:
    """Entry point: bad input is one line on stderr and exit code 2."""
    from benchmarks.data.spec import DataError

    try:
        app()
    except (UserError, DataError, RecordError) as error:
        errors.print(f"[bold red]error:[/] {_escaped(error)}", highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        errors.print("interrupted: finished runs are kept; the same command goes on from here")
        sys.exit(130)


def _escaped(error: Exception) -> str:
    return str(error).replace("[", "\\[")


if __name__ == "__main__":
    main()
