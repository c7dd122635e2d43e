"""From the records of a suite to all figures that they allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from leaderboard import figures, metrics
from leaderboard.columns import columns
from leaderboard.cost import CostRecord, cost_of, ratios
from leaderboard.predictions import Predictions, load_predictions
from leaderboard.record import Record, path_of
from leaderboard.scoring import ood_scores
from leaderboard.statistics import average_ranks
from leaderboard.table import BASELINE, values_by_seed
from leaderboard.verify import predictions_path

COUNTS = ("members", "passes", "draws")
"""Parameters of methods that say how many predictions are averaged."""
BySeed = Mapping[int, Record]


@dataclass
class _Drawing:
    """One call of `draw`.

    Attributes:
        folder: of records and predictions.
        to: folder of the figures.
        costs: of `ivi cost`.
        files, left_out: what was drawn, and what could not be and why.
    """

    folder: Path
    to: Path
    costs: Sequence[CostRecord]
    files: list[Path] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def draw(
    records: Sequence[Record],
    costs: Sequence[CostRecord],
    folder: Path,
    to: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Path], list[str]]:
    """Draw what ``records`` allow: per task reliability, OOD scores, NLL against cost, shift, risk and coverage, draws.

    Where methods come with several numbers of members or draws, only those with the most are in the other figures.

    Args:
        records: ok ones, of one suite.
        costs: of `ivi cost`; their ratios take the place of those of separate runs, if all methods of a task have them.
        folder: where records and predictions lie.
        to: folder of the figures, one within it per task.
        progress: (tasks done, tasks in all).

    Returns:
        The files, and a line for each figure that was left out.

    Raises:
        ValueError: a predictions file is missing or damaged.
    """
    drawing = _Drawing(folder, to, costs)
    tasks: dict[str, dict[str, dict[int, Record]]] = {}
    for record in records:
        tasks.setdefault(record.task.name, {}).setdefault(record.method.label, {})[record.seed] = record
    compared = {}
    for done, (task, methods) in enumerate(tasks.items()):
        progress(done, len(tasks))
        families = families_of(methods)
        several = {label for family in families.values() for label in list(family.values())[:-1]}
        chosen = {label: runs for label, runs in methods.items() if label not in several}
        _task(drawing, task, chosen)
        _draws(drawing, task, methods, families)
        compared[task] = chosen
    _ranks(drawing, compared)
    return drawing.files, drawing.left_out


def families_of(methods: Mapping[str, BySeed]) -> dict[str, dict[int, str]]:
    """Methods that differ in the number of members or draws alone: name -> number -> label, the fewest first."""
    families: dict[str, dict[int, str]] = {}
    for label, runs in methods.items():
        info = next(iter(runs.values())).method
        key = next((key for key in COUNTS if isinstance(info.resolved.get(key), int)), None)
        if key is not None:
            others = ", ".join(f"{name}={value}" for name, value in info.parameters.items() if name != key)
            family = f"{info.name}({others})" if others else info.name
            families.setdefault(family, {})[int(info.resolved[key])] = label
    return {name: dict(sorted(family.items())) for name, family in families.items() if len(family) > 1}


def _task(drawing: _Drawing, task: str, methods: Mapping[str, BySeed]) -> None:
    """Every figure of one task but that of draws."""
    to, names = drawing.to / task, sorted(methods)
    predictions = {
        name: [_load(drawing.folder, runs[seed]) for seed in sorted(runs)] for name, runs in sorted(methods.items())
    }
    test = {name: [sets["test"] for sets in runs] for name, runs in predictions.items()}
    drawing.files += figures.reliability({name: runs[0] for name, runs in test.items()}, to / "reliability")
    drawing.files += figures.risk_coverage(test, to / "risk_coverage", names)
    _ood(drawing, task, {name: runs[0] for name, runs in predictions.items()})
    _severity(drawing, task, methods, predictions)
    _pareto(drawing, task, methods)


def _ood(drawing: _Drawing, task: str, predictions: Mapping[str, Mapping[str, Predictions]]) -> None:
    for method, sets in predictions.items():
        scores = {name: ood_scores(one)["entropy"] for name, one in sets.items() if name.startswith("ood_")}
        if not scores:
            drawing.left_out.append(f"{task} OOD histograms: no OOD sets")
            return
        inside = ood_scores(sets["test"])["entropy"]
        to = drawing.to / task / f"ood_entropy-{_file(method)}"
        drawing.files += figures.ood_histograms(inside, scores, "entropy, nats", to, title=method)


def _severity(
    drawing: _Drawing,
    task: str,
    methods: Mapping[str, BySeed],
    predictions: Mapping[str, Sequence[Mapping[str, Predictions]]],
) -> None:
    rows = []
    for method, runs in methods.items():
        for (seed, record), sets in zip(sorted(runs.items()), predictions[method], strict=True):
            levels = {"0": _clean(sets)}
            levels |= {
                name.split("/")[1]: row
                for name, row in record.metrics.items()
                if name.startswith("shift/") and name.count("/") == 1
            }
            rows += [
                {"method": method, "seed": seed, "severity": int(level), "accuracy": row["accuracy"], "nll": row["nll"]}
                for level, row in levels.items()
            ]
    if all(row["severity"] == 0 for row in rows):
        drawing.left_out.append(f"{task} severity: no shifted sets")
        return
    drawing.files += figures.severity(pd.DataFrame(rows), drawing.to / task / "severity", sorted(methods))


def _clean(sets: Mapping[str, Predictions]) -> dict[str, float]:
    """Accuracy and NLL on the test images that were corrupted: they may be the first few, and easier than the rest."""
    test, shifted = sets["test"], next((one for name, one in sets.items() if name.startswith("shift/")), sets["test"])
    count = len(shifted.log_probs)
    assert test.labels is not None and shifted.labels is not None
    if not np.array_equal(test.labels[:count], shifted.labels):
        count = len(test.labels)
    log_probs, labels = test.log_probs[:count], test.labels[:count]
    return {"accuracy": metrics.accuracy(log_probs, labels), "nll": metrics.nll(log_probs, labels)}


def _pareto(drawing: _Drawing, task: str, methods: Mapping[str, BySeed]) -> None:
    measured = {name: cost_of(drawing.costs, runs) for name, runs in methods.items()}
    alternated = all(measured.values())
    for kind in ("fit", "predict"):
        (column,) = columns([kind])
        rows = []
        for method, runs in methods.items():
            values = values_by_seed(column, runs, methods.get(BASELINE, {}))
            found = measured[method]
            if alternated and found is not None:
                values = dict.fromkeys(runs, float(np.median(list(ratios(found[0], found[1], kind).values()))))
            rows += [
                {"method": method, "seed": seed, kind: value, "nll": runs[seed].metrics["test"]["nll"]}
                for seed, value in values.items()
            ]
        if len({row["method"] for row in rows}) < 2:
            drawing.left_out.append(f"{task} NLL against {kind} time: no MAP run to take ratios to")
            continue
        labels = {"cost_label": f"{kind} time, ratio to MAP", "value_label": "NLL, nats ↓"}
        to = drawing.to / task / f"pareto_{kind}"
        frame = pd.DataFrame(rows)
        drawing.files += figures.pareto(frame, to, cost=kind, value="nll", methods=sorted(methods), **labels)


def _draws(
    drawing: _Drawing, task: str, methods: Mapping[str, BySeed], families: Mapping[str, Mapping[int, str]]
) -> None:
    """NLL against members or draws, and against the FLOPs of a prediction: methods at equal compute."""
    rows = []
    for family, labels in families.items():
        for count, label in labels.items():
            for seed, record in methods[label].items():
                flops = record.cost.predict_flops if record.cost else None
                row = {"draws": count, "mflops": None if flops is None else flops / 1e6}
                rows.append({"method": family, "seed": seed, **row, "nll": record.metrics["test"]["nll"]})
    if not rows:
        drawing.left_out.append(f"{task} quality against draws: no method with several numbers of members or draws")
        return
    frame, to = pd.DataFrame(rows), drawing.to / task
    drawing.files += figures.draws(frame, to / "draws", value="nll", value_label="NLL, nats ↓")
    if any(row["mflops"] is None for row in rows):
        drawing.left_out.append(f"{task} quality against FLOPs: some were not counted")
        return
    drawing.files += figures.draws(
        frame, to / "draws_flops", value="nll", value_label="NLL, nats ↓", x="mflops", x_label="MFLOPs per prediction"
    )


def _ranks(drawing: _Drawing, tasks: Mapping[str, Mapping[str, BySeed]]) -> None:
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
    drawing.files += figures.critical_differences(
        average_ranks(frame, "lower"), drawing.to / "critical_differences_nll"
    )


def _load(folder: Path, record: Record) -> dict[str, Predictions]:
    file = predictions_path(path_of(folder, record))
    if not file.is_file():
        raise ValueError(f"{file}: the predictions are missing, so this run cannot be drawn")
    return load_predictions(file)


def _file(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_=.," else "_" for c in name)
