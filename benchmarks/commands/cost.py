"""`ivi cost`: what every method costs on a task."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from baselines.names import UserError
from baselines.registry import known_methods
from baselines.spec import parse, split
from benchmarks.commands.options import RESULTS, Device, Out, bar, chosen_device, console
from benchmarks.environment import cores
from benchmarks.suite import load_task
from benchmarks.views import print_whole
from leaderboard.cost import CostRecord, quartiles, ratios, write_cost

commands = typer.Typer()


@commands.command()
def cost(
    task: Annotated[str, typer.Argument(help="Name of a task, or a path to a TOML file.")],
    methods: Annotated[
        str | None, typer.Option("--methods", "-m", help="Only these, e.g. 'laplace,implicit_vi(rank=2)'.")
    ] = None,
    rounds: Annotated[int, typer.Option(help="Turns of each method.")] = 5,
    steps: Annotated[int, typer.Option(help="Steps of the longest fit that is timed; more repeats better.")] = 200,
    threads: Annotated[int | None, typer.Option(help="Threads of torch. Default: 1 on a CPU, as in ivi run.")] = None,
    device: Device = "auto",
    out: Out = RESULTS,
) -> None:
    """Measure what methods cost to fit and to predict with, as ratios to MAP, each alternated with MAP in one process.

    The measurement is kept beside the records; tables of the same task and kind of device then show its ratios.
    """
    chosen = load_task(task)
    specs = [parse(text) for text in (split(methods) if methods is not None else known_methods())]
    for name, value in (("rounds", rounds), ("steps", steps), ("threads", threads or 1)):
        if value < 1:
            raise UserError(f"--{name} must be at least 1, not {value}")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror}; choose another folder with --out") from None
    where = chosen_device(device)
    for name, level in (("KINETO_LOG_LEVEL", "99"), ("TORCH_CPP_LOG_LEVEL", "3")):
        os.environ.setdefault(name, level)  # before torch is imported: its profiler writes to stderr
    from benchmarks.cost import measure

    with bar(f"cost of {chosen.name}") as progress:
        record = measure(chosen, specs, where, threads or (1 if where == "cpu" else cores()), rounds, steps, progress)
    path = write_cost(out, record)
    _show(record)
    console.print(f"wrote {path}", highlight=False, soft_wrap=True)


def _show(record: CostRecord) -> None:
    names = ("fit ×MAP", "predict ×MAP", "memory ×MAP", "fit GFLOPs", "predict MFLOPs", "parameters", "stored MB")
    view = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    view.add_column("method", no_wrap=True)
    for name in names:
        view.add_column(name.replace(" ", "\n"), justify="right")
    base = record.methods[0]
    for one in record.methods:
        if one.error:
            view.add_row(one.method.label, Text(one.error, "red"))
            continue
        cells = []
        for kind in ("fit", "predict"):
            median, low, high = quartiles(ratios(one, base, kind).values())
            cells.append(Text.assemble(f"{median:.2f}", (f"\n{low:.2f}–{high:.2f}", "dim")))
        cells.append(Text(f"{quartiles(ratios(one, base, 'memory').values()).median:.2f}"))
        for count, unit in ((one.fit_flops, 1e9), (one.predict_flops, 1e6)):
            cells.append(Text("–" if count is None else f"{count / unit:,.2f}"))
        cells += [Text(f"{one.parameters:,}"), Text(f"{one.state_bytes / 1e6:.2f}")]
        view.add_row(one.method.label, *cells)
    print_whole(console, view)
    whole = "whole fits" if record.steps == record.recipe_steps else f"fits of up to {record.steps} steps"
    lines = (
        f"×MAP: alternated with MAP in one process, median and quartiles of {record.rounds} rounds; {whole}, for a "
        f"recipe of {record.recipe_steps} steps.",
        "Memory: of tensors, at the peak of fitting or predicting. FLOPs: of the whole recipe, and of one image in a "
        f"batch of {record.batch_size}.",
        f"On {record.device}, torch threads: {record.environment.threads}.",
    )
    for line in lines:
        console.print(Text(line, "dim"))
