"""The page docs/metrics.md, made from registry and docstrings: ``python -m leaderboard.reference``."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from pathlib import Path

from leaderboard import calibration, metrics, scoring, statistics
from leaderboard.metrics.registry import METRICS, OOD_SCORES, RECALIBRATIONS, Metric, OodScore, Recalibration

ENTRIES: dict[str, tuple[Metric | OodScore | Recalibration, ...]] = {
    "Predictions of a class": tuple(METRICS["categorical"].values()),
    "Predictions of a number": tuple(METRICS["gaussian"].values()),
    "Out-of-distribution (OOD) sets": tuple(METRICS["ood"].values()),
    "OOD scores of predictions of a class": tuple(OOD_SCORES["categorical"].values()),
    "OOD scores of predictions of a number": tuple(OOD_SCORES["gaussian"].values()),
    "Post-hoc calibration of predictions of a class": tuple(RECALIBRATIONS["categorical"].values()),
}
FUNCTIONS: dict[str, tuple[Callable, ...]] = {
    "Post-hoc scaling": (calibration.fit_temperature, calibration.fit_variance_factor),
    "What scores hold": (scoring.score, scoring.ood_scores),
    "Intervals, ties and ranks": (
        statistics.t_interval,
        statistics.paired_difference,
        statistics.top_group,
        statistics.told_apart,
        statistics.detectable_difference,
        statistics.item_interval,
        statistics.average_ranks,
    ),
}
_HEAD = """# Metrics

Made from the registry and the docstrings by `python -m leaderboard.reference`; edit those, not this page.
"""


def page() -> str:
    """The whole page, as Markdown."""
    parts = [_HEAD, _prose(inspect.cleandoc(metrics.__doc__ or "").partition("\n")[2])]
    described: set[Callable] = set()
    for title, entries in ENTRIES.items():
        parts.append(f"## {title}\n")
        for entry in entries:
            if entry.function in described:
                parts.append(f"### `{entry.name}`: {entry.title}\n\nAs above, of each item.\n")
            else:
                parts.append(_entry(entry))
            described.add(entry.function)
    for title, functions in FUNCTIONS.items():
        parts.append(f"## {title}\n")
        for function in functions:
            prose, fields = _read(function)
            parts.append("\n".join([f"### `{function.__name__}`\n", _prose(prose), *_list(fields)]))
    return "\n".join(parts)


def _entry(entry: Metric | OodScore | Recalibration) -> str:
    """One entry: its prose, then formula, range, direction and source as a list."""
    prose, fields = _read(entry.function)
    lines = fields[:1]
    if isinstance(entry, Metric):
        lines += [f"Range: {_range(entry)}", f"Better: {entry.better or 'neither'}"]
    lines += fields[1:]
    if isinstance(entry, Recalibration):
        after = [metric for metric in METRICS[entry.kind].values() if metric.recalibrated]
        lines.append(f"Gives: {', '.join(f'`{metric.name}_{entry.name}`' for metric in after)}")
    elif entry.scaled:
        prefix = "" if isinstance(entry, Metric) else "<metric>_"
        lines.append(f"Also after post-hoc scaling: `{prefix}{entry.name}_scaled`")
    if isinstance(entry, Metric) and entry.recalibrated:
        lines.append("Also after every other post-hoc calibration (below)")
    unit = f" ({entry.unit})" if isinstance(entry, Metric) and entry.unit else ""
    return "\n".join([f"### `{entry.name}`: {entry.title}{unit}\n", _prose(prose), *_list(lines)])


def _range(entry: Metric) -> str:
    low, high = entry.range
    return f"{'(' if math.isinf(low) else '['}{low:g}, {high:g}{')' if math.isinf(low) else ']'}"


def _read(function: Callable) -> tuple[str, list[str]]:
    """The prose of a docstring, and its fields (Formula, Source), each in one line."""
    paragraphs, fields = [], []
    for block in (inspect.getdoc(function) or "").split("\n\n"):
        head, _, rest = block.partition(":")
        if head == "Formula" and "\nSource:" in block:
            fields = [" ".join(line.split()) for line in block.replace("\n    ", " ").splitlines()]
        elif head == "Returns":
            paragraphs.append(" ".join(rest.split()))
        elif head not in ("Args", "Raises"):
            paragraphs.append(" ".join(block.split()))
    return "\n\n".join(paragraphs), fields


def _list(lines: list[str]) -> list[str]:
    return [*(f"- {line}" for line in lines), ""] if lines else []


def _prose(text: str) -> str:
    return text.replace("``", "`").strip() + "\n"


if __name__ == "__main__":
    (Path(__file__).parents[1] / "docs" / "metrics.md").write_text(page())
