"""Pictures of a row from its predictions, and tables of colour from its scores: what `ivi figures` draws for print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from leaderboard import metrics
from leaderboard.elsewhere import all_at_hand
from leaderboard.metrics import OOD_SCORES
from leaderboard.predictions import AnyPredictions, Categorical
from leaderboard.results import Result
from leaderboard.scoring import ood_score
from leaderboard.statistics import t_interval
from leaderboard.table import Line
from leaderboard.views.families import families_of
from leaderboard.views.site.drawing import Axes, Curve, picture
from leaderboard.views.site.reading import BoardRead
from leaderboard.views.text import plain

BINS = 15
OOD_BINS = 30
Sets = Mapping[str, AnyPredictions]


@dataclass(frozen=True)
class Pictures:
    """A part of a page: a title, a line about it, and markup of our own."""

    title: str
    words: str
    body: Markup


def of_predictions(line: Line) -> list[Markup]:
    """Figures of one row whose predictions are all here: reliability, risk and coverage, OOD scores; else none.

    Raises:
        ValueError: a predictions file is damaged.
    """
    sets = all_at_hand([run.path for run in line.group.ok.values()], _is_drawn)
    if not sets:
        return []
    tests = [one["test"] for one in sets]
    figures = []
    known = [one for one in tests if isinstance(one, Categorical) and one.labels is not None]
    if len(known) == len(tests):
        figures += [_reliability(known), _risk(known)]
    return [*figures, *_ood(sets)]


def _is_drawn(name: str) -> bool:
    return name == "test" or name.startswith("ood_")


def _reliability(runs: Sequence[Categorical]) -> Markup:
    sums = np.array([_bins(one) for one in runs])
    curves = [Curve([0, 1], [0, 1], "ideal")]
    for look, (count, confidence, hits) in [*(("seed", one) for one in sums), ("pooled", sums.sum(axis=0))]:
        some = count > 0
        curves.append(Curve(confidence[some] / count[some], hits[some] / count[some], look))
    error = np.mean([metrics.ece(one.log_probs, _labels(one)) for one in runs])
    said = f"reliability: accuracy against confidence, ECE {error:.3f}"
    drawn = picture(Axes((0, 1), (0, 1), "confidence", "accuracy"), curves, said)
    return _figure(drawn, f"Reliability: ECE {error:.3f}. Thin: one seed; thick: all pooled; dashed: perfect.")


def _bins(one: Categorical) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    confidence, correct = metrics.confidence_and_correct(one.log_probs, _labels(one))
    index = np.searchsorted(metrics.equal_width_edges(BINS), confidence, "left")
    count, sums, hits = (np.bincount(index, weights, BINS) for weights in (None, confidence, correct))
    return count.astype(np.float64), sums, hits


def _risk(runs: Sequence[Categorical]) -> Markup:
    curves, top = [], 0.0
    for one in runs:
        risk = metrics.selective_risk(one.log_probs, _labels(one))
        kept = np.unique(np.linspace(max(1, len(risk) // 50), len(risk), 60).astype(int))
        curves.append(Curve(kept / len(risk), risk[kept - 1], "seed"))
        top = max(top, float(risk[kept - 1].max()))
    axes = Axes((0, 1), (0, top * 1.05 or 0.01), "coverage", "error of those kept")
    said = "error among the most confident items against the share of items kept"
    return _figure(picture(axes, curves, said), "Risk and coverage: the error among the most confident. A line a seed.")


def _ood(sets: Sequence[Sets]) -> list[Markup]:
    """Histograms of one score on the test set (bars) and on every OOD set (lines)."""
    names = sorted(name for name in sets[0] if name.startswith("ood_") and all(name in one for one in sets))
    if not names:
        return []
    kind = sets[0]["test"].kind
    score = OOD_SCORES[kind]["entropy" if kind == "categorical" else "variance"]
    values = {name: np.concatenate([ood_score(score.name, one[name]) for one in sets]) for name in ("test", *names)}
    every = np.concatenate(list(values.values()))
    low, high = np.quantile(every[np.isfinite(every)], [0.002, 0.998])
    edges = np.linspace(low, high if high > low else low + 1.0, OOD_BINS + 1)
    shares = {name: np.histogram(np.clip(v, edges[0], edges[-1]), edges)[0] / len(v) for name, v in values.items()}
    curves = [Curve(np.repeat(edges, 2)[1:-1], np.repeat(shares[name], 2), "other", i) for i, name in enumerate(names)]
    top = max(float(np.sort(one)[-2]) for one in shares.values()) * 1.2 or 1.0
    axes = Axes((float(edges[0]), float(edges[-1])), (0, top), score.title, "share of items")
    lines = ("solid", "long dashes", "dots", "dashes and dots", "fine dots")
    legend = "; ".join(
        f"{plain(n.removeprefix('ood_').replace('/', ' '))}: {lines[i % 5]}" for i, n in enumerate(names)
    )
    said = f"histograms of {score.title} on the test set and on {', '.join(map(plain, names))}"
    drawn = picture(axes, curves, said, (edges, shares["test"]))
    return [_figure(drawn, f"{score.title.capitalize()} on the test set (bars) and out of distribution ({legend}).")]


def corruptions(line: Line) -> Markup | None:
    """Accuracy (RMSE of numbers) by corruption and severity, means over seeds; None without corrupted sets."""
    runs = list(line.group.ok.values())
    cells: dict[str, dict[int, float]] = {}
    key = "accuracy" if line.group.one is None or line.group.one.likelihood == "categorical" else "rmse"
    for name in {name for run in runs for name in run.metrics if name.startswith("shift/") and name.count("/") == 2}:
        _, kind, level = name.split("/")
        found = [run.metrics[name][key] for run in runs if key in run.metrics.get(name, {})]
        if found and level.isdecimal():
            cells.setdefault(kind, {})[int(level)] = float(np.mean(found))
    if not cells:
        return None
    levels = sorted({level for row in cells.values() for level in row})
    top = max(value for row in cells.values() for value in row.values()) or 1.0
    head = Markup("").join(Markup('<th scope="col">severity {}</th>').format(level) for level in levels)
    lines = [_heat(plain(kind), [row.get(level) for level in levels], top) for kind, row in sorted(cells.items())]
    opening = Markup(
        '<div class="scroll" tabindex="0"><table class="heat"><caption>{}, mean over seeds</caption>'
        '<thead><tr><th scope="col">corruption</th>{}</tr></thead><tbody>'
    )
    return opening.format(key, head) + Markup("").join(lines) + Markup("</tbody></table></div>")


def _heat(kind: str, values: Sequence[float | None], top: float) -> Markup:
    cell = Markup('<td>{:.3f}<meter min="0" max="1" value="{:.3f}" aria-hidden="true"></meter></td>')
    cells = [Markup("<td>–</td>") if value is None else cell.format(value, value / top) for value in values]
    return Markup('<tr><th scope="row">{}</th>{}</tr>').format(kind, Markup("").join(cells))


def draws(board: BoardRead, task: str, name: str) -> Markup | None:
    """NLL against members or draws of the method called ``name``, where it was run with several; else None."""
    lines = [line for (of, _), line in board.lines.items() if of == task and line.group.ok]
    mine = {line.name: line.group.ok for line in lines if line.group.one and line.group.one.method[0] == name}
    families = families_of(mine)
    curves, x_all, y_all = [], [], []
    for i, family in enumerate(families.values()):
        x = list(family)
        y = [_mean_nll(mine[label]) for label in family.values()]
        curves.append(Curve(x, y, "pooled", i))
        x_all += x
        y_all += y
    if len(set(x_all)) < 2:
        return None
    span = max(y_all) - min(y_all) or 1.0
    axes = Axes(
        (min(x_all), max(x_all)), (min(y_all) - 0.1 * span, max(y_all) + 0.1 * span), "draws", "NLL, nats", True
    )
    return _figure(
        picture(axes, curves, "NLL against members or draws"), f"{plain(task)}: NLL against members or draws."
    )


def _mean_nll(runs: Mapping[int, Result]) -> float:
    return t_interval([run.metrics["test"]["nll"] for run in runs.values()]).mean


def _figure(drawn: Markup, words: str) -> Markup:
    return Markup("<figure>{}<figcaption>{}</figcaption></figure>").format(drawn, words)


def _labels(one: Categorical) -> np.ndarray:
    assert one.labels is not None
    return one.labels
