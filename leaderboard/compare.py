"""Two methods on one task and one metric: over seeds, and over test images where the metric is a mean over images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from leaderboard.columns import Column
from leaderboard.predictions import load_predictions
from leaderboard.record import Record, latest, path_of
from leaderboard.scoring import PER_ITEM, per_item
from leaderboard.statistics import Comparison, Interval, compare, item_interval
from leaderboard.table import BASELINE, values_by_seed
from leaderboard.verify import is_left_out, predictions_path


class TaskComparison(NamedTuple):
    """What one task says about two methods.

    Attributes:
        task: its name.
        means: of the two methods over the common seeds.
        seeds: over trainings: would another training say the same?
        items: over test images: would another test set of this size? None where it cannot be had.
        sentence: what ``items`` says, or why it is None.
    """

    task: str
    means: tuple[float, float]
    seeds: Comparison
    items: Interval | None
    sentence: str


def compare_methods(
    records: Sequence[Record], folder: Path, methods: tuple[str, str], column: Column
) -> list[TaskComparison]:
    """Compare two methods on every task on which they have a seed in common.

    Args:
        records: of one or several tasks.
        folder: where records and predictions lie.
        methods: labels; the difference is the first less the second.
        column: the metric, or a cost as its ratio to MAP of the same seed.

    Raises:
        ValueError: a predictions file is damaged, or missing and not left out by name (`leaderboard.verify.LEFT_OUT`).
    """
    runs: dict[tuple[str, int], dict[str, dict[int, Record]]] = {}
    for record in latest(list(records)).values():
        if record.status == "ok":
            task = runs.setdefault((record.task.name, record.task.version), {})
            task.setdefault(record.method.label, {})[record.seed] = record
    found = []
    for (task, _), by_method in runs.items():
        first, second = (by_method.get(name, {}) for name in methods)
        base = by_method.get(BASELINE, {})
        a, b = values_by_seed(column, first, base), values_by_seed(column, second, base)
        common = sorted(a.keys() & b.keys())
        if not common:
            continue
        over_seeds = compare(a, b, methods, column.key, column.better)
        items, sentence = _items(folder, column, [first[s] for s in common], [second[s] for s in common])
        means = (float(np.mean([a[s] for s in common])), float(np.mean([b[s] for s in common])))
        found.append(TaskComparison(task, means, over_seeds, items, sentence))
    return found


def _items(
    folder: Path, column: Column, first: Sequence[Record], second: Sequence[Record]
) -> tuple[Interval | None, str]:
    if column.place is None or column.place[1] not in PER_ITEM:
        return None, f"{column.key} is not a mean over images, so there is no interval over test images."
    if any(is_left_out(path_of(folder, record), folder) for record in (*first, *second)):
        return None, "Predictions are left out of this folder, so there is no interval over test images."
    name, metric = column.place
    a, b = (np.stack([_per_item(folder, record, name, metric) for record in side]) for side in (first, second))
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return None, f"The {metric} of an image is infinite, so there is no interval over test images."
    interval = item_interval(a, b)
    verdict = "excludes 0" if interval.low > 0 or interval.high < 0 else "includes 0"
    sentence = (
        f"Over the {a.shape[1]} images of {name}, these trainings held fixed: 95 % interval of the difference "
        f"{interval.low:.4g} to {interval.high:.4g} (paired bootstrap), which {verdict}."
    )
    return interval, sentence


def _per_item(folder: Path, record: Record, name: str, metric: str) -> np.ndarray:
    """[N]: the metric of each image of a set; of ``shift/3``, its mean over the corruptions of that image."""
    file = predictions_path(path_of(folder, record))
    try:
        sets = load_predictions(file)
    except FileNotFoundError:
        raise ValueError(f"{file}: no predictions") from None
    kind, _, severity = name.partition("/")
    same = [key for key in sets if key == name or (key.startswith(f"{kind}/") and key.split("/")[2:] == [severity])]
    if not same:
        raise ValueError(f"{file}: no predictions of {name}")
    return np.mean([per_item(metric, sets[key]) for key in same], axis=0)
