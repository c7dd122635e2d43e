"""What a page about a method shows: what it is, its hyperparameters, its rows and what its fitted models do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from leaderboard.history import OldRecord
from leaderboard.record import Record
from leaderboard.table import Line, Row
from leaderboard.views.site.reading import BoardRead, Library
from leaderboard.views.text import plain


@dataclass(frozen=True)
class Hyperparameter:
    """One of a method: its name, what it may be, its default and what it does."""

    name: str
    values: str
    default: str
    words: str


@dataclass(frozen=True)
class MethodText:
    """What a method's own source says of it.

    Attributes:
        summary: the first line of its docstring; ``more``: the paragraphs below it.
        source: its file, below the root of the project.
    """

    name: str
    summary: str
    more: tuple[str, ...]
    hyperparameters: tuple[Hyperparameter, ...]
    source: str


@dataclass
class MethodSeen:
    """A method in the records.

    Attributes:
        name: of its class; ``rows``: every row that it made, with its board.
        changes: what its runs declare to change in the recipe; ``random``: layers that are random, by row.
    """

    name: str
    text: MethodText | None = None
    rows: list[tuple[BoardRead, Row, Line]] = field(default_factory=list)
    changes: dict[str, str] = field(default_factory=dict)
    random: dict[str, tuple[str, ...]] = field(default_factory=dict)


def methods_of(library: Library, texts: Mapping[str, MethodText]) -> dict[str, MethodSeen]:
    """Every method that made a row, or is described, by name."""
    found: dict[str, MethodSeen] = {name: MethodSeen(name, text) for name, text in texts.items()}
    for board in library.boards:
        for row in board.board.rows:
            line = board.lines[row.task, row.method]
            name = method_name(line)
            seen = found.setdefault(name, MethodSeen(name, texts.get(name)))
            seen.rows.append((board, row, line))
            records = [library.records[one.path] for one in line.group.results.values() if one.path in library.records]
            seen.changes |= _changes(records)
            if layers := tuple(dict.fromkeys(plain(name) for one in records for name in one.audit.random)):
                seen.random[f"{plain(row.method)} on {plain(row.task)}"] = layers
    return dict(sorted(found.items()))


def method_name(line: Line) -> str:
    """The name of the method's class; of a row that was never made, that of its label."""
    one = line.group.one
    return plain(str(one.method[0])) if one else plain(line.group.label.partition("(")[0])


def _changes(records: Sequence[Record | OldRecord]) -> dict[str, str]:
    changes: dict[str, str] = {}
    for one in records:
        declared = one.method.recipe_changes if isinstance(one, OldRecord) else one.audit.recipe_changes
        changes |= {plain(str(key)): plain(str(value)) for key, value in declared.items()}
    return changes
