"""`ivi table`, `compare`, `verify`, `figures`: from records to what one reads."""

from __future__ import annotations

import math
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from baselines.names import UserError, unknown
from baselines.spec import split
from benchmarks import results, views
from benchmarks.commands.options import (
    RESULTS,
    Device,
    Extra,
    Methods,
    Out,
    Seeds,
    SuiteName,
    bar,
    chosen_runs,
    console,
    errors,
)
from benchmarks.documents import filled
from leaderboard import formats
from leaderboard import table as board
from leaderboard.columns import DEFAULT, Column, UnknownColumn, columns
from leaderboard.cost import read_costs
from leaderboard.record import Record, read_all, write_once

commands = typer.Typer()


class Format(StrEnum):
    """Views of a table."""

    terminal = "terminal"
    md = "md"
    csv = "csv"
    json = "json"
    latex = "latex"


@commands.command()
def table(
    suite: Annotated[
        str | None, typer.Argument(help="Name of a suite or task, or a TOML file; without: all records of the folder.")
    ] = None,
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
    runs: Annotated[bool, typer.Option("--runs", help="A row for every run, in place of one per method.")] = False,
    methods: Methods = None,
    seeds: Seeds = None,
    device: Device = "auto",
    out: Out = RESULTS,
    method: Extra = None,
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
    records = read_all(out)
    if suite is None:
        if not records:
            raise UserError(f"no records in {out}: make some with 'ivi run quick', or name the folder with --out")
        planned, title = board.planned_of(records), f"all records in {out}"
    else:
        chosen, members = chosen_runs(suite, methods, seeds, device, method)
        planned, title = results.planned(members), chosen.description
        if methods is None:
            planned += results.unplanned(members, records)
    labels = sorted({run.method for run in planned})
    if against and against not in (board.BEST, *labels):
        raise unknown("method", against, [board.BEST, *labels])
    shown = _columns(split(columns) if columns is not None else DEFAULT, records)
    if not shown:
        raise UserError(f"no record in {out} has a column of {columns!r}: no shifted sets were predicted")
    (by,) = _columns([sort], records)[:1]
    fold = board.fold_runs if runs else board.fold
    bounds = [_bound(text, records) for text in split(where)] if where else []
    rows = fold(records, planned, shown, costs=read_costs(out), sort=by, against=against, where=bounds)
    if bounds and not rows:
        raise UserError(f"no row has {where}")
    if format is Format.terminal:
        views.show_table(console, rows, title, shown, against)
    else:
        text = {
            Format.md: lambda: formats.as_markdown(rows, shown, against),
            Format.csv: lambda: formats.as_csv(rows, shown),
            Format.json: lambda: formats.as_json(rows),
            Format.latex: lambda: formats.as_latex(rows, shown, against),
        }[format]()
        typer.echo(text)


@commands.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A method, as its row in the table is called.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    suite: Annotated[str | None, typer.Option(help="Only the tasks of this suite.")] = None,
    task: Annotated[str | None, typer.Option(help="Only this task.")] = None,
    metric: Annotated[str, typer.Option(help="A column of the table.")] = "nll",
    device: Device = "auto",
    out: Out = RESULTS,
) -> None:
    """Compare two methods: A less B on common seeds with its interval, over test images too, and a plain sentence."""
    from leaderboard.compare import compare_methods

    records = [record for record in read_all(out) if record.status == "ok"]
    if suite is not None:
        planned = {run.run_id for run in chosen_runs(suite, f"{first},{second},map", None, device, None)[1]}
        records = [record for record in records if record.run_id in planned]
    tasks = sorted({record.task.name for record in records})
    if task is not None and task not in tasks:
        raise unknown("task", task, tasks)
    records = [record for record in records if task in (None, record.task.name)]
    labels = sorted({record.method.label for record in records})
    for name in (first, second):
        if name not in labels:
            raise unknown("method", name, labels)
    (column,) = _columns([metric], records)[:1]
    try:
        found = compare_methods(records, out, (first, second), column)
    except ValueError as error:
        raise UserError(str(error)) from None
    if not found:
        raise UserError(f"{first} and {second} have no task and seed with {metric} in common in {out}")
    for one in found:
        console.print(Text(one.task, "bold cyan"))
        console.print(f"{column.title}: {first} {one.means[0]:.4g}, {second} {one.means[1]:.4g}", highlight=False)
        console.print(one.seeds.sentence, highlight=False)
        console.print(Text(one.sentence, "dim"))


@commands.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="Folder of records and predictions, or one in it.")] = RESULTS,
) -> None:
    """Recompute every number from the stored predictions and name each file that does not agree; then exit code 1."""
    from leaderboard.record import record_files
    from leaderboard.verify import LEFT_OUT, is_left_out, predictions_path
    from leaderboard.verify import verify as findings_of

    with bar("verify") as progress:
        try:
            findings = findings_of(folder, progress)
        except FileNotFoundError as error:
            raise UserError(str(error)) from None
    paths = list(record_files(folder))
    for finding in findings:
        console.print(Text(str(finding)), soft_wrap=True)
    if findings:
        errors.print(f"{len(findings)} findings in {len(paths)} records", highlight=False)
        raise typer.Exit(1)
    stored = sum(predictions_path(path).is_file() for path in paths)
    console.print(f"{len(paths)} records, {stored} with predictions: every number agrees to the last digit")
    named = sum(is_left_out(path, folder) for path in paths)
    if named:
        console.print(f"{named} without predictions, as {LEFT_OUT} says: nothing was recomputed for them")


@commands.command()
def figures(
    suite: SuiteName,
    to: Annotated[Path, typer.Option(help="Folder for the figures.")] = Path("figures"),
    methods: Methods = None,
    seeds: Seeds = None,
    device: Device = "auto",
    out: Out = RESULTS,
    method: Extra = None,
) -> None:
    """Draw every figure that the records of a suite allow, as SVG and PNG, and name the files."""
    try:
        from leaderboard.drawing import draw
    except ModuleNotFoundError as error:
        raise UserError(f"figures need {error.name}: pip install 'ivi-bench[figures]'") from None
    planned = {run.run_id for run in chosen_runs(suite, methods, seeds, device, method)[1]}
    records = [record for record in read_all(out) if record.run_id in planned and record.status == "ok"]
    if not records:
        raise UserError(f"no records of {suite} in {out}: make them with 'ivi run {suite}'")
    with bar("figures") as progress:
        try:
            files, left_out = draw(records, read_costs(out), out, to, progress)
        except ValueError as error:
            raise UserError(str(error)) from None
    for file in files:
        typer.echo(file)
    for reason in left_out:
        errors.print(Text(f"left out: {reason}", "yellow"))


def _columns(names: list[str] | tuple[str, ...], records: list[Record]) -> list[Column]:
    try:
        return columns(names, records)
    except UnknownColumn as error:
        raise unknown("column", error.name, error.known) from None


def _bound(text: str, records: list[Record]) -> board.Bound:
    match = re.fullmatch(r"\s*(\S+?)\s*(<=|>=)\s*(\S+)\s*", text)
    try:
        limit = float(match[3]) if match else math.nan
    except ValueError:
        limit = math.nan
    if match is None or math.isnan(limit):
        raise UserError(f"--where: {text!r} is not COLUMN<=NUMBER or COLUMN>=NUMBER")
    (column,) = _columns([match[1]], records)[:1]
    return board.Bound(column, "<=" if match[2] == "<=" else ">=", limit)


def _write(path: Path) -> None:
    try:
        write_once(path, filled(path.read_text(), Path()).encode(), replace=True)
    except (OSError, UserError) as error:
        raise UserError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
