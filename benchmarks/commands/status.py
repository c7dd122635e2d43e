"""`ivi status`: how far the suites of a folder are, and what works on them elsewhere. No torch."""

from __future__ import annotations

from collections import Counter

import typer
from rich.text import Text

from baselines.names import UserError
from benchmarks.commands.options import RESULTS, Out, console

commands = typer.Typer()


@commands.command()
def status(out: Out = RESULTS) -> None:
    """Show how many runs of each suite in a folder are done, and the workers and logs of those that a cluster makes."""
    from benchmarks.executors import chosen
    from benchmarks.machine import cache_folder
    from leaderboard.plan import plans
    from leaderboard.results import load_results

    known = plans(out)
    if not known:
        raise UserError(f"{out} holds no plan of a suite: ivi run makes one")
    ends = _ends(load_results(out, cache_folder()).results)
    for plan in known:
        counts = Counter(ends.get(run.run_id, "to do") for run in plan.runs)
        words = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in counts.most_common())
        console.print(Text(f"{plan.suite}: {len(plan.runs)} runs: {words}"), soft_wrap=True)
    for line in chosen.status(out):
        console.print(Text(line), soft_wrap=True)


def _ends(results: list) -> dict[str, str]:
    """Run id -> how its last attempt ended; an ok one, whenever it was made, counts more."""
    ends: dict[str, str] = {}
    for one in sorted(results, key=lambda one: (one.status == "ok", one.attempt)):
        ends[one.run_id] = one.status
    return ends
