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

from baselines.names import UserError, unknown

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
    typer.Option("--methods", "-m", help='Only these, e.g. "map,implicit_vi(rank=2)"; all: every one but own_rate.'),
]
Seeds = Annotated[
    str | None, typer.Option("--seeds", "-s", help="Other seeds than the suite's: 5 means 0 to 4; '0,3,7' those.")
]
Tasks = Annotated[str | None, typer.Option("--tasks", "-t", help="Only these tasks of the suite, with commas between.")]
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
    """A suite, with what the command line changes in it, and its runs.

    Attributes:
        whole: the runs of the same tasks without the changes.
        left_out: other tasks of the suite.
    """

    suite: Suite
    runs: list[Run]
    whole: list[Run]
    left_out: tuple[str, ...] = ()

    def plan(self, folder: Path) -> Plan:
        """What the folder of the records is about: the whole suite; or what was asked for, beside what it was about."""
        from benchmarks.results import planned
        from leaderboard.plan import read_plan

        asked = planned(self.suite.name, self.suite.description, self.runs)
        before = read_plan(folder, self.suite.name) if self.left_out or self.runs != self.whole else None
        if before is None:
            return asked
        settings = {run.setting for run in asked.runs}  # what was planned of other data or another recipe is past
        kept = [run for run in before.runs if run.setting in settings or run.task in self.left_out]
        runs = {run.run_id: run for run in (*kept, *asked.runs)}
        return asked.model_copy(update={"runs": tuple(runs.values())})


def chosen_runs(
    suite: str,
    methods: str | None,
    seeds: str | None,
    device: str,
    extra: list[str] | None,
    here: bool = True,
    tasks: str | None = None,
) -> Chosen:
    """The suite, with what the command line changes in it, and its runs; its data are sealed if they are not yet.

    Args:
        suite, methods, seeds, device, extra, tasks: as the options of that name.
        here: whether the device must be on this machine.
    """
    from baselines.spec import distinct, parse
    from benchmarks.machine import chosen_device
    from benchmarks.prepare import prepare
    from benchmarks.runs import runs_of
    from benchmarks.suite import load_suite, load_task

    every, where = load_suite(suite), chosen_device(device, here)
    whole = every if tasks is None else every.model_copy(update={"tasks": _chosen_tasks(tasks, every.tasks)})
    changes: dict[str, Any] = {}
    if seeds is not None:
        changes["seeds"] = chosen_seeds(seeds)
    listed = listed_methods(methods) if methods is not None else whole.methods
    if methods is not None and not listed:
        raise UserError("--methods names no method; see ivi list methods")
    changes["methods"] = tuple(dict.fromkeys([*listed, *(extra or [])]))
    chosen = whole.model_copy(update=changes)
    distinct(parse(text) for text in chosen.methods)  # a misspelt name is said before data are decoded
    loaded = {name: load_task(name) for name in chosen.tasks}
    ready = {name: (task, prepare(task, say)) for name, task in loaded.items()}
    left_out = tuple(name for name in every.tasks if name not in whole.tasks)
    return Chosen(chosen, runs_of(chosen, ready, where), runs_of(whole, ready, where), left_out)


def _chosen_tasks(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The tasks that ``--tasks`` names, in the order of the suite."""
    named = {part.strip() for part in text.split(",") if part.strip()}
    if not named:
        raise UserError("--tasks names no task: leave it out for all of the suite")
    for name in sorted(named - {*known}):
        raise unknown("task", name, known)
    return tuple(name for name in known if name in named)


def listed_methods(text: str) -> tuple[str, ...]:
    """The methods that ``--methods`` means, ``all`` among them: every one but `own_rate`, which alone is MAP again."""
    from baselines.registry import known_methods, variants
    from baselines.spec import split

    every = [name for name in (*known_methods(), *variants()) if name != "own_rate"]
    return tuple(name for one in split(text) for name in (every if one == "all" else [one]))


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
