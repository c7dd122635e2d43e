"""`ivi theory`, `ivi transfer`: what is known about the method, run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.commands.options import console

commands = typer.Typer()


@commands.command()
def theory(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of figure and JSON.")] = Path("results/theory"),
    seed: Annotated[int, typer.Option(help="Seed of data, priors and noise.")] = 0,
) -> None:
    """Run the paper's theory on linear models: which optimizers end at the zero-loss distribution nearest the prior?

    Gradient descent, momentum and minibatch one-draw SGD should; Adam should not. Under a minute.
    """
    from rich.table import Table

    from ivi.theory import run_theory

    with console.status("training linear models"):
        result = run_theory(out, seed)
    least = result["regression"]["least_wasserstein2"]
    table = Table("optimizer", "mean to limit", "S to limit", "W2² to prior", "expected loss", box=None)
    for name, row in result["regression"]["optimizers"].items():
        numbers = (row["mean_error"], row["factor_error"], row["wasserstein2"], row["expected_loss"])
        table.add_row(name, *(f"{number:.6g}" for number in numbers))
    console.print(table)
    console.print(f"least possible W2² of any zero-loss distribution: {least:.6g}", highlight=False)
    for figure in (*result["figures"], "theory.json"):
        console.print(f"wrote {out / figure}", highlight=False)


@commands.command()
def transfer(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of figure and JSON.")] = Path("results/transfer"),
    fast: Annotated[bool, typer.Option("--fast", help="Fewer widths and steps: minutes on a CPU.")] = False,
    dataset: Annotated[
        str, typer.Option("--data", help="A data set that is on this machine: see ivi data.")
    ] = "digits",
    seed: Annotated[int, typer.Option(help="Seed of weights and noise.")] = 0,
) -> None:
    """Does the best learning rate stay put as networks grow wider? Standard against maximal-update parametrization."""
    import torch
    from rich.progress import Progress
    from rich.table import Table

    from benchmarks.data import load
    from benchmarks.data.spec import read_spec
    from ivi.transfer import run_transfer

    torch.set_num_threads(1)  # these products are small: threads would wait for each other most of the time
    splits = read_spec(dataset).splits
    images = load(dataset, "train" if "train" in splits else next(iter(splits)))
    assert images.labels is not None
    with Progress(console=console, transient=True) as bars:
        bar = bars.add_task("training networks", total=None)
        show = lambda done, total: bars.update(bar, completed=done, total=total)  # noqa: E731
        result = run_transfer(images.inputs, images.labels, out, fast, seed, progress=show)
    table = Table("optimizer", "parametrization", "drift of the best learning rate, octaves", box=None)
    for optimizer in ("sgd", "adam"):
        for name, summary in result[optimizer].items():
            if name != "lrs":
                drift = summary["drift_octaves"]
                table.add_row(optimizer, name, "best at an end of the grid" if drift is None else f"{drift:+.2f}")
    widths = result["widths"]
    console.print(f"widths {widths[0]} to {widths[-1]}", highlight=False)
    console.print(table)
    for figure in (*result["figures"], "transfer.json"):
        console.print(f"wrote {out / figure}", highlight=False)
