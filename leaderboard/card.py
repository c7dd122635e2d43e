"""The card of a method: what its quality and cost depend on, one hyperparameter at a time. Views draw and write it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from leaderboard.plan import BASE
from leaderboard.table import Board, Row


@dataclass(frozen=True)
class Setting:
    """One value of a hyperparameter, as it is written, and the row of the board that has it."""

    value: str
    label: str
    is_default: bool


@dataclass(frozen=True)
class Knob:
    """A hyperparameter and the values that were tried of it, all others at the default."""

    name: str
    settings: Sequence[Setting]


@dataclass(frozen=True)
class Card:
    """What a card shows.

    Attributes:
        method: its label.
        summary: its description in a line.
        about: task, model, seeds, dates.
        device: what the runs were made on.
        knobs: what was varied.
        board: rows of all settings and of MAP; columns are those of the tables.
    """

    method: str
    summary: str
    about: str
    device: str
    knobs: Sequence[Knob]
    board: Board

    @property
    def base(self) -> Row | None:
        """The row of MAP."""
        return self.row(BASE)

    def row(self, label: str) -> Row | None:
        """The row of ``label``; None where it was not made."""
        return next((row for row in self.board.rows if row.method == label), None)

    def table(self, knob: Knob) -> Board:
        """The board of one hyperparameter: MAP, then its values in their order, called by them."""
        rows = [replace(self.base, method=BASE)] if self.base is not None and self.method != BASE else []
        for setting in knob.settings:
            row = self.row(setting.label)
            if row is not None:
                name = f"{knob.name}={setting.value}{' (default)' if setting.is_default else ''}"
                rows.append(replace(row, method=name))
        return replace(self.board, rows=rows)
