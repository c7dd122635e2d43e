"""What the commands share: consoles, and the options that several of them take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from baselines.names import UserError, unknown
from baselines.spec import split
from benchmarks.suite import Run, Suite, load_suite, plan

console = Console()
errors = Console(stderr=True)

SuiteName = Annotated[str, typer.Argument(help="Name of a suite or a task, or a path to a TOML file of either.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of records and predictions.", show_default=True)]
Methods = Annotated[
    str | None,
    typer.Option("--methods", "-m", help='Only these, e.g. "map,implicit_vi(rank=2)"; see ivi list methods.'),
]
Seeds = Annotated[int | None, typer.Option("--seeds", "-s", help="Seeds 0 ... N-1 instead of the suite's.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ...; auto takes a GPU where there is one.")]
Extra = Annotated[
    list[str] | None,
    typer.Option("--method", help="Add a method from a file: path/to/file.py:Class. Such rows are never ranked."),
]
RESULTS = Path("results")


def chosen_runs(
    suite: str, methods: str | None, seeds: int | None, device: str, extra: list[str] | None
) -> tuple[Suite, list[Run]]:
    """The suite, with what the command line changes in it, and its runs."""
    chosen = load_suite(suite)
    changes: dict[str, Any] = {}
    if seeds is not None:
        if seeds < 1:
            raise UserError(f"--seeds must be at least 1, not {seeds}")
        changes["seeds"] = tuple(range(seeds))
    listed = tuple(split(methods)) if methods is not None else chosen.methods
    if methods is not None and not listed:
        raise UserError("--methods names no method; see ivi list methods")
    changes["methods"] = tuple(dict.fromkeys([*listed, *(extra or [])]))
    chosen = chosen.model_copy(update=changes)
    return chosen, plan(chosen, chosen_device(device))


@contextmanager
def bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr while the block runs, nothing where that is no terminal; takes (done, total)."""
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress:
        shown = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(shown, completed=done, total=total)


def chosen_device(name: str) -> str:
    """The device that ``--device`` means."""
    if name == "auto":
        return "cuda" if Path("/dev/nvidiactl").exists() else "cpu"
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdecimal()):
        raise unknown("device", name, ["auto", "cpu", "cuda"])
    return name
