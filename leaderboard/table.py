"""The board: a pure fold of records into rows, and its views."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leaderboard.record import Record, latest
from leaderboard.statistics import Interval, t_interval

if TYPE_CHECKING:
    import pandas as pd

LATEX = str.maketrans(
    {"±": r"$\pm$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "×": r"$\times$", "_": r"\_", "%": r"\%", "–": "--"}
)
BASELINE = "map"
"""The method that costs are ratios to."""


@dataclass(frozen=True)
class Column:
    """One column: where its value is in a record, and how it is shown.

    Attributes:
        key: name in JSON and CSV.
        title: name in the head, with an arrow towards better.
        value: record -> number; None where it was not measured.
        digits: decimals shown.
        ratio: shown as a ratio to MAP of the same seed.
        higher_is_better: which way is better.
    """

    key: str
    title: str
    value: Callable[[Record], float | None]
    digits: int = 3
    ratio: bool = False
    higher_is_better: bool = False


def _metric(group: str, name: str) -> Callable[[Record], float | None]:
    return lambda record: record.metrics.get(group, {}).get(name)


def _cost(*names: str) -> Callable[[Record], float | None]:
    return lambda record: max(getattr(record.cost, name) for name in names) if record.cost else None


COLUMNS = (
    Column("accuracy", "accuracy ↑", _metric("test", "accuracy"), higher_is_better=True),
    Column("nll", "NLL ↓", _metric("test", "nll")),
    Column("ece", "ECE ↓", _metric("test", "ece")),
    Column("auroc_near", "near AUROC ↑", _metric("ood_near", "auroc_max_probability"), higher_is_better=True),
    Column("auroc_far", "far AUROC ↑", _metric("ood_far", "auroc_max_probability"), higher_is_better=True),
    Column("fit", "fit ×MAP ↓", _cost("fit_s"), digits=2, ratio=True),
    Column("predict", "predict ×MAP ↓", _cost("predict_s"), digits=2, ratio=True),
    Column("memory", "memory ×MAP ↓", _cost("peak_memory_fit", "peak_memory_predict"), digits=2, ratio=True),
)


@dataclass(frozen=True)
class Planned:
    """A run that belongs to the table, made or not."""

    run_id: str
    task: str
    method: str
    seed: int


@dataclass(frozen=True)
class Row:
    """One method on one task.

    Attributes:
        n: seeds with an ok record.
        ranked: whether the row may be compared with the others; ``reason`` says why not.
        metrics: column key -> mean over seeds and its 95 % t interval; NaN bounds for one seed.
    """

    task: str
    method: str
    n: int
    ranked: bool
    reason: str
    metrics: Mapping[str, Interval]


def planned_of(records: Iterable[Record]) -> list[Planned]:
    """The plan that a set of records fulfils by itself."""
    return [Planned(r.run_id, r.task.name, r.method.label, r.seed) for r in latest(list(records)).values()]


def fold(records: Sequence[Record], planned: Sequence[Planned], columns: Sequence[Column] = COLUMNS) -> list[Row]:
    """Rows of the board in the order of the plan, ranked ones first within a task, best NLL first."""
    found = latest(list(records))
    groups: dict[tuple[str, str], list[Planned]] = {}
    for run in planned:
        groups.setdefault((run.task, run.method), []).append(run)
    ok = {
        key: {run.seed: found[run.run_id] for run in runs if run.run_id in found and found[run.run_id].status == "ok"}
        for key, runs in groups.items()
    }
    rows = []
    for (task, method), runs in groups.items():
        mine, base = ok[task, method], ok.get((task, BASELINE), {})
        reason = _reason(runs, found, mine, base)
        metrics = {column.key: _interval(column, mine, base) for column in columns}
        rows.append(Row(task, method, len(mine), not reason, reason, metrics))
    tasks = list(dict.fromkeys(row.task for row in rows))
    return sorted(rows, key=lambda row: (tasks.index(row.task), not row.ranked, _nan_last(row.metrics.get("nll"))))


def _interval(column: Column, records: Mapping[int, Record], base: Mapping[int, Record]) -> Interval:
    values = []
    for seed, record in records.items():
        value = column.value(record)
        if value is not None and column.ratio:
            reference = column.value(base[seed]) if seed in base else None
            value = value / reference if reference else None
        if value is not None:
            values.append(value)
    return t_interval(values) if values else Interval(math.nan, math.nan, math.nan)


def _reason(
    runs: Sequence[Planned], found: Mapping[str, Record], ok: Mapping[int, Record], base: Mapping[int, Record]
) -> str:
    """Why a row is not ranked; empty if it is."""
    missing = [run for run in runs if run.seed not in ok]
    if missing:
        first = found.get(missing[0].run_id)
        why = "not run yet" if first is None else f"{first.status}: {first.error.reason if first.error else ''}"
        return f"{len(ok)} of {len(runs)} seeds ok; seed {missing[0].seed} {why}"
    records = list(ok.values())
    if any(record.method.package is None for record in records):
        return "the method was loaded from a file"
    if any(record.environment.dirty for record in records):
        return "the code had uncommitted changes"
    devices = {record.environment.device_name for record in [*records, *base.values()]}
    if len(devices) > 1:
        return f"made on different devices: {', '.join(sorted(devices))}"
    return ""


def _nan_last(interval: Interval | None) -> tuple[bool, float]:
    mean = math.nan if interval is None else interval.mean
    return math.isnan(mean), mean


def cell(interval: Interval, digits: int) -> str:
    """``mean ± half of the 95 % interval``; the mean alone for one seed, a dash where nothing was measured."""
    mean, low, high = interval
    if math.isnan(mean):
        return "–"
    half = (high - low) / 2
    return f"{mean:.{digits}f}" if math.isnan(half) else f"{mean:.{digits}f} ± {half:.{digits}f}"


def as_json(rows: Sequence[Row]) -> str:
    """A list of rows; NaN and infinities as strings, as in records."""
    return json.dumps(
        [
            {
                **{key: getattr(row, key) for key in ("task", "method", "n", "ranked", "reason")},
                "metrics": {
                    key: {name: _json_number(value) for name, value in interval._asdict().items()}
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


def frame(rows: Sequence[Row], columns: Sequence[Column] = COLUMNS) -> pd.DataFrame:
    """Rows as a data frame of numbers: per column its mean, low and high."""
    import pandas as pd

    return pd.DataFrame(
        [
            {key: getattr(row, key) for key in ("task", "method", "n", "ranked", "reason")}
            | {
                f"{column.key}{suffix}": getattr(row.metrics[column.key], part)
                for column in columns
                for suffix, part in (("", "mean"), ("_low", "low"), ("_high", "high"))
            }
            for row in rows
        ]
    )


def shown(rows: Sequence[Row], columns: Sequence[Column] = COLUMNS) -> tuple[list[str], list[list[str]], list[str]]:
    """Head, cells and footnotes, as text: what the terminal, Markdown and LaTeX views have in common."""
    tasks = {row.task for row in rows}
    head = [*(["task"] if len(tasks) > 1 else []), "method", "n", *(column.title for column in columns)]
    notes: list[str] = []
    body = []
    for row in rows:
        mark = ""
        if not row.ranked:
            if row.reason not in notes:
                notes.append(row.reason)
            mark = f" [{notes.index(row.reason) + 1}]"
        cells = [cell(row.metrics[column.key], column.digits) for column in columns]
        body.append([*([row.task] if len(tasks) > 1 else []), row.method + mark, str(row.n), *cells])
    footnotes = [f"[{i}] not ranked: {note}" for i, note in enumerate(notes, 1)]
    return head, body, footnotes


def as_markdown(rows: Sequence[Row], columns: Sequence[Column] = COLUMNS) -> str:
    """A Markdown table with its footnotes."""
    head, body, notes = shown(rows, columns)
    right = [":--" if i < len(head) - len(columns) - 1 else "--:" for i in range(len(head))]
    lines = [" | ".join(line) for line in (head, right, *body)]
    return "\n".join([*(f"| {line} |" for line in lines), *(f"\n{note}" for note in notes)])


def insert(document: str, name: str, text: str) -> str:
    """``document`` with ``text`` between its lines ``<!-- table: name -->`` and ``<!-- end -->``.

    Raises:
        ValueError: it has no such lines.
    """
    before, start, rest = document.partition(f"<!-- table: {name} -->\n")
    _, end, after = rest.partition("<!-- end -->\n")
    if not start or not end:
        raise ValueError(f"it has no lines '<!-- table: {name} -->' and '<!-- end -->' to put the table between")
    return f"{before}{start}{text}\n{end}{after}"


def as_latex(rows: Sequence[Row], columns: Sequence[Column] = COLUMNS) -> str:
    """A LaTeX tabular (booktabs) with its footnotes as comments."""
    head, body, notes = shown(rows, columns)
    lines = [" & ".join(line).translate(LATEX) + r" \\" for line in (head, *body)]
    align = "l" * (len(head) - len(columns) - 1) + "r" * (len(columns) + 1)
    return "\n".join(
        [rf"\begin{{tabular}}{{{align}}}", r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
        + [r"\end{tabular}", *(f"% {note}" for note in notes)]
    )
