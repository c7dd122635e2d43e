"""Columns of the board: what a name means, where its value is in a record, how it is shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from leaderboard import scoring
from leaderboard.metrics.registry import RECALIBRATIONS, Kind, calibrated
from leaderboard.results import Result
from leaderboard.statistics import Interval

ARROWS = {"higher": " ↑", "lower": " ↓", "": ""}
DEFAULT = ("accuracy", "nll", "ece", "auroc_near", "auroc_far", "fit", "predict", "memory")
GROUPS = ("all", "calibration", "near", "far", "shift", "cost")
"""Names that stand for several columns."""
_OOD = ("auroc", "aupr_in", "aupr_out", "fpr95")
_SHIFT = ("accuracy", "nll", "ece_debiased", "rmse", "crps")
"""ECE without the correction is mostly bias on the few hundred images of a corruption: .03 to .06 of 400 for perfect
calibration, which no mean over corruptions takes away."""
_AFTER = tuple(RECALIBRATIONS["categorical"])
_CALIBRATION = ("nll", "nll_scaled", *(f"nll_{name}" for name in _AFTER), "brier", "ece", "ece_scaled")
_CALIBRATION += (*(f"ece_{name}" for name in _AFTER), "ece_debiased", "temperature")
_CALIBRATION += ("crps", "crps_scaled", "coverage_95", "coverage_95_scaled", "sharpness", "quantile_calibration_error")
_CALIBRATION += ("variance_factor",)
_NUMBERS = ("rmse", "nll", "crps", "coverage_95", *DEFAULT[-3:])
"""The default where numbers are predicted, no classes."""
_Stored = tuple[tuple[str, tuple[str, ...]], ...]
"""Evaluation sets and the names of their metrics."""


class UnknownColumn(ValueError):
    """No column has this ``name``; ``known`` are those that one may have meant."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"unknown column {name!r}")
        self.name, self.known = name, known


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: its name on the command line, in JSON and in CSV.
        title: name in the head, with unit and an arrow towards better.
        value: result -> number; None where it was not measured.
        digits: decimals shown.
        cost: the cost whose ratio to MAP this is: ``fit``, ``predict``, ``memory`` or ``energy``; else empty.
        better: "higher", "lower", or "" where neither is.
        place: evaluation set and name of a metric; None for costs.
    """

    key: str
    title: str
    value: Callable[[Result], float | None]
    digits: int = 3
    cost: str = ""
    better: str = "lower"
    place: tuple[str, str] | None = None

    def clipped(self, interval: Interval, kind: Kind) -> Interval:
        """``interval`` within what the column's number can be, of predictions of ``kind``."""
        low, high = scoring.limits(self.place[1], kind) if self.place else (0.0, math.inf)
        return interval.clipped(low, high)


def columns(names: Iterable[str] | None = None, results: Iterable[Result] = ()) -> list[Column]:
    """The columns that ``names`` mean, in any case of letters; None: the default ones.

    A name is one of the following; ``results`` say which evaluation sets and severities there are.

    - a metric on the test set: ``nll``, ``ece_scaled``, ``nll_structured_matrix``, ``mutual_information`` ...
    - a metric averaged over the near or far OOD sets: ``auroc_near`` (maximum probability), ``fpr95_entropy_far`` ...
    - a metric averaged over the corruptions of a severity: ``accuracy_severity_3``
    - any stored number, as ``SET:METRIC``: ``validation:nll``, ``ood_near/glyphs:auroc_energy``, ``shift/fog/5:nll``
    - a cost as a ratio to MAP: ``fit``, ``predict``, ``memory``, ``energy`` (of the fit), or as measured in the run:
      ``fit_seconds``, ``predict_seconds``, ``fit_tflops``, ``predict_mflops``, ``fit_memory``, ``predict_memory``,
      ``parameters``, ``stored``, ``steps``
    - a group of those: one of `GROUPS`

    Raises:
        UnknownColumn: a name is none of these.
    """
    stored = _stored(results)
    known = _known(stored)
    if names is None:
        names = _default(dict(stored))
    chosen: dict[str, Column] = {}
    for name in names:
        found = known.get(name) or known.get(name.lower(), None if name.lower() not in GROUPS else [])
        if found is None:
            near = [*DEFAULT, *GROUPS, *(key for key in known if key[:3] == name.lower()[:3])]
            raise UnknownColumn(name.lower(), list(dict.fromkeys(near)))
        chosen |= {column.key: column for column in found}
    return list(chosen.values())


def _default(stored: Mapping[str, Iterable[str]]) -> Sequence[str]:
    """The default where classes are predicted, numbers, or on one task the one and on another the other.

    A column of OOD sets that no row can have is left out.
    """
    measured = set(stored.get("test", ()))
    if "rmse" in measured:
        return (*_with_sets(DEFAULT, stored)[:-3], *_NUMBERS) if "accuracy" in measured else _NUMBERS
    return _with_sets(DEFAULT, stored)


def _with_sets(keys: Sequence[str], stored: Iterable[str]) -> Sequence[str]:
    """Those of ``keys`` whose OOD sets are among the ``stored`` ones; all, where nothing is stored."""
    there = set(stored)
    absent = [side for side in ("near", "far") if there and f"ood_{side}" not in there]
    return [key for key in keys if key.removeprefix("auroc_") not in absent]


