"""From the rows of a board to all figures that they allow."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leaderboard import metrics
from leaderboard.columns import columns
from leaderboard.cost import CostRecord, OldCostRecord, cost_of, ratios
from leaderboard.predictions import AnyPredictions, Categorical, load_predictions
from leaderboard.results import Result
from leaderboard.rows import Group, comparable
from leaderboard.scoring import ood_scores
from leaderboard.statistics import average_ranks
from leaderboard.store import slug
from leaderboard.table import values_by_seed
from leaderboard.views import curves, figures, style

COUNTS = ("members", "passes", "draws")
"""Parameters of methods that say how many predictions are averaged."""
BySeed = Mapping[int, Result]
Methods = Mapping[str, BySeed]


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
    """Draw what ``groups`` allow: per task reliability, OOD scores, NLL against cost, shift, risk and coverage, draws.

    Only rows that may stand beside the MAP row are drawn, with the seeds that they have. Where methods come with
    several numbers of members or draws, only those with the most are in the other figures. What needs no predictions is
    drawn where they are not in the folder.

    Args:
        groups: rows of the board (`leaderboard.rows.groups_of`).
        costs: of `ivi cost`; their ratios take the place of those of separate runs, if all methods of a task have them.
        to: folder of the figures, one within it per task.
        progress: (tasks done, tasks in all).

    Returns:
        The files, and a line for each figure and row that was left out.

    Raises:
        ValueError: a predictions file is damaged.
    """
    drawing = _Drawing(to, costs)
    tasks = {
        task: _drawn(drawing, [g for g in groups if g.task == task]) for task in dict.fromkeys(g.task for g in groups)
    }
    compared = {}
    for done, (task, (methods, base)) in enumerate(tasks.items()):
        progress(done, len(tasks))
        if not methods:
            drawing.left_out.append(f"{task}: no runs that are ok")
            continue
        families = families_of(methods)
        several = {label for family in families.values() for label in list(family.values())[:-1]}
        chosen = {label: runs for label, runs in methods.items() if label not in several}
        with style.titled(f"{task}, {_seeds(methods)}"):
            _task(drawing, task, chosen, base)
            _draws(drawing, task, methods, families)
        compared[task] = chosen
    _ranks(drawing, compared)
    return drawing.files, drawing.left_out


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


def _seeds(methods: Methods) -> str:
    seeds = sorted({seed for runs in methods.values() for seed in runs})
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"


def families_of(methods: Methods) -> dict[str, dict[int, str]]:
    """Methods that differ in the number of members or draws alone: name -> number -> label, the fewest first."""
    families: dict[str, dict[int, str]] = {}
    for label, runs in methods.items():
        _, _, resolved = next(iter(runs.values())).method
        assert isinstance(resolved, dict)
        key = next((key for key in COUNTS if isinstance(resolved.get(key), int)), None)
        if key is not None:
            families.setdefault(_without(label, key), {})[int(resolved[key])] = label
    return {name: dict(sorted(family.items())) for name, family in families.items() if len(family) > 1}


def _without(label: str, key: str) -> str:
    """``laplace(link=mc, draws=8)`` less ``draws``: ``laplace(link=mc)``."""
    name, _, inside = label.partition("(")
    others = [part.strip() for part in inside.rstrip(")").split(",") if part.strip()]
    others = [part for part in others if not re.match(rf"{key}\s*=", part)]
    return f"{name}({', '.join(others)})" if others else name


def _task(drawing: _Drawing, task: str, methods: Methods, base: BySeed) -> None:
    """Every figure of one task but that of draws."""
    _pareto(drawing, task, methods, base)
    kinds = {run.likelihood for runs in methods.values() for run in runs.values()}
    if kinds != {"categorical"}:
        drawing.left_out.append(f"{task} reliability, risk, OOD and severity: they are of classes, this task has none")
        return
    absent = sorted({name for name, runs in methods.items() for run in runs.values() if not run.predictions.is_file()})
    predictions: dict[str, list[Mapping[str, Categorical]]] = {}
    if absent:
        drawing.left_out.append(f"{task} reliability, risk and OOD: no predictions here of {', '.join(absent)}")
    else:
        predictions = {name: [_load(runs[seed]) for seed in sorted(runs)] for name, runs in sorted(methods.items())}
        _of_predictions(drawing, task, methods, predictions)
    _severity(drawing, task, methods, predictions)


def _of_predictions(
    drawing: _Drawing, task: str, methods: Methods, predictions: Mapping[str, Sequence[Mapping[str, Categorical]]]
) -> None:
    to = drawing.to / task
    test = {name: [sets["test"] for sets in runs] for name, runs in predictions.items()}
    drawing.files += figures.risk_coverage(test, to / "risk_coverage", sorted(methods))
    firsts = sorted({min(runs) for runs in methods.values()})
    with style.titled(f"{task}, {'seed' if len(firsts) == 1 else 'first seeds'} {', '.join(map(str, firsts))}"):
        drawing.files += figures.reliability({name: runs[0] for name, runs in test.items()}, to / "reliability")
        for method, runs in predictions.items():
            sets = runs[0]
            scores = {name: ood_scores(one)["entropy"] for name, one in sets.items() if name.startswith("ood_")}
            if not scores:
                drawing.left_out.append(f"{task} OOD histograms: no OOD sets")
                return
            file, inside = to / f"ood_entropy-{slug(method)}", ood_scores(sets["test"])["entropy"]
            drawing.files += figures.ood_histograms(inside, scores, "entropy, nats", file, title=method)


def _severity(
    drawing: _Drawing, task: str, methods: Methods, predictions: Mapping[str, Sequence[Mapping[str, Categorical]]]
) -> None:
    rows: list[dict[str, Any]] = []
    for method, runs in methods.items():
        for i, (seed, run) in enumerate(sorted(runs.items())):
            clean = _clean(predictions[method][i]) if method in predictions else run.metrics["test"]
            levels = {"0": clean}
            for name, row in run.metrics.items():
                if name.startswith("shift/") and name.count("/") == 1:
                    levels[name.split("/")[1]] = row
            rows += [
                {"method": method, "seed": seed, "severity": int(level), "accuracy": row["accuracy"], "nll": row["nll"]}
                for level, row in levels.items()
            ]
    if all(row["severity"] == 0 for row in rows):
        drawing.left_out.append(f"{task} severity: no shifted sets")
        return
    drawing.files += curves.severity(pd.DataFrame(rows), drawing.to / task / "severity", sorted(methods))


def _clean(sets: Mapping[str, Categorical]) -> dict[str, float]:
    """Accuracy and NLL on the test images that were corrupted: they may be the first few, and easier than the rest."""
    test, shifted = sets["test"], next((one for name, one in sets.items() if name.startswith("shift/")), sets["test"])
    count = len(shifted.log_probs)
    assert test.labels is not None and shifted.labels is not None
    if not np.array_equal(test.labels[:count], shifted.labels):
        count = len(test.labels)
    log_probs, labels = test.log_probs[:count], test.labels[:count]
    return {"accuracy": metrics.accuracy(log_probs, labels), "nll": metrics.nll(log_probs, labels)}


def _pareto(drawing: _Drawing, task: str, methods: Methods, base: BySeed) -> None:
    measured = {name: cost_of(drawing.costs, runs.values()) for name, runs in methods.items()}
    alternated = all(measured.values()) and len({found.source for found in measured.values() if found}) == 1
    for kind in ("fit", "predict"):
        (column,) = columns([kind])
        rows = []
        for method, runs in methods.items():
            values = values_by_seed(column, runs, base)
            found = measured[method]
            if alternated and found is not None:
                values = dict.fromkeys(runs, float(np.median(list(ratios(found.cost, found.base, kind).values()))))
            rows += [
                {"method": method, "seed": seed, kind: value, "nll": runs[seed].metrics["test"]["nll"]}
                for seed, value in values.items()
            ]
        if len({row["method"] for row in rows}) < 2:
            drawing.left_out.append(f"{task} NLL against {kind} time: no MAP run to take ratios to")
            continue
        how = "alternated with MAP" if alternated else "of separate runs"
        labels = {"cost_label": f"{kind} time, ratio to MAP ({how})", "value_label": "NLL, nats ↓"}
        to = drawing.to / task / f"pareto_{kind}"
        frame = pd.DataFrame(rows)
        drawing.files += curves.pareto(frame, to, cost=kind, value="nll", methods=sorted(methods), **labels)


def _draws(drawing: _Drawing, task: str, methods: Methods, families: Mapping[str, Mapping[int, str]]) -> None:
    """NLL against members or draws, and against the FLOPs of a prediction: methods at equal compute."""
    rows: list[dict[str, Any]] = []
    for family, labels in families.items():
        for count, label in labels.items():
            for seed, run in methods[label].items():
                flops = run.cost.predict_flops if run.cost else None
                row = {"draws": count, "mflops": None if flops is None else flops / 1e6}
                rows.append({"method": family, "seed": seed, **row, "nll": run.metrics["test"]["nll"]})
    if not rows:
        drawing.left_out.append(f"{task} quality against draws: no method with several numbers of members or draws")
        return
    frame, to = pd.DataFrame(rows), drawing.to / task
    drawing.files += curves.draws(frame, to / "draws", value="nll", value_label="NLL, nats ↓")
    if any(row["mflops"] is None for row in rows):
        drawing.left_out.append(f"{task} quality against FLOPs: some were not counted")
        return
    drawing.files += curves.draws(
        frame, to / "draws_flops", value="nll", value_label="NLL, nats ↓", x="mflops", x_label="MFLOPs per prediction"
    )


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
    with style.titled(", ".join(tasks)):
        drawing.files += curves.critical_differences(ranks, drawing.to / "critical_differences_nll")


def _load(run: Result) -> dict[str, Categorical]:
    sets: dict[str, AnyPredictions] = load_predictions(run.predictions)
    return {name: one for name, one in sets.items() if isinstance(one, Categorical)}
