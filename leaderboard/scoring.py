"""All metrics of one run, from its predictions alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from leaderboard import metrics
from leaderboard.calibration import fit_temperature, scale
from leaderboard.predictions import Predictions, checked

T = TypeVar("T")
OOD_GROUPS = ("ood_near", "ood_far")
_PER_SET = {
    metric.__name__: metric
    for metric in (
        metrics.accuracy,
        metrics.nll,
        metrics.brier,
        metrics.ece,
        metrics.ece_equal_mass,
        metrics.ece_debiased,
        metrics.aurc,
    )
}
_SCALED = ("nll", "brier", "ece", "ece_equal_mass", "ece_debiased", "aurc")  # accuracy cannot change
_PER_OOD_SET = {metric.__name__: metric for metric in (metrics.auroc, metrics.aupr_in, metrics.aupr_out, metrics.fpr95)}

_BETTER = {
    "accuracy": "higher",
    "nll": "lower",
    "brier": "lower",
    "ece": "lower",
    "aurc": "lower",
    "auroc": "higher",
    "aupr": "higher",
    "fpr95": "lower",
}
_NATS = ("nll", "entropy", "mutual_information")
LABELLED = (*_PER_SET, "entropy", "mutual_information", "temperature", *(f"{name}_scaled" for name in _SCALED))
"""Metrics of a set with labels, in their order."""


def better(key: str) -> str:
    """Which way the metric of a key of `score` is better: "higher", "lower", or "" where neither is."""
    return _BETTER.get(key.split("_")[0], "")


def unit(key: str) -> str:
    """The unit of the metric of a key of `score`: "nats", or "" for shares, probabilities and other bare numbers."""
    return "nats" if key.removesuffix("_scaled") in _NATS else ""


PER_ITEM = ("accuracy", "nll", "brier")
"""Metrics that are a mean over images."""


def per_item(metric: str, predictions: Predictions) -> np.ndarray:
    """[N] float64: the metric of each image, for `statistics.item_interval`; for those that are a mean over images.

    Raises:
        ValueError: the metric is none of accuracy, nll, brier; or the predictions have no labels.
    """
    log_probs, labels = predictions.log_probs, _labels(predictions)
    if metric == "accuracy":
        return metrics.confidence_and_correct(log_probs, labels)[1].astype(np.float64)
    if metric == "nll":
        return metrics.nll_per_item(log_probs, labels)
    if metric == "brier":
        return metrics.brier_per_item(log_probs, labels)
    raise ValueError(f"{metric} is not a mean over images: need accuracy, nll or brier")


def score(sets: Mapping[str, Predictions]) -> dict[str, dict[str, float]]:
    """Every metric of every evaluation set, and the means over groups of sets.

    Args:
        sets: predictions by name. ``validation``, ``test`` and ``shift/<corruption>/<severity>`` have labels;
            ``ood_near/<name>`` and ``ood_far/<name>`` are compared with ``test``, which must then be there.

    Returns:
        An entry per set. Sets with labels: accuracy, nll, brier, ece, ece_equal_mass, ece_debiased, aurc, and the means
        entropy and mutual_information. OOD sets: <metric>_<score> for the metrics auroc, aupr_in, aupr_out, fpr95 and
        the scores max_probability, entropy, mutual_information, energy.
        With a ``validation`` set also temperature, fitted there, and what it changes: nll_scaled and so on, and
        <metric>_max_probability_scaled, <metric>_entropy_scaled. They are NaN where no temperature exists, because a
        true class of ``validation`` has probability 0.
        ``ood_near``, ``ood_far``: means over their sets. ``shift/<severity>``: means over the corruptions.
        Numbers are rounded to ten significant digits: the others are not the same on every processor.

    Raises:
        ValueError: an unknown name, missing labels, or predictions that have no score; the name of the set is in it.
    """
    for name in sets:
        _check_name(name, sets)
    temperature = None
    if "validation" in sets:
        temperature = _named("validation", _temperature, sets["validation"])
    result = {
        name: _named(name, _labelled, predictions, temperature)
        for name, predictions in sorted(sets.items())
        if not _is_ood(name)
    }
    result |= _ood(sets, temperature)
    result |= _group_means(result)
    return {name: {key: _rounded(value) for key, value in result[name].items()} for name in sorted(result)}


def _check_name(name: str, sets: Mapping[str, Predictions]) -> None:
    parts = name.split("/")
    is_shift = parts[0] == "shift" and len(parts) == 3 and parts[2].isdecimal()
    is_ood = parts[0] in OOD_GROUPS and len(parts) == 2
    if not (name in ("validation", "test") or is_shift or is_ood):
        raise ValueError(
            f"unknown evaluation set {name!r}: need validation, test, shift/<corruption>/<severity>, "
            "ood_near/<name> or ood_far/<name>"
        )
    if is_ood and "test" not in sets:
        raise ValueError(f"{name}: OOD sets are compared with 'test', which is missing")


def _is_ood(name: str) -> bool:
    return name.split("/")[0] in OOD_GROUPS


def _named(name: str, function: Callable[..., T], *args: Any) -> T:
    """``function(*args)``, with the name of the evaluation set in front of what it refuses."""
    try:
        return function(*args)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _labels(predictions: Predictions) -> np.ndarray:
    if predictions.labels is None:
        raise ValueError("has no labels")
    return predictions.labels


def _temperature(validation: Predictions) -> float:
    """The temperature fitted on ``validation``, NaN where none exists."""
    labels = _labels(validation)
    if np.isinf(metrics.nll(validation.log_probs, labels)):
        return float("nan")
    return fit_temperature(validation.log_probs, labels)


def _labelled(predictions: Predictions, temperature: float | None) -> dict[str, float]:
    log_probs, labels = checked(predictions.log_probs, _labels(predictions))
    row = {name: metric(log_probs, labels, check=False) for name, metric in _PER_SET.items()}
    row["entropy"] = float(np.mean(metrics.entropy(log_probs, check=False)))
    row["mutual_information"] = float(
        np.mean(metrics.mutual_information(log_probs, predictions.expected_entropy, check=False))
    )
    if temperature is None:
        return row
    row["temperature"] = temperature
    if np.isnan(temperature):
        return row | {f"{name}_scaled": float("nan") for name in _SCALED}
    scaled = scale(log_probs, temperature, check=False)
    return row | {f"{name}_scaled": _PER_SET[name](scaled, labels, check=False) for name in _SCALED}


def ood_scores(predictions: Predictions, temperature: float | None = None) -> dict[str, np.ndarray]:
    """The OOD scores of each image, [N] each; high means "unlike the training data".

    max_probability is -log of it, which orders the images alike and still tells apart what rounds to 1. With a
    temperature also max_probability_scaled and entropy_scaled; energy and mutual information need the members, which
    are not stored, so they have no scaled form.
    """
    log_probs, _ = checked(predictions.log_probs)
    scores = {
        "max_probability": -np.max(log_probs, axis=1),
        "entropy": metrics.entropy(log_probs, check=False),
        "mutual_information": metrics.mutual_information(log_probs, predictions.expected_entropy, check=False),
        "energy": predictions.energy,
    }
    if temperature is not None:
        scaled = scale(log_probs, temperature, check=False)
        scores["max_probability_scaled"] = -np.max(scaled, axis=1)
        scores["entropy_scaled"] = metrics.entropy(scaled, check=False)
    return scores


def _ood(sets: Mapping[str, Predictions], temperature: float | None) -> dict[str, dict[str, float]]:
    names = [name for name in sorted(sets) if _is_ood(name)]
    if not names:
        return {}
    undefined = temperature is not None and bool(np.isnan(temperature))
    usable = None if undefined else temperature
    # Sorted once here, since every metric of every set needs the order.
    inside = {key: np.sort(values) for key, values in _named("test", ood_scores, sets["test"], usable).items()}
    result = {}
    for name in names:
        outside = _named(name, ood_scores, sets[name], usable)
        result[name] = _named(name, _compared, inside, outside)
        if undefined:
            for key in ("max_probability_scaled", "entropy_scaled"):
                result[name] |= {f"{metric}_{key}": float("nan") for metric in _PER_OOD_SET}
    return result


def _compared(inside: Mapping[str, np.ndarray], outside: Mapping[str, np.ndarray]) -> dict[str, float]:
    row = {}
    for key, values in outside.items():
        ranked = np.sort(values)
        row |= {f"{metric}_{key}": function(inside[key], ranked) for metric, function in _PER_OOD_SET.items()}
    return row


def _group_means(rows: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    groups: dict[str, list[Mapping[str, float]]] = defaultdict(list)
    for name, row in rows.items():
        first, _, rest = name.partition("/")
        if first in OOD_GROUPS:
            groups[first].append(row)
        elif first == "shift":
            groups[f"shift/{rest.rpartition('/')[2]}"].append(row)
    return {name: _mean(members) for name, members in groups.items()}


def _mean(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    rows = list(rows)
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def _rounded(value: float) -> float:
    return float(f"{value:.10g}")
