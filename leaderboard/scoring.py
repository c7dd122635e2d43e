"""All metrics of one run, from its predictions alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from leaderboard import recalibration  # noqa: F401  # enters its functions in the registry
from leaderboard.calibration import SCALINGS
from leaderboard.metrics import METRICS, OOD_SCORES, Metric, find
from leaderboard.metrics.registry import RECALIBRATIONS, SCALED, Arrays, Kind, Recalibrate, calibrated
from leaderboard.predictions import AnyPredictions, Categorical, kind_of

T = TypeVar("T")
OOD_GROUPS = ("ood_near", "ood_far")


def labelled(kind: Kind) -> tuple[str, ...]:
    """The keys of a set with labels of predictions of ``kind``, in their order."""
    entries = METRICS[kind].values()
    scaled = (f"{entry.name}_{SCALED}" for entry in entries if entry.scaled)
    others = (f"{entry.name}_{name}" for name in RECALIBRATIONS[kind] for entry in entries if entry.recalibrated)
    return (*(entry.name for entry in entries), SCALINGS[kind].parameter, *scaled, *others)


LABELLED = labelled("categorical")
"""Metrics of a set with labels of class predictions, in their order."""
PER_ITEM = tuple(dict.fromkeys(m.name for kind in SCALINGS for m in METRICS[kind].values() if m.per_item))
"""Metrics that are a mean over items."""


def better(key: str) -> str:
    """Which way the metric of a key of `score` is better: "higher", "lower", or "" where neither is."""
    entry = find(key)
    return entry.better if entry else ""


def unit(key: str) -> str:
    """The unit of the metric of a key of `score`: "nats", "units of the target", or "" for bare numbers."""
    entry = find(key)
    return entry.unit if entry else ""


def title(key: str) -> str:
    """What people call the metric of a key of `score`; the key itself, spaced, where it is no metric."""
    entry = find(key)
    if entry is None:
        return key.replace("_", " ")
    name, after = calibrated(key)
    score_name = name.removeprefix(entry.name).removeprefix("_")
    score = next((scores[score_name].title for scores in OOD_SCORES.values() if score_name in scores), "")
    done = next((known[after].title for known in RECALIBRATIONS.values() if after in known), after)
    return entry.title + (f" of {score}" if score else "") + (f", {done}" if done else "")


def limits(key: str, kind: Kind) -> tuple[float, float]:
    """Lowest and highest value that the metric of a key of `score` can have; infinite where the key is no metric."""
    entry = find(key, kind) or find(key, "ood")
    return entry.range if entry else (-np.inf, np.inf)


def per_item(metric: str, predictions: AnyPredictions) -> np.ndarray:
    """[N] float64: the metric of each item, for `statistics.item_interval`; for those that are a mean over items.

    Raises:
        ValueError: the metric is no mean over items of such predictions; or they have no labels.
    """
    entry = METRICS[predictions.kind].get(metric)
    if entry is None or entry.per_item is None:
        means = ", ".join(m.name for m in METRICS[predictions.kind].values() if m.per_item)
        raise ValueError(f"{metric} is not a mean over images: need one of {means}")
    return np.asarray(_arrays(predictions, with_labels=True).compute(entry.per_item), dtype=np.float64)


@dataclass(frozen=True)
class Fitted:
    """What was fitted on the validation set.

    Attributes:
        factor: of post-hoc scaling; NaN where none exists.
        recalibrate: by name of a recalibration; None where it has no fit.
    """

    factor: float
    recalibrate: Mapping[str, Recalibrate | None]


def score(sets: Mapping[str, AnyPredictions], *, recalibrated: bool = True) -> dict[str, dict[str, float]]:
    """Every metric of every evaluation set, and the means over groups of sets.

    Args:
        sets: predictions by name, all of one kind. ``validation``, ``test`` and ``shift/<corruption>/<severity>`` have
            labels; ``ood_near/<name>`` and ``ood_far/<name>`` are compared with ``test``, which must then be there.
        recalibrated: also what `leaderboard.recalibration` changes, which takes most of the time.

    Returns:
        An entry per set. Sets with labels: every metric of that kind (`leaderboard.metrics.METRICS`), the mean of those
        that are one number per item. OOD sets: <metric>_<score> for every OOD metric and every OOD score of that kind.
        With a ``validation`` set also what is fitted there, temperature or variance_factor, and what it changes:
        nll_scaled and so on, and for classes <metric>_max_probability_scaled, <metric>_entropy_scaled. They are NaN
        where no temperature exists, because a true class of ``validation`` has probability 0. And for classes, on sets
        with labels, what every other calibration fitted there changes: nll_vector, ece_isotonic and so on, likewise.
        ``ood_near``, ``ood_far``: means over their sets. ``shift/<severity>``: means over the corruptions.
        Numbers are rounded to ten significant digits: the others are not the same on every processor.

    Raises:
        ValueError: an unknown name, mixed kinds, missing labels, or predictions that have no score; the name of the set
            is in it.
    """
    if not sets:
        return {}
    for name in sets:
        _check_name(name, sets)
    ready = {name: _named(name, _arrays, one, not _is_ood(name)) for name, one in sorted(sets.items())}
    kind_of(sets)
    fitted = _named("validation", _fit, sets["validation"], recalibrated) if "validation" in sets else None
    result = {name: _named(name, _labelled, sets[name], ready[name], fitted) for name in ready if not _is_ood(name)}
    result |= _ood(sets, ready, fitted.factor if fitted else None)
    result |= _group_means(result)
    return {name: {key: _rounded(value) for key, value in result[name].items()} for name in sorted(result)}


def _check_name(name: str, sets: Mapping[str, AnyPredictions]) -> None:
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


def _arrays(predictions: AnyPredictions, with_labels: bool) -> Arrays:
    """The arrays of ``predictions``, examined."""
    if with_labels and predictions.labels is None:
        raise ValueError("has no labels")
    predictions.examine()
    return Arrays({name: None if array is None else np.asarray(array) for name, array in vars(predictions).items()})


def _scaled(predictions: AnyPredictions, factor: float) -> Arrays:
    return Arrays(vars(SCALINGS[predictions.kind].apply(predictions, factor)))


def _fit(validation: AnyPredictions, recalibrated: bool) -> Fitted:
    factor = SCALINGS[validation.kind].fit(validation)
    if not recalibrated or not isinstance(validation, Categorical):
        return Fitted(factor, {})
    log_probs, labels = np.asarray(validation.log_probs), np.asarray(validation.labels)
    entries = RECALIBRATIONS[validation.kind].values()
    return Fitted(factor, {entry.name: entry.function(log_probs, labels) for entry in entries})


def _labelled(predictions: AnyPredictions, arrays: Arrays, fitted: Fitted | None) -> dict[str, float]:
    entries = METRICS[predictions.kind].values()
    row = {entry.name: _value(entry, arrays) for entry in entries}
    if fitted is None:
        return row
    row[SCALINGS[predictions.kind].parameter] = fitted.factor
    changed = None if np.isnan(fitted.factor) else _scaled(predictions, fitted.factor)
    row |= _again([entry for entry in entries if entry.scaled], SCALED, changed)
    for name, recalibrate in fitted.recalibrate.items():
        assert isinstance(predictions, Categorical)
        changed = recalibrate and Arrays(vars(replace(predictions, log_probs=recalibrate(predictions.log_probs))))
        row |= _again([entry for entry in entries if entry.recalibrated], name, changed)
    return row


def _again(entries: Iterable[Metric], after: str, changed: Arrays | None) -> dict[str, float]:
    """The metrics after a calibration; NaN where it has no fit."""
    return {f"{one.name}_{after}": float("nan") if changed is None else _value(one, changed) for one in entries}


def _value(entry: Metric, arrays: Arrays) -> float:
    return float(np.mean(arrays.compute(entry.function)))


def ood_scores(predictions: AnyPredictions, factor: float | None = None) -> dict[str, np.ndarray]:
    """The OOD scores of each item, [N] each, by name (`leaderboard.metrics.OOD_SCORES`); high is "unlike the training".

    With a fitted ``factor`` of post-hoc scaling (`leaderboard.calibration`) also those that it changes, as
    <name>_scaled. Energy and mutual information need the members, which are not stored, so they have no scaled form;
    scores of Gaussian predictions all grow by one factor, which changes no order.
    """
    return _ood_scores(predictions, _arrays(predictions, with_labels=False), factor)


def ood_score(name: str, predictions: AnyPredictions) -> np.ndarray:
    """The one of `ood_scores` that is called ``name``, without the others."""
    return _arrays(predictions, with_labels=False).compute(OOD_SCORES[predictions.kind][name].function)


def _ood_scores(predictions: AnyPredictions, arrays: Arrays, factor: float | None) -> dict[str, np.ndarray]:
    entries = OOD_SCORES[predictions.kind].values()
    scores = {entry.name: arrays.compute(entry.function) for entry in entries}
    scaled = [entry for entry in entries if entry.scaled]
    if factor is not None and scaled:
        changed = _scaled(predictions, factor)
        scores |= {f"{entry.name}_scaled": changed.compute(entry.function) for entry in scaled}
    return scores


def _ood(
    sets: Mapping[str, AnyPredictions], ready: Mapping[str, Arrays], factor: float | None
) -> dict[str, dict[str, float]]:
    names = [name for name in ready if _is_ood(name)]
    if not names:
        return {}
    undefined = factor is not None and bool(np.isnan(factor))
    usable = None if undefined else factor
    # Sorted once here, since every metric of every set needs the order.
    inside = {key: np.sort(values) for key, values in _ood_scores(sets["test"], ready["test"], usable).items()}
    result = {}
    for name in names:
        outside = _named(name, _ood_scores, sets[name], ready[name], usable)
        result[name] = _named(name, _compared, inside, outside)
        if undefined:
            scaled = [f"{entry.name}_scaled" for entry in OOD_SCORES[sets[name].kind].values() if entry.scaled]
            result[name] |= {f"{metric}_{key}": float("nan") for key in scaled for metric in METRICS["ood"]}
    return result


def _compared(inside: Mapping[str, np.ndarray], outside: Mapping[str, np.ndarray]) -> dict[str, float]:
    row = {}
    for key, values in outside.items():
        ranked = np.sort(values)
        row |= {f"{name}_{key}": entry.function(inside[key], ranked) for name, entry in METRICS["ood"].items()}
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
