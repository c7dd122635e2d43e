"""`ivi init`, `ivi predict`: a problem of one's own, from a folder to answers."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from baselines.names import UserError
from benchmarks.commands.options import RESULTS, Out, console, errors

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

commands = typer.Typer()


class Form(StrEnum):
    """How answers are written."""

    table = "table"
    csv = "csv"
    json = "json"


@commands.command()
def init(
    path: Annotated[Path, typer.Argument(help="A folder of pictures, a CSV or parquet file, or a saved data set.")],
    target: Annotated[str | None, typer.Option(help="Of a table: the column to predict.")] = None,
    to: Annotated[Path, typer.Option(help="Folder of the two TOML files.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
) -> None:
    """Look at data of one's own, say what should be known, and write the two TOML files that make a task of them."""
    from benchmarks.own.look import about_parts, cut, look
    from benchmarks.own.writing import write

    with console.status("looking at every example"):
        found = look(path, target)
        task = write(found, to, force)
    for line in found.facts:
        console.print(Text(line), soft_wrap=True)
    for line in [*found.odd, *about_parts(cut(found.splits), found.splits.get("test"))]:
        console.print(Text.assemble(("note: ", "yellow"), line), soft_wrap=True)
    for file in (task.data, task.task):
        console.print(Text(f"wrote {file}"), soft_wrap=True)
    console.print(Text(f"next: ivi run {task.task} --keep-models"), soft_wrap=True)


@commands.command()
def predict(
    run: Annotated[str, typer.Argument(help="A method or a run id of the folder of records, or a kept file.")],
    files: Annotated[list[Path], typer.Argument(help="Pictures, folders of pictures; or tables, CSV or parquet.")],
    out: Out = RESULTS,
    task: Annotated[str | None, typer.Option(help="The task, where several have been run.")] = None,
    seed: Annotated[int | None, typer.Option(help="The run's seed. Default: the lowest that was kept.")] = None,
    format: Annotated[Form, typer.Option("--format", "-f", help="How answers are written.")] = Form.table,
    method: Annotated[
        str | None, typer.Option("--method", help="Of a method from a file: path/to/file.py:Class.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Of a frozen trunk whose weights came from a file: that file.")
    ] = None,
) -> None:
    """Ask a kept predictor about new inputs: class, probability, and how unlike anything seen each one is.

    Needs a run made with ivi run --keep-models. Probabilities are those of the board's scaled columns. UNLIKE is the
    share of validation examples that the run finds less strange: 0.99 says that 99 of 100 were.
    """
    from benchmarks.own.kept import about_unlike, find_model, read_about

    read_about(find_model(run, out, task, seed))  # what is not there is said before torch is loaded
    for file in files:
        if not file.exists():
            raise UserError(f"{file} is not there: name pictures, folders of pictures, or tables")
    import torch

    from benchmarks.own.predictor import load_predictor

    torch.set_num_threads(1)
    kept = load_predictor(run, out, task=task, seed=seed, method=method, weights=weights)
    rows = kept.predict(files)
    rests = about_unlike(len(kept.about.unlike))
    if format is Form.csv:
        typer.echo(rows.to_csv(index=False, float_format="%.6g"), nl=False)
    elif format is Form.json:
        typer.echo(rows.to_json(orient="records", indent=1))
    else:
        about = kept.about
        console.print(
            f"{about.label} · task {about.task['name']} · seed {about.seed} · run {about.run_id}", highlight=False
        )
        console.print(_table(rows.drop(columns=[name for name in rows.columns if name.startswith("p(")])))
    (console if format is Form.table else errors).print(Text(rests, "dim"), soft_wrap=True)


def _table(rows: pd.DataFrame) -> Table:
    from rich.table import Table

    view = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name in rows.columns:
        view.add_column(name, overflow="fold")
    for cells in rows.itertuples(index=False):
        view.add_row(*(Text(f"{cell:.4g}" if isinstance(cell, float) else str(cell)) for cell in cells))
    return view
