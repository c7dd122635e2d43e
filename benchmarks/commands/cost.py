"""`ivi cost`: what every method costs on a task."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from baselines.names import UserError
from benchmarks.commands.options import RESULTS, Device, Out, bar, console, listed_methods

if TYPE_CHECKING:
    from baselines.spec import MethodSpec
    from leaderboard.cost import CostRecord, MethodCost

commands = typer.Typer()


@commands.command()
def cost(
    task: Annotated[str, typer.Argument(help="Name of a task, or a path to a TOML file.")],
    methods: Annotated[
        str | None, typer.Option("--methods", "-m", help="Only these, e.g. 'laplace,implicit_vi(rank=2)'; or all.")
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="Turns of each method. Default: 5.")] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Steps of the longest fit that is timed; more repeats better. Default: 200."),
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Two turns of fits of 40 steps: minutes, and wide spreads.")
    ] = False,
    threads: Annotated[int | None, typer.Option(help="Threads of torch. Default: 1 on a CPU, as in ivi run.")] = None,
    device: Device = "auto",
    out: Out = RESULTS,
) -> None:
    """Measure what methods cost to fit and to predict with, as ratios to MAP, each alternated with MAP in one process.

    The measurement is kept beside the records; tables of the same task and kind of device then show its ratios.
    """
    from benchmarks.machine import chosen_device, cores
    from benchmarks.prepare import prepare
    from benchmarks.suite import load_task
    from leaderboard.cost import write_cost

    chosen, specs = load_task(task), _specs(methods)
    rounds, steps = _numbers(rounds, steps, threads, fast)
    _make(out)
    where, data = chosen_device(device), prepare(chosen)
    for name, level in (("KINETO_LOG_LEVEL", "99"), ("TORCH_CPP_LOG_LEVEL", "3")):
        os.environ.setdefault(name, level)  # before torch is imported: its profiler writes to stderr
    from benchmarks.measure.cost import costs_of
    from benchmarks.measure.energy import energy_counter

    threads, joules = threads or (1 if where == "cpu" else cores()), energy_counter(where)
    with bar(f"cost of {chosen.name}") as progress:
        record = costs_of(chosen, data, specs, where, threads, rounds, steps, progress, joules)
    path = write_cost(out, record)
    _show(record)
    console.print(f"wrote {path}", highlight=False, soft_wrap=True)


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror}; choose another folder with --out") from None


def _numbers(rounds: int | None, steps: int | None, threads: int | None, fast: bool) -> tuple[int, int]:
    """Rounds and steps, where they are not given those of the long or the short form."""
    for name, value in (("rounds", rounds), ("steps", steps), ("threads", threads)):
        if value is not None and value < 1:
            raise UserError(f"--{name} must be at least 1, not {value}")
    return rounds or (2 if fast else 5), steps or (40 if fast else 200)


def _specs(methods: str | None) -> list[MethodSpec]:
    """The methods that are named; without names ours alone: a stranger's runs where it is asked for."""
    from baselines.registry import known_methods
    from baselines.spec import parse
    from leaderboard.plan import OUR_PACKAGE

    ours = [name for name, one in known_methods().items() if one.package == OUR_PACKAGE]
    return [parse(text) for text in (listed_methods(methods) if methods is not None else ours)]


def _show(record: CostRecord) -> None:
    from rich.table import Table

    from leaderboard.views.terminal import print_whole

    kinds = ["fit", "predict", "memory"]
    if any(one.fit_j for one in record.methods):
        kinds[2:2] = ["energy", "predict_energy"]
    titles = {"energy": "fit energy", "predict_energy": "predict energy"}
    names = [f"{titles.get(kind, kind)} ×MAP" for kind in kinds]
    view = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    view.add_column("method", no_wrap=True)
    for name in (*names, "fit GFLOPs", "predict MFLOPs", "parameters", "stored MB"):
        view.add_column(name.replace(" ", "\n"), justify="right")
    for one in record.methods:
        cells = [Text(one.error, "red")] if one.error else _cells(one, record.methods[0], kinds)
        view.add_row(Text(one.label), *cells)
    print_whole(console, view)
    for line in _legend(record, "energy" in kinds):
        console.print(Text(line, "dim"))


def _cells(one: MethodCost, base: MethodCost, kinds: Sequence[str]) -> list[Text]:
    from leaderboard.cost import quartiles, ratios

    cells = []
    for kind in kinds:
        median, low, high = quartiles(ratios(one, base, kind).values())
        spread = "" if kind == "memory" else f"\n{low:.2f}–{high:.2f}"
        cells.append(Text("–") if math.isnan(median) else Text.assemble(f"{median:.2f}", (spread, "dim")))
    for count, unit in ((one.fit_flops, 1e9), (one.predict_flops, 1e6)):
        cells.append(Text("–" if count is None else f"{count / unit:,.2f}"))
    return [*cells, Text(f"{one.parameters:,}"), Text(f"{one.state_bytes / 1e6:.2f}")]


def _legend(record: CostRecord, energy: bool) -> list[str]:
    whole = "whole fits" if record.steps == record.recipe_steps else f"fits of up to {record.steps} steps"
    lines = [
        f"×MAP: alternated with MAP in one process, median and quartiles of {record.rounds} rounds; {whole}, for a "
        f"recipe of {record.recipe_steps} steps.",
        "Memory: of tensors, at the peak of fitting or predicting. FLOPs: of the whole recipe, and of one example in a "
        f"batch of {record.batch_size}.",
        f"On {record.environment.device_name}, torch threads: {record.environment.threads}.",
    ]
    said = "Energy: of the whole GPU as its driver counts it, in steps of up to 0.1 s; more --steps make it finer."
    return [*lines[:2], said, *lines[2:]] if energy else lines
