"""`ivi table`, `compare`, `score`, `verify`, `figures`: from records to what one reads.

They read the folder alone, records and the plan beside them: no suite, no entry point, no device, no torch.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from baselines.names import UserError, unknown
from benchmarks.commands.options import RESULTS, bar, chosen_seeds, console, errors

if TYPE_CHECKING:
    from benchmarks.board import Shown
    from leaderboard.table import Board

commands = typer.Typer()

Folder = Annotated[Path, typer.Option("--folder", "--out", "-o", help="Folder of records.", show_default=True)]
Suite = Annotated[
    str | None,
    typer.Argument(help="Name of a suite or task, or a suite's TOML file; without: everything in the folder."),
]
Methods = Annotated[
    str | None, typer.Option("--methods", "-m", help='Only these rows, e.g. "map,implicit_vi(rank=2)".')
]
Seeds = Annotated[str | None, typer.Option("--seeds", "-s", help="Only these seeds: 5 means 0 to 4; '0,3,7' those.")]


class Format(StrEnum):
    """Views of a table."""

    terminal = "terminal"
    md = "md"
    csv = "csv"
    json = "json"
    latex = "latex"


@commands.command()
def table(
    suite: Suite = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="How to show it.")] = Format.terminal,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            "-c",
            help="Which, e.g. 'nll,ece_scaled,auroc_entropy_near,nll_severity_3,ood_near/glyphs:fpr95_energy'; groups: "
            "calibration, near, far, shift, cost, all.",
        ),
    ] = None,
    sort: Annotated[str, typer.Option(help="Column to sort by, the best first.")] = "nll",
    against: Annotated[
        str, typer.Option(help="Show paired differences to this method, or to 'best', in place of means.")
    ] = "",
    where: Annotated[
        str, typer.Option(help="Only rows within bounds, e.g. 'fit<=1.2,predict<=1.2': the best that is affordable.")
    ] = "",
    choose: Annotated[str, typer.Option(help="Of rows that differ in this alone only the best by --by.")] = "",
    by: Annotated[str, typer.Option(help="A column of the validation set.")] = "validation:accuracy",
    runs: Annotated[bool, typer.Option("--runs", help="A row for every run, in place of one per method.")] = False,
    methods: Methods = None,
    seeds: Seeds = None,
    folder: Folder = RESULTS,
    legend: Annotated[bool, typer.Option(help="Say below the table what its signs mean.")] = True,
    write: Annotated[
        Path | None,
        typer.Option(
            help="Make every table of this document anew: each stands between a line with its command, such as "
            "'<!-- ivi table quick -->' or '<!-- ivi compare implicit_vi map -->', and one with '<!-- end -->'."
        ),
    ] = None,
) -> None:
    """Show the table of a suite from its records: mean over seeds ± 95 % t interval; costs as ratios to MAP."""
    if write is not None:
        return _write(write)
    from benchmarks.board import bound, choice, chosen_column, chosen_columns, load
    from leaderboard import table as board

    shown = load(folder, suite, chosen_seeds(seeds))
    _report(shown)
    chosen = chosen_columns(columns, shown)
    bounds = [bound(text, shown.results) for text in _split(where)]
    made = board.fold(
        shown.results,
        shown.plan,
        chosen,
        costs=shown.costs,
        sort=chosen_column(sort, shown.results),
        against=against,
        where=bounds,
        tasks=shown.tasks,
        runs=runs,
        choice=choice(choose, by, shown.results),
    )
    if against and against not in (known := [board.BEST, *shown.names()]):
        raise unknown("method", against, known)
    if bounds and not made.rows:
        raise UserError(f"no row has {where}")
    _show(format, shown.only(made, methods), shown.title, legend)


def show_suite(folder: Path, suite: str, methods: str | None, seeds: str | None) -> None:
    """Show the table of a suite as `ivi table` does."""
    from benchmarks.board import chosen_column, chosen_columns, load
    from leaderboard.table import fold

    shown = load(folder, suite, chosen_seeds(seeds))
    _report(shown)
    chosen = chosen_columns(None, shown)
    sort = chosen_column("nll", shown.results)
    made = fold(shown.results, shown.plan, chosen, costs=shown.costs, sort=sort, tasks=shown.tasks)
    _show(Format.terminal, shown.only(made, methods, strict=False), shown.title, True)


@commands.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A method, as its row in the table is called.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    suite: Annotated[str | None, typer.Option(help="Only the tasks of this suite.")] = None,
    task: Annotated[str | None, typer.Option(help="Only this task.")] = None,
    metric: Annotated[str, typer.Option(help="A column of the table.")] = "nll",
    folder: Folder = RESULTS,
) -> None:
    """Compare two methods: A less B on common seeds with its interval, over test items too, and a plain sentence."""
    from benchmarks.board import chosen_column, load, one_task
    from leaderboard.compare import compare_methods
    from leaderboard.views.text import plain

    shown = load(folder, suite, None)
    _report(shown)
    groups = one_task(shown, task)
    names = sorted({name for group in groups for name in (group.name, group.label) if group.ok})
    for name in (first, second):
        if name not in names:
            raise unknown("method", name, names)
    column = chosen_column(metric, shown.results)
    try:
        found, left_out = compare_methods(groups, (first, second), column, shown.costs)
    except ValueError as error:
        raise UserError(str(error)) from None
    if not found and not left_out:
        raise UserError(f"{first} and {second} have no task and seed with {metric} in common in {folder}")
    for one in found:
        console.print(Text(plain(one.task), "bold cyan"))
        console.print(Text(f"{column.title}: {first} {one.means[0]:.4g}, {second} {one.means[1]:.4g}"))
        console.print(Text(plain(one.seeds.sentence)))
        console.print(Text(plain(one.sentence), "dim"))
        for line in one.left_out:
            console.print(Text(f"left out: {plain(line)}", "yellow"))
    for other in left_out:
        console.print(Text(plain(other.task), "bold cyan"))
        console.print(Text(f"not compared: {plain('; '.join(other.reasons) or 'nothing measured')}", "yellow"))


@commands.command()
def score(
    folder: Annotated[Path, typer.Argument(help="Folder of records and predictions, or one in it.")] = RESULTS,
    everything: Annotated[bool, typer.Option("--all", help="Also scores that are as they should be.")] = False,
) -> None:
    """Compute the scores that are missing, or older than our metrics, from the predictions that are here or in git."""
    from leaderboard.rescore import rescore

    _is_folder(folder)
    with bar("score") as progress:
        done = rescore(folder, everything=everything, progress=progress)
    for finding in done.findings:
        console.print(_line(finding), soft_wrap=True)
    absent = f"; {len(done.absent)} have no predictions here" if done.absent else ""
    console.print(f"{len(done.written)} runs scored{absent}")
    if done.findings:
        raise typer.Exit(1)


@commands.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="Folder of records and predictions, or one in it.")] = RESULTS,
    against: Annotated[Path | None, typer.Option(help="Another folder: do runs in both give the same numbers?")] = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Fetch predictions that are kept elsewhere, too.")] = False,
) -> None:
    """Recompute every number from the stored predictions and name each file that does not agree; then exit code 1."""
    from benchmarks.machine import cache_folder, cores
    from leaderboard.verify import verify as checked
    from leaderboard.verify import verify_against

    _is_folder(folder)
    if against is not None:
        _is_folder(against)
        count, lines = verify_against(folder, against)
        for line in lines:
            console.print(_line(line), soft_wrap=True)
        if not count:
            raise UserError(f"{folder} and {against} have no run in common")
        console.print(f"{count} runs in both: {'every number is the same' if not lines else f'{len(lines)} differ'}")
        raise typer.Exit(1 if lines else 0)
    with bar("verify") as progress:
        report = checked(folder, progress, cache_folder() / "predictions" if fetch else None, cores())
    if not report.records and not report.findings:
        raise UserError(f"no records in {folder}: make some with 'ivi run quick', or name another folder")
    for finding in report.findings:
        console.print(_line(finding), soft_wrap=True)
    for line in report.lines():
        console.print(Text(line), soft_wrap=True)
    if report.findings:
        errors.print(f"{len(report.findings)} findings in {report.records} records", highlight=False)
        raise typer.Exit(1)


@commands.command()
def figures(
    suite: Suite = None,
    to: Annotated[Path, typer.Option(help="Folder for the figures.")] = Path("figures"),
    methods: Methods = None,
    seeds: Seeds = None,
    folder: Folder = RESULTS,
) -> None:
    """Draw every figure that the records of a suite allow, as SVG and PNG, and name the files."""
    try:
        from leaderboard.views.drawing import draw
    except ModuleNotFoundError as error:
        raise UserError(f"figures need {error.name}: pip install 'ivi-bench[figures]'") from None
    from benchmarks.board import load

    shown = load(folder, suite, chosen_seeds(seeds))
    _report(shown)
    wanted = _split(methods)
    groups = [group for group in shown.groups() if not wanted or group.name in wanted]
    with bar("figures") as progress:
        try:
            files, left_out = draw(groups, shown.costs, to, progress)
        except ValueError as error:
            raise UserError(str(error)) from None
    for file in files:
        typer.echo(file)
    for reason in left_out:
        errors.print(_line(f"left out: {reason}", "yellow"))


def _show(format: Format, made: Board, title: str, legend: bool) -> None:
    from leaderboard.views.csv import as_csv
    from leaderboard.views.json import as_json
    from leaderboard.views.latex import as_latex
    from leaderboard.views.markdown import as_markdown
    from leaderboard.views.terminal import show

    match format:
        case Format.terminal:
            show(console, made, title, legend=legend)
        case Format.md:
            typer.echo(as_markdown(made, legend=legend))
        case Format.csv:
            typer.echo(as_csv(made))
        case Format.json:
            typer.echo(as_json(made))
        case Format.latex:
            typer.echo(as_latex(made, legend=legend))


def _report(shown: Shown) -> None:
    """Files of the folder that are none of its records: named, and the rest is shown."""
    for finding in shown.findings[:5]:
        errors.print(_line(f"set aside: {finding}", "yellow"), soft_wrap=True)
    if len(shown.findings) > 5:
        errors.print(f"and {len(shown.findings) - 5} more files set aside: ivi verify names them", style="yellow")


def _line(text: object, style: str = "") -> Text:
    from leaderboard.views.text import plain

    return Text(plain(str(text)), style)


def _is_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder: make records with 'ivi run quick', or name another folder")


def _split(text: str | None) -> list[str]:
    """``text`` at the commas that are in no brackets."""
    if not text:
        return []
    parts = re.split(r",(?![^()]*\))", text)
    return [part.strip() for part in parts if part.strip()]


def _write(path: Path) -> None:
    from benchmarks.documents import filled
    from leaderboard.store import write_once

    try:
        write_once(path, filled(path.read_text(), Path()).encode(), replace=True)
    except (OSError, UserError) as error:
        raise UserError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
