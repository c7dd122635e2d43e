"""From the rows of a board to all figures that they allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leaderboard import metrics
from leaderboard.columns import columns
from leaderboard.cost import CostRecord, OldCostRecord, cost_of, quartiles, ratios
from leaderboard.elsewhere import all_at_hand
from leaderboard.metrics import OOD_SCORES
from leaderboard.predictions import AnyPredictions, Categorical
from leaderboard.results import Result
from leaderboard.rows import Group, comparable, is_at_chance
from leaderboard.scoring import ood_score
from leaderboard.statistics import Interval, average_ranks, t_interval
from leaderboard.table import values_by_seed
from leaderboard.views import curves, figures, numbers
from leaderboard.views.families import families_of
from leaderboard.views.front import corners, told

SCORES = {"categorical": "entropy", "gaussian": "variance"}
"""The OOD score that is drawn."""
BySeed = Mapping[int, Result]
Methods = Mapping[str, BySeed]
Sets = Mapping[str, AnyPredictions]


@dataclass
class _Drawing:
    """One call of `draw`.

    Attributes:
        to: folder of the figures.
        costs: of `ivi cost`.
        files, left_out: what was drawn, and what could not be and why.
    """

    to: Path
    costs: Sequence[CostRecord | OldCostRecord]
    files: list[Path] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def draw(
    groups: Sequence[Group],
    costs: Sequence[CostRecord | OldCostRecord],
    to: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Path], list[str]]:
    """Draw what ``groups`` allow: NLL against cost, calibration, OOD scores, shift, risk and coverage, draws.

    Only rows that may stand beside the MAP row are drawn, with the seeds that they have. Where methods come with
    several numbers of members or draws, only those with the most are in the other figures. Of what needs predictions,
    the methods are drawn whose predictions are in the folder; the rest is drawn from records alone.

    Args:
        groups: rows of the board (`leaderboard.rows.groups_of`).
        costs: of `ivi cost`; their ratios take the place of those of separate runs, as in the table.
        to: folder of the figures, one within it per task.
        progress: (tasks done, tasks in all).

    Returns:
        The files, and a line for each figure and row that was left out.

    Raises:
        ValueError: a predictions file is damaged.
    """
    drawing = _Drawing(to, costs)
    names = dict.fromkeys(group.task for group in groups)
    tasks = {task: _drawn(drawing, [group for group in groups if group.task == task]) for task in names}
    compared = {}
    for done, (task, (methods, base)) in enumerate(tasks.items()):
        progress(done, len(tasks))
        if not methods:
            drawing.left_out.append(f"{task}: no runs that are ok")
            continue
        families = families_of(methods)
        several = {label for family in families.values() for label in list(family.values())[:-1]}
        compared[task] = {label: methods[label] for label in sorted(methods) if label not in several}
        _pareto(drawing, task, compared[task], base)
        _of_predictions(drawing, task, compared[task])
        _draws(drawing, task, methods, families)
    _ranks(drawing, compared)
    return drawing.files, drawing.left_out


def about_of(task: str, methods: Methods) -> str:
    """What a figure is of, in a line: task, model, seeds, when the runs were made (not when they were drawn)."""
    runs = [run for members in methods.values() for run in members.values()]
    parts = [task, f"model {one.model.get('name')}" if (one := runs[0].identity) else "model not recorded"]
    seeds = sorted({run.seed for run in runs})
    least = min(len(members) for members in methods.values())
    counted = f"{len(seeds)}" if least == len(seeds) else f"{least} to {len(seeds)}"
    is_range = len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1))
    which = f"{seeds[0]} to {seeds[-1]}" if is_range else ", ".join(map(str, seeds))
    parts.append(f"{counted} seed{'s' * (len(seeds) > 1)} ({which})")
    days = sorted({run.started[:10] for run in runs})
    parts.append(f"made {days[0]}" + (f" to {days[-1]}" if len(days) > 1 else ""))
    return " · ".join([*parts, *(["history: made under rules 1"] if runs[0].is_history else [])])


def _drawn(drawing: _Drawing, groups: Sequence[Group]) -> tuple[Methods, BySeed]:
    """Rows of one task that may stand beside each other, and the MAP row."""
    base = next((group for group in groups if group.is_base), None) or next((g for g in groups if g.ok), None)
    one = base.one if base else None
    methods: dict[str, BySeed] = {}
    for group in groups:
        if not group.ok:
            continue
        runs = {seed: run for seed, run in group.ok.items() if one is not None and comparable(run, one)}
        if runs:
            methods[group.name] = runs
        else:
            drawing.left_out.append(f"{group.task} {group.name}: {group.reason}")
    return methods, base.ok if base and base.is_base else {}


def _of_predictions(drawing: _Drawing, task: str, methods: Methods) -> None:
    """What needs predictions, of the methods that have them, and the severity, which is closer with them."""
    every = {name: all_at_hand([runs[seed].path for seed in sorted(runs)]) for name, runs in methods.items()}
    predictions: dict[str, Sequence[Sets]] = {name: found for name, found in every.items() if found}
    here = {name: methods[name] for name in predictions}
    absent = [name for name in methods if name not in here]
    if absent:
        drawing.left_out.append(f"{task} {', '.join(absent)} in figures of predictions: they are not in this folder")
    if here:
        about, to = about_of(task, here), drawing.to / task
        test: Any = {name: [sets["test"] for sets in runs] for name, runs in predictions.items()}
        if isinstance(next(iter(test.values()))[0], Categorical):
            drawing.files += figures.reliability(test, to / "reliability", about)
            drawing.files += figures.risk_coverage(test, to / "risk_coverage", about)
        else:
            drawing.files += numbers.quantiles(test, to / "quantiles", about)
            drawing.files += numbers.against_true(test, to / "predicted_against_true", about)
        _ood(drawing, task, predictions, about)
    _severity(drawing, task, methods, predictions)


def _ood(drawing: _Drawing, task: str, predictions: Mapping[str, Sequence[Sets]], about: str) -> None:
    """One score on all OOD sets that every run was given."""
    runs = [sets for members in predictions.values() for sets in members]
    names = {name for name in runs[0] if name.startswith("ood_") and all(name in sets for sets in runs)}
    if not names:
        drawing.left_out.append(f"{task} OOD histograms: no OOD sets")
        return
    kind = runs[0]["test"].kind
    score = OOD_SCORES[kind][SCORES[kind]]
    scores = {
        method: [{name: ood_score(score.name, sets[name]) for name in ("test", *names)} for sets in members]
        for method, members in predictions.items()
    }
    label = f"{score.title}{', nats' * (kind == 'categorical')}"
    drawing.files += figures.ood_histograms(scores, drawing.to / task / f"ood_{score.name}", about, label)


def _severity(drawing: _Drawing, task: str, methods: Methods, predictions: Mapping[str, Sequence[Sets]]) -> None:
    """Metrics over severity; severity 0 is of the corrupted items themselves only if all predictions are there."""
    any_run = next(iter(next(iter(methods.values())).values()))
    is_numbers = any_run.likelihood == "gaussian"
    quality = {"rmse": "RMSE ↓"} if is_numbers else {"accuracy": "accuracy ↑"}
    quality["nll"] = "NLL, nats ↓"
    is_same = not is_numbers and predictions.keys() == methods.keys()
    rows: list[dict[str, Any]] = []
    for method, runs in methods.items():
        for i, (seed, run) in enumerate(sorted(runs.items())):
            levels: dict[str, Mapping[str, float]] = {
                name.split("/")[1]: row
                for name, row in run.metrics.items()
                if name.startswith("shift/") and name.count("/") == 1
            }
            if levels:
                levels["0"] = _clean(predictions[method][i]) if is_same else run.metrics["test"]
            rows += [
                {"method": method, "seed": seed, "severity": int(level), **{key: row[key] for key in quality}}
                for level, row in levels.items()
            ]
    if not rows:
        drawing.left_out.append(f"{task} severity: no shifted sets")
        return
    clean, shown = "the same items" if is_same else "all test items", {row["method"] for row in rows}
    about = about_of(task, {name: runs for name, runs in methods.items() if name in shown})
    drawing.files += curves.severity(pd.DataFrame(rows), drawing.to / task / "severity", about, quality, clean)


def _clean(sets: Sets) -> dict[str, float]:
    """Accuracy and NLL on the test images that were corrupted: they may be the first few, and easier than the rest."""
    test, shifted = sets["test"], next((one for name, one in sets.items() if name.startswith("shift/")), sets["test"])
    assert isinstance(test, Categorical) and isinstance(shifted, Categorical)
    count = len(shifted.log_probs)
    assert test.labels is not None and shifted.labels is not None
    if not np.array_equal(test.labels[:count], shifted.labels):
        count = len(test.labels)
    log_probs, labels = test.log_probs[:count], test.labels[:count]
    return {"accuracy": metrics.accuracy(log_probs, labels), "nll": metrics.nll(log_probs, labels)}


def _pareto(drawing: _Drawing, task: str, methods: Methods, base: BySeed) -> None:
    """NLL against the time to fit and to predict, as ratios to MAP: those of the table."""
    measured = {name: cost_of(drawing.costs, runs.values()) for name, runs in methods.items()}
    is_alternated = any(measured.values())
    for kind in ("fit", "predict"):
        (column,) = columns([kind])
        amounts: dict[str, list[float]] = {}
        for name, runs in methods.items():
            found = measured[name]
            if is_alternated:
                by_round = ratios(found.cost, found.base, kind) if found else {}
            else:
                by_round = values_by_seed(column, runs, base)
            if by_round:
                amounts[name] = list(by_round.values())
        if len(amounts) < 2:
            drawing.left_out.append(f"{task} NLL against {kind} time: no MAP run to take ratios to")
            continue
        absent = [name for name in methods if name not in amounts]
        if absent:
            drawing.left_out.append(
                f"{task} {', '.join(absent)} in NLL against {kind} time: not measured with the others"
            )
        values = {name: {s: run.metrics["test"]["nll"] for s, run in methods[name].items()} for name in amounts}
        shown = {name: methods[name] for name in amounts}
        at_chance = {name for name, runs in shown.items() if any(map(is_at_chance, runs.values()))}
        points = [
            curves.Point(
                name, _spread(costs, is_alternated), t_interval(list(values[name].values())), name in at_chance
            )
            for name, costs in amounts.items()
        ]
        how = "alternated with MAP" if is_alternated else "of separate runs"
        across = "quartiles of the rounds" if is_alternated else "range over seeds"
        front = corners(values, amounts, at_chance)
        drawing.files += curves.pareto(
            points, front, drawing.to / task / f"pareto_{kind}", about=about_of(task, shown),
            cost_label=f"{kind} time, ratio to MAP ({how})", value_label="NLL, nats ↓",
            note=f"Bars: 95 % interval of the mean over seeds; across: {across}. {told(front, at_chance)}",
        )  # fmt: skip


def _spread(amounts: Sequence[float], is_alternated: bool) -> Interval:
    """Median and quartiles of alternated rounds; mean and range of separate runs."""
    if is_alternated:
        return Interval(*quartiles(amounts))
    return Interval(float(np.mean(amounts)), min(amounts), max(amounts))


def _draws(drawing: _Drawing, task: str, methods: Methods, families: Mapping[str, Mapping[int, str]]) -> None:
    """NLL against members or draws, and against the FLOPs of a prediction: methods at equal compute."""
    rows: list[dict[str, Any]] = []
    for family, labels in families.items():
        for count, label in labels.items():
            for seed, run in methods[label].items():
                flops = run.cost.get("predict_flops")
                row = {"draws": count, "mflops": None if flops is None else flops / 1e6}
                rows.append({"method": family, "seed": seed, **row, "nll": run.metrics["test"]["nll"]})
    if not rows:
        drawing.left_out.append(f"{task} quality against draws: no method with several numbers of members or draws")
        return
    frame, to = pd.DataFrame(rows), drawing.to / task
    shown = {label: methods[label] for labels in families.values() for label in labels.values()}
    about = about_of(task, shown)
    drawing.files += curves.draws(frame, to / "draws", about=about, value="nll", value_label="NLL, nats ↓")
    if any(row["mflops"] is None for row in rows):
        drawing.left_out.append(f"{task} quality against FLOPs: some were not counted")
        return
    drawing.files += curves.draws(
        frame, to / "draws_flops", about=about, value="nll", value_label="NLL, nats ↓",
        x="mflops", x_label="MFLOPs per prediction",
    )  # fmt: skip


def _ranks(drawing: _Drawing, tasks: Mapping[str, Methods]) -> None:
    cells = {
        task: {
            method: np.mean([run.metrics["test"]["nll"] for run in runs.values()]) for method, runs in methods.items()
        }
        for task, methods in tasks.items()
    }
    frame = pd.DataFrame.from_dict(cells, orient="index").dropna(axis="columns")
    if frame.shape[0] < 2 or frame.shape[1] < 2:
        drawing.left_out.append("critical differences: need two tasks and two methods with records on all of them")
        return
    ranks = average_ranks(frame, "lower")
    runs = [run for methods in tasks.values() for members in methods.values() for run in members.values()]
    days = sorted({run.started[:10] for run in runs})
    made = f"made {days[0]}" + (f" to {days[-1]}" if len(days) > 1 else "")
    about = f"{', '.join(tasks)} · {len({run.seed for run in runs})} seeds · {made} · NLL"
    drawing.files += curves.critical_differences(ranks, drawing.to / "critical_differences_nll", about)
