"""What the command shows on a terminal. Each view imports what it alone needs, so that a list comes at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from benchmarks.runs import Run
    from leaderboard.record import Record


def tasks() -> Table:
    """Every task that comes with the package."""
    from benchmarks.suite import load_task, names

    view = _table("task", "version", "model", "description")
    for task in map(load_task, names("task")):
        view.add_row(task.name, str(task.version), task.model.name, task.description)
    return view


def suites() -> Table:
    """Every suite that comes with the package."""
    from baselines.spec import parse
    from benchmarks.suite import load_suite, names

    view = _table("suite", "tasks", "methods", "seeds", "description")
    for suite in map(load_suite, names("suite")):
        methods = ", ".join(dict.fromkeys(parse(text).name for text in suite.methods))
        variants = f" ({len(suite.methods)} variants)" if len(suite.methods) > len(methods.split(", ")) else ""
        seeds = str(len(suite.seeds))
        view.add_row(suite.name, ", ".join(suite.tasks), methods + variants, seeds, suite.description)
    return view


def methods() -> Table:
    """Every installed method with its hyperparameters, the named variants, and what is declared but cannot be used."""
    from baselines.registry import known_methods, unavailable, variants

    view = _table("method", "what", "parameters")
    for method in known_methods().values():
        parameters = ", ".join(f"{key}={value}" for key, value in method.defaults.items())
        view.add_row(Text(method.name), Text(method.summary), Text(parameters))  # a stranger's words are no markup
    for name, spec in variants().items():
        view.add_row(name, f"short for {spec}", "")
    for name, reason in unavailable().items():
        view.add_row(Text(name), Text(f"unavailable: {reason}", style="yellow"), "")
    return view


def plan(runs: Sequence[Run], records: list[Record]) -> Group:
    """Every run with its state and what it may take."""
    from benchmarks.results import DONE, estimates
    from leaderboard.shelf import latest

    view = _table("run", "task", "method", "seed", "state", "seconds")
    found, seconds = latest(records), estimates(runs, records)
    left = 0.0
    for run in runs:
        record = found.get(run.run_id)
        estimate = seconds.get(run.run_id)
        if record is None:
            left += estimate or 0.0
        view.add_row(
            run.run_id,
            run.task.name,
            run.method.label,
            str(run.seed),
            record.status if record else "to do",
            f"{estimate:.0f}" if estimate else "?",
        )
    todo = [run for run in runs if run.run_id not in found]
    bad = [run for run in runs if run.run_id in found and found[run.run_id].status not in DONE]
    unknown = sum(run.run_id not in seconds for run in todo)
    words = [f"{_counted(len(runs))}, {len(todo)} to do, {len(bad)} failed"]
    if left:
        words.append(f"about {left:.0f} s of work in the runs that others like them tell of")
    if unknown:
        words.append(f"how long {_counted(unknown)} will take is not known yet")
    return Group(view, Text("; ".join(words)))


def _counted(runs: int) -> str:
    return f"{runs} run{'s' if runs != 1 else ''}"


def columns() -> Table:
    """Every column that a table may have, and the names that stand for several."""
    from leaderboard.columns import GROUPS, every

    view = _table("column", "title")
    for one in every():
        view.add_row(one.key, one.title)
    view.add_section()
    view.add_row(", ".join(GROUPS), "groups of columns")
    view.add_row("SET:METRIC", "any stored number: validation:nll, ood_near/glyphs:auroc_energy, shift/fog/5:nll ...")
    return view


def _table(*columns: str) -> Table:
    view = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        view.add_column(column, overflow="fold")
    return view
