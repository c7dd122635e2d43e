"""The board in LaTeX. What strangers wrote is text there, never a command."""

from __future__ import annotations

from leaderboard.table import Board
from leaderboard.views.cells import Cell, shown
from leaderboard.views.text import plain

_CHARACTERS = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "#": r"\#",
        "$": r"\$",
        "%": r"\%",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\textquotedbl{}",
        "±": r"$\pm$",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "×": r"$\times$",
        "–": "--",
        "∞": r"$\infty$",
    }
)


def escaped(text: str) -> str:
    """``text`` as LaTeX that shows it."""
    return plain(text).translate(_CHARACTERS)


def as_latex(board: Board, *, legend: bool = True) -> str:
    """A LaTeX tabular (booktabs) with its footnotes and legend as comments."""
    view = shown(board)
    cells = [[_cell(one) for one in line.cells] for line in view.body]
    lines = [" & ".join(line) + r" \\" for line in (list(map(escaped, view.head)), *cells)]
    align = "l" * view.names + "r" * (len(view.head) - view.names)
    comments = [*(f"[{i}] {note}" for i, note in enumerate(view.notes, 1)), *(view.legend if legend else [])]
    return "\n".join(
        [rf"\begin{{tabular}}{{{align}}}", r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
        + [r"\end{tabular}", *(f"% {plain(line)}" for line in comments)]
    )


def _cell(one: Cell) -> str:
    if one.notes:
        return f"{escaped(one.text)} [{one.notes}]"
    mean, sign, half = one.text.partition(" ± ")
    spread = escaped(sign + half)
    if one.mark == "top":
        return rf"\textbf{{{escaped(mean)}}}" + spread
    if one.mark == "worse":
        return escaped(mean) + spread + r"$^{\bigtriangledown}$"
    return (r"$\sim$" if one.mark == "rough" else "") + escaped(mean) + spread
