"""`ivi card`: what a method's quality and cost depend on, as a figure and a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from baselines.names import UserError
from benchmarks.commands.options import RESULTS, Device, Out, chosen_runs, console, errors

if TYPE_CHECKING:
    from benchmarks.cards import CardPlan
    from benchmarks.runs import Run

commands = typer.Typer()
CARDS = Path("docs/cards")


@commands.command()
def card(
    method: Annotated[str | None, typer.Argument(help="A method, e.g. 'laplace' or 'laplace(subset=all)'.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every installed method that has a card.")] = False,
    knobs: Annotated[str | None, typer.Option(help="Only these hyperparameters of the card, e.g. 'rate'.")] = None,
    seeds: Annotated[str, typer.Option("--seeds", "-s", help="5 means 0 to 4; '0,3,7' those.")] = "5",
    task: Annotated[str | None, typer.Option(help="Another task than that of the suite quick.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Jobs at a time. Default: one per core, or one on a GPU.")] = None,
    device: Device = "auto",
    out: Out = RESULTS,
    to: Annotated[Path, typer.Option(help="Folder for the page and its figure.")] = CARDS,
    stale: Annotated[
        bool, typer.Option("--stale", help="Also repeat runs that failed, or that other code or packages have made.")
    ] = False,
) -> None:
    """Vary the hyperparameters that matter, one at a time, and show quality and cost as one figure and a page.

    Its runs are ordinary ones: they are kept in the folder of records, and never made twice. Which values are tried
    stands in cards/NAME.toml beside the method's source file.
    """
    from benchmarks.cards import card_plan, with_card
    from benchmarks.suite import load_suite

    if (method is None) != everything or (everything and knobs is not None):
        raise UserError("name a method, or all of them with --all, which takes no --knobs")
    if jobs is not None and jobs < 1:
        raise UserError(f"--jobs must be at least 1, not {jobs}")
    names, without = with_card() if everything else ([str(method)], [])
    if without:
        errors.print(f"without a card: {', '.join(without)}", style="yellow", soft_wrap=True)
    where, failed = task or load_suite("quick").tasks[0], 0
    for one in [card_plan(name, knobs) for name in names]:
        runs = chosen_runs(where, ", ".join(dict.fromkeys(["map", *one.texts])), seeds, device, None).runs
        failed += _made(one, runs, out, jobs, stale, to)
    if failed:
        errors.print(f"{failed} runs failed; their records say why. Repeat them with --stale.")
        raise typer.Exit(1)


def _made(one: CardPlan, runs: list[Run], out: Path, jobs: int | None, stale: bool, to: Path) -> int:
    """Make the runs that are not done, write the card, and say how many of its runs have failed."""
    try:
        from leaderboard.views.card import write
    except ModuleNotFoundError as error:
        raise UserError(f"a card needs {error.name}: pip install 'ivi-bench[figures]'") from None
    from benchmarks.board import card_of
    from benchmarks.execute import make_runs
    from benchmarks.results import DONE, Todo, planned
    from leaderboard.shelf import latest, read_all

    plan = planned(f"card-{one.name}", f"The card of {one.spec.label}: one hyperparameter at a time", runs)
    make_runs(runs, out, console, workers=jobs, redo=Todo.STALE if stale else Todo.NEW, plan=plan)
    for file in write(card_of(out, one, plan), to, one.name):
        typer.echo(file)
    found = latest(read_all(out).records)
    return sum(found[run.run_id].status not in DONE for run in runs if run.run_id in found)
