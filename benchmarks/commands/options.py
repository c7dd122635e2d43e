"""What the commands share: consoles, and the options that several of them take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from baselines.names import UserError

if TYPE_CHECKING:
    from benchmarks.runs import Run
    from benchmarks.suite import Suite
    from leaderboard.plan import Plan

console = Console()
errors = Console(stderr=True)


class Told(SystemExit):
    """The end of a command that was interrupted and has said so in its own words."""


SuiteName = Annotated[str, typer.Argument(help="Name of a suite or a task, or a path to a TOML file of either.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of records and predictions.", show_default=True)]
Methods = Annotated[
    str | None,
    typer.Option("--methods", "-m", help='Only these, e.g. "map,implicit_vi(rank=2)"; all: each of ivi list methods.'),
]
Seeds = Annotated[
    str | None, typer.Option("--seeds", "-s", help="Other seeds than the suite's: 5 means 0 to 4; '0,3,7' those.")
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ...; auto takes a GPU where there is one.")]
Extra = Annotated[
    list[str] | None,
    typer.Option("--method", help="Add a method from a file: path/to/file.py:Class. Unranked until submitted."),
]
KeepModels = Annotated[
    bool, typer.Option("--keep-models", help="Keep each fitted predictor beside its record, for ivi predict.")
]
RESULTS = Path("results")


@dataclass(frozen=True)
class Chosen:
    """A suite, with what the command line changes in it, and its runs; ``whole``: those without the changes."""

    suite: Suite
    runs: list[Run]
    whole: list[Run]

    def plan(self, folder: Path) -> Plan:
        """What the folder of the records is about: the whole suite; or what was asked for, beside what it was about."""
        from benchmarks.results import planned
        from leaderboard.plan import read_plan

        asked = planned(self.suite.name, self.suite.description, self.runs)
        before = None if self.runs == self.whole else read_plan(folder, self.suite.name)
        if before is None:
            return asked
        settings = {run.setting for run in asked.runs}  # what was planned of other data or another recipe is past
        runs = {run.run_id: run for run in (*before.runs, *asked.runs) if run.setting in settings}
        return asked.model_copy(update={"runs": tuple(runs.values())})


def chosen_runs(
    suite: str, methods: str | None, seeds: str | None, device: str, extra: list[str] | None, here: bool = True
) -> Chosen:
    """The suite, with what the command line changes in it, and its runs; its data are sealed if they are not yet.

    ``here``: whether the device must be on this machine.
    """
    from baselines.registry import known_methods, variants
    from baselines.spec import distinct, parse, split
    from benchmarks.machine import chosen_device
    from benchmarks.prepare import prepare
    from benchmarks.runs import runs_of
    from benchmarks.suite import load_suite, load_task

    whole, where = load_suite(suite), chosen_device(device, here)
    changes: dict[str, Any] = {}
    if seeds is not None:
        changes["seeds"] = chosen_seeds(seeds)
    listed = tuple(split(methods)) if methods is not None else whole.methods
    if "all" in listed:
        listed = tuple(name for one in listed for name in ([*known_methods(), *variants()] if one == "all" else [one]))
    if methods is not None and not listed:
        raise UserError("--methods names no method; see ivi list methods")
    changes["methods"] = tuple(dict.fromkeys([*listed, *(extra or [])]))
    chosen = whole.model_copy(update=changes)
    distinct(parse(text) for text in chosen.methods)  # a misspelt name is said before data are decoded
    tasks = {name: load_task(name) for name in chosen.tasks}
    ready = {name: (task, prepare(task, say)) for name, task in tasks.items()}
    return Chosen(chosen, runs_of(chosen, ready, where), runs_of(whole, ready, where))


def say(words: str) -> None:
    """Tell whoever waits what is being waited for."""
    console.print(Text(words, "dim"), soft_wrap=True)


def chosen_seeds(text: str | None) -> tuple[int, ...] | None:
    """The seeds that ``--seeds`` means; None: all."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() and len(part) < 10 for part in parts) or parts == ["0"]:
        raise UserError(f"--seeds must be a number of seeds, at least 1, or a list such as '0,3,7', not {text!r}")
    numbers = [int(part) for part in parts]
    return tuple(range(numbers[0])) if len(numbers) == 1 else tuple(dict.fromkeys(numbers))


@contextmanager
def bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr while the block runs, nothing where that is no terminal; takes (done, total)."""
    from rich.progress import Progress

    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress:
        shown = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(shown, completed=done, total=total)
