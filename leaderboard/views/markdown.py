"""The board in Markdown. What strangers wrote cannot leave its cell: markup is written as character references."""

from __future__ import annotations

import re

from leaderboard.table import Board
from leaderboard.views.cells import ROUGH, WORSE, Cell, shown
from leaderboard.views.text import plain

_MARKUP = re.compile(
    r"[\\`*\[\]<>&|~#!@$]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])|:(?=/)|(?<=mailto):|(?<=xmpp):|w(?=ww\.)", re.I
)


def escaped(text: str) -> str:
    """``text`` as Markdown that shows it: no emphasis, links, HTML, cells, mentions or formulas."""
    return _MARKUP.sub(lambda match: f"&#{ord(match[0])};", plain(text))


def as_markdown(board: Board, *, legend: bool = True) -> str:
    """A Markdown table with its footnotes and, unless it stands elsewhere, its legend."""
    view = shown(board)
    right = [":--" if i < view.names else "--:" for i in range(len(view.head))]
    cells = [[_cell(one, i < view.names) for i, one in enumerate(line.cells)] for line in view.body]
    lines = [" | ".join(line) for line in (list(map(escaped, view.head)), right, *cells)]
    below = [f"[{i}] {escaped(note)}" for i, note in enumerate(view.notes, 1)]
    below += ["; ".join(map(escaped, view.legend)) + "."] if legend else []
    return "\n".join([*(f"| {line} |" for line in lines), *(f"\n{note}" for note in below)])


def _cell(one: Cell, is_name: bool) -> str:
    text = escaped(one.text) if is_name else one.text.replace(" ± ", "±")
    if one.notes:
        return f"{text} [{one.notes}]"
    if one.mark == "top":
        return f"**{text}**"
    return text + WORSE if one.mark == "worse" else ROUGH + text if one.mark == "rough" else text
