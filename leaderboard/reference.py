"""The reference page of the metrics, docs/metrics.md, made from docstrings: ``python -m leaderboard.reference``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

from leaderboard import calibration, metrics, scoring, statistics

SECTIONS: dict[str, tuple[Callable, ...]] = {
    "On images of known class": (
        metrics.accuracy,
        metrics.nll,
        metrics.brier,
        metrics.ece,
        metrics.ece_equal_mass,
        metrics.ece_debiased,
        metrics.aurc,
        metrics.entropy,
        metrics.mutual_information,
    ),
    "On out-of-distribution (OOD) images": (metrics.auroc, metrics.aupr_in, metrics.aupr_out, metrics.fpr95),
    "Temperature scaling": (calibration.fit_temperature,),
    "What a record holds": (scoring.score, scoring.ood_scores),
    "Intervals, ties and ranks": (
        statistics.t_interval,
        statistics.paired_difference,
        statistics.top_group,
        statistics.item_interval,
        statistics.average_ranks,
    ),
}
_HEAD = """# Metrics

Made from the docstrings by `python -m leaderboard.reference`; edit those, not this page.
"""


def page() -> str:
    """The whole page, as Markdown."""
    parts = [_HEAD, _prose(inspect.cleandoc(metrics.__doc__ or "").partition("\n")[2])]
    for title, functions in SECTIONS.items():
        parts.append(f"## {title}\n")
        parts += [_entry(function) for function in functions]
    return "\n".join(parts)


def _entry(function: Callable) -> str:
    """One function: its prose, then formula, range, direction and source as a list."""
    paragraphs, fields = [], []
    for block in (inspect.getdoc(function) or "").split("\n\n"):
        head, _, rest = block.partition(":")
        if head == "Formula" and "\nRange:" in block:
            fields = [f"- {line}" for line in block.splitlines()]
        elif head == "Returns":
            paragraphs.append(" ".join(rest.split()))
        elif head not in ("Args", "Raises"):
            paragraphs.append(" ".join(block.split()))
    unit = scoring.unit(function.__name__)
    title = f"### `{function.__name__}`" + (f" ({unit})" if unit else "") + "\n"
    return "\n".join([title, _prose("\n\n".join(paragraphs)), *([*fields, ""] if fields else [])])


def _prose(text: str) -> str:
    return text.replace("``", "`").strip() + "\n"


if __name__ == "__main__":
    (Path(__file__).parents[1] / "docs" / "metrics.md").write_text(page())
