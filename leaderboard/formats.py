"""Views of the board as text: Markdown, LaTeX, JSON, CSV; and what the terminal shares with them."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import NamedTuple

from leaderboard import scoring
from leaderboard.columns import Column, columns
from leaderboard.statistics import Interval
from leaderboard.table import BEST, Row

LATEX = str.maketrans(
    {
        "±": r"$\pm$",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "×": r"$\times$",
        "_": r"\_",
        "%": r"\%",
        "–": "--",
        "∞": r"$\infty$",
    }
)
FIELDS = ("task", "method", "n", "ranked", "reason")


class Cell(NamedTuple):
    """A cell's text, and whether it belongs to the top group of its column."""

    text: str
    top: bool = False


class Shown(NamedTuple):
    """Head, cells, footnotes and legend: what the terminal, Markdown and LaTeX views have in common."""

    head: list[str]
    body: list[list[Cell]]
    notes: list[str]
    legend: list[str]


def cell(interval: Interval | None, digits: int, sign: str = "") -> str:
    """``mean ± half of the interval``; the mean alone for one seed, a dash where nothing was measured.

    A mean that is NaN or infinite, since that of a seed is, is shown as ``NaN`` or ``∞``. ``sign`` is ``+`` for
    differences.
    """
    if interval is None:
        return "–"
    mean, low, high = interval
    if not math.isfinite(mean):
        return "NaN" if math.isnan(mean) else ("∞" if mean > 0 else "-∞")
    half, text = (high - low) / 2, f"{mean:{sign},.{digits}f}"
    return text if math.isnan(half) else f"{text} ± {half:,.{digits}f}"


def shown(rows: Sequence[Row], chosen: Sequence[Column] | None = None, against: str = "") -> Shown:
    """Rows as text. ``against`` is what `table.fold` was given."""
    chosen = columns() if chosen is None else chosen
    several = len({row.task for row in rows}) > 1
    head = [*(["task"] if several else []), "method", "n", *(column.title for column in chosen)]
    reasons = list(dict.fromkeys(row.reason for row in rows if not row.ranked))
    body = []
    for row in rows:
        mark = "" if row.ranked else f" [{reasons.index(row.reason) + 1}]"
        cells = [
            Cell(
                cell(row.metrics[column.key], column.digits, "+" if against and not column.cost else ""),
                column.key in row.top,
            )
            for column in chosen
        ]
        body.append([*([Cell(row.task)] if several else []), Cell(row.method + mark), Cell(str(row.n)), *cells])
    notes = [f"[{i}] not ranked: {reason}" for i, reason in enumerate(reasons, 1)]
    return Shown(head, body, notes, _legend(rows, chosen, against))


def _legend(rows: Sequence[Row], chosen: Sequence[Column], against: str) -> list[str]:
    lines = ["mean over n seeds ± half of its 95 % t interval"]
    if against:
        name = "the best of the column" if against == BEST else against
        but = " (×MAP: ratios, as ever)" if any(column.cost for column in chosen) else ""
        lines = [f"difference to {name}, mean over common seeds ± half of its 95 % t interval{but}"]
    if any((column.place or ("", ""))[0] in scoring.OOD_GROUPS for column in chosen):
        lines.append("near, far: mean over those OOD sets, scored by maximum probability unless another score is named")
    made = [row for row in rows if row.n]
    shares = [column.key for column in chosen if column.cost and any(row.metrics[column.key] for row in made)]
    if shares:
        alternated = [row.method for row in made if row.rounds]
        separate = "×MAP: ratio to MAP of the same seed, of separate runs"
        rounds = ", ".join(sorted({str(row.rounds) for row in made if row.rounds}))
        turns = (
            f"×MAP: alternated with MAP in one process (ivi cost), median of {rounds} rounds ± half of the quartiles' "
            "distance"
        )
        if len(alternated) == len(made) and made:
            lines.append(turns)
        elif alternated:
            names = ", ".join(dict.fromkeys(alternated))
            lines.append(f"{turns}, for {names}; others: ratio to MAP of the same seed, of separate runs")
        else:
            lines.append(separate)
    if any(row.top for row in rows):
        lines.append("bold: not told from the best of the column (paired t tests, 95 %, Holm over all pairs)")
    if any(interval is None for row in rows for interval in row.metrics.values()):
        lines.append("–: not measured")
    if any(interval and not math.isfinite(interval.mean) for row in rows for interval in row.metrics.values()):
        lines.append("NaN, ∞: of one seed at least; such a row is in no top group")
    return lines


def as_markdown(rows: Sequence[Row], chosen: Sequence[Column] | None = None, against: str = "") -> str:
    """A Markdown table with its footnotes and legend."""
    chosen = columns() if chosen is None else chosen
    head, body, notes, legend = shown(rows, chosen, against)
    right = [":--" if i < len(head) - len(chosen) - 1 else "--:" for i in range(len(head))]
    cells = [[f"**{text}**" if top else text for text, top in line] for line in body]
    lines = [" | ".join(line) for line in (head, right, *cells)]
    return "\n".join([*(f"| {line} |" for line in lines), *(f"\n{note}" for note in [*notes, "; ".join(legend) + "."])])


def as_latex(rows: Sequence[Row], chosen: Sequence[Column] | None = None, against: str = "") -> str:
    """A LaTeX tabular (booktabs) with its footnotes and legend as comments."""
    chosen = columns() if chosen is None else chosen
    head, body, notes, legend = shown(rows, chosen, against)
    cells = [[_latex_cell(one) for one in line] for line in body]
    lines = [" & ".join(line) + r" \\" for line in ([name.translate(LATEX) for name in head], *cells)]
    align = "l" * (len(head) - len(chosen) - 1) + "r" * (len(chosen) + 1)
    return "\n".join(
        [rf"\begin{{tabular}}{{{align}}}", r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
        + [r"\end{tabular}", *(f"% {line}" for line in [*notes, *legend])]
    )


def _latex_cell(one: Cell) -> str:
    if not one.top:
        return one.text.translate(LATEX)
    mean, sign, half = one.text.partition(" ± ")
    return rf"\textbf{{{mean}}}" + (sign + half).translate(LATEX)


def as_json(rows: Sequence[Row]) -> str:
    """A list of rows; NaN and infinities as strings and null for what was not measured, as in records."""
    return json.dumps(
        [
            {
                **{key: getattr(row, key) for key in FIELDS},
                "metrics": {
                    key: interval and {name: _json_number(value) for name, value in interval._asdict().items()}
                    for key, interval in row.metrics.items()
                },
            }
            for row in rows
        ],
        indent=1,
        allow_nan=False,
    )


def _json_number(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")


def as_csv(rows: Sequence[Row], chosen: Sequence[Column] | None = None) -> str:
    """Every number: per column its mean, low and high; empty cells where nothing was measured or has no bounds."""
    chosen = columns() if chosen is None else chosen
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*FIELDS, *(f"{column.key}{end}" for column in chosen for end in ("", "_low", "_high"))])
    for row in rows:
        cells = [cell for column in chosen for cell in _csv_cells(row.metrics[column.key])]
        writer.writerow([*(getattr(row, key) for key in FIELDS), *cells])
    return text.getvalue().rstrip("\n")


def _csv_cells(interval: Interval | None) -> list[float | str]:
    if interval is None:
        return [""] * 3
    return [interval.mean, *("" if math.isnan(bound) else bound for bound in interval[1:])]