def every(results: Iterable[Result] = ()) -> list[Column]:
    """Every column that there is, each once, in a fixed order."""
    found = _known(_stored(results))
    return list({one.key: one for group in found.values() for one in group}.values())


def column(name: str, results: Iterable[Result] = ()) -> Column:
    """The one column that ``name`` means.

    Raises:
        UnknownColumn: it means none.
        ValueError: it stands for several, or for none of what was measured.
    """
    found = columns([name], results)
    if name.lower() in GROUPS or len(found) != 1:
        if not found:
            raise ValueError(f"no record has a column of {name!r}")
        raise ValueError(f"{name!r} stands for several columns: name one, such as {found[0].key!r}")
    return found[0]


@lru_cache(maxsize=64)
def _known(sets: _Stored) -> Mapping[str, list[Column]]:
    """Every name and the columns it stands for."""
    stored = dict(sets)
    found = {metric: _metric(metric, "test", metric) for metric in _labelled(stored)}
    levels = sorted(name.split("/")[1] for name in stored if name.startswith("shift/") and name.count("/") == 1)
    for side in ("near", "far"):
        scores = sorted({key for name in stored if name.startswith(f"ood_{side}") for key in stored[name]})
        for key in [f"{metric}_max_probability" for metric in _OOD] + scores:
            short = f"{key.removesuffix('_max_probability')}_{side}"
            found[short] = _metric(short, f"ood_{side}", key, f"{side} ")
    for level in levels:
        for key in stored[f"shift/{level}"]:
            name = f"{key}_severity_{level}"
            found[name] = _metric(name, f"shift/{level}", key, f"severity {level} ")
    for name, keys in stored.items():
        for key in keys:
            found[f"{name}:{key}"] = _metric(f"{name}:{key}", name, key, f"{name} ")
    found |= {column.key: column for column in COSTS}
    measured = stored.get("test") or scoring.LABELLED
    names = {
        "calibration": [key for key in _CALIBRATION if key in measured],
        "near": [f"{metric}_near" for metric in _OOD],
        "far": [f"{metric}_far" for metric in _OOD],
        "shift": [f"{key}_severity_{level}" for level in levels for key in _SHIFT],
        "cost": [column.key for column in COSTS],
    }
    names["all"] = [*DEFAULT[:2], *(name for group in names.values() for name in group)]
    groups = {group: [found[name] for name in members if name in found] for group, members in names.items()}
    return {name: [column] for name, column in found.items()} | groups


def _stored(results: Iterable[Result]) -> _Stored:
    """Evaluation sets of the results with the names of all their metrics."""
    stored: dict[str, dict[str, None]] = {}
    for layout in {id(one.metrics.layout): one.metrics.layout for one in results}.values():
        for name, keys in layout.items():
            stored.setdefault(name, {}).update(dict.fromkeys(keys))
    return tuple((name, tuple(keys)) for name, keys in stored.items())


def _labelled(stored: Mapping[str, Sequence[str]]) -> list[str]:
    return list(dict.fromkeys([*scoring.LABELLED, *scoring.labelled("gaussian"), *stored.get("test", ())]))


def _metric(name: str, group: str, key: str, prefix: str = "") -> Column:
    def value(result: Result) -> float | None:
        return result.metrics.number(group, key)

    unit, better = scoring.unit(key), scoring.better(key)
    title = f"{prefix}{_words(key)}{f', {unit}' if unit else ''}{ARROWS[better]}"
    return Column(name, title, value, better=better, place=(group, key))


def _words(key: str) -> str:
    """What people call a metric, in few words: ``auroc_max_probability`` -> ``AUROC``."""
    words = scoring.title(key.removesuffix("_max_probability")).replace(" of ", " ")
    before, comma, after = words.rpartition(", ")
    return f"{before} {after}" if comma and calibrated(key)[1] else words


def _ratio(key: str, field: str = "", title: str = "") -> Column:
    def value(result: Result) -> float | None:
        return result.cost.get(field)

    return Column(key, f"{title or key} ×MAP ↓", value, digits=2, cost=key)


def _cost(key: str, title: str, field: str, by: float = 1.0, digits: int = 2) -> Column:
    def value(result: Result) -> float | None:
        found = result.cost.get(field)
        return None if found is None else found / by

    return Column(key, f"{title} ↓", value, digits=digits)


def _per_example(result: Result) -> float | None:
    examples = result.cost.get("predict_examples")
    return 1e3 * result.cost["predict_s"] / examples if examples else None


COSTS = (
    _ratio("fit", "fit_s"),
    _ratio("predict", "predict_s"),
    _ratio("memory"),  # tensors at the peak, which `ivi cost` alone measures: the memory of a process holds more
    _ratio("energy", title="fit energy"),  # likewise
    _cost("fit_seconds", "fit, s", "fit_s", digits=1),
    Column("predict_seconds", "predict, ms per example ↓", _per_example, digits=3),
    _cost("fit_tflops", "fit, TFLOPs", "fit_flops", 1e12, 3),
    _cost("predict_mflops", "predict, MFLOPs per example", "predict_flops", 1e6),
    _cost("fit_memory", "fit, resident MB", "peak_memory_fit", 1e6, 0),
    _cost("predict_memory", "predict, resident MB", "peak_memory_predict", 1e6, 0),
    _cost("parameters", "parameters", "parameters", digits=0),
    _cost("stored", "stored, MB", "state_bytes", 1e6),
    _cost("steps", "steps", "steps", digits=0),
)
