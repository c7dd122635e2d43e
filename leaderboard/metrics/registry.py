"""What a metric is: its function and all that tables, figures and documents say of it, in one entry beside it.

A metric is added by a decorated function and its test. Its parameters name what it is computed from: arrays of a set of
predictions (``log_probs``, ``labels``, ``mean`` ...), or what a function decorated with `shared` computes from those,
once for all metrics of a set. Order of registration is the order of columns.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeVar

import numpy as np

Kind = Literal["categorical", "gaussian", "ood"]
Better = Literal["higher", "lower", ""]
F = TypeVar("F", bound=Callable[..., Any])
Recalibrate = Callable[[np.ndarray], np.ndarray]
"""[N, C] log probabilities -> the calibrated ones."""
SCALED = "scaled"
"""Ends the name of a metric after post-hoc scaling by one number."""
NATS, TARGET = "nats", "units of the target"


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: its key in scores, and the name of ``function``.
        kind: of the predictions that it judges; "ood" compares scores of two sets.
        function: arrays -> one number, or one number per item, whose mean is the metric.
        title: for people, in tables and figures.
        better: which way; "" where neither is better.
        unit: "nats", "units of the target", or "" for bare numbers.
        range: lowest and highest value that there can be, for any data.
        per_item: arrays -> [N], whose mean is the metric; None where it is no mean over items.
        scaled: whether it is given again after post-hoc scaling (`leaderboard.calibration`), which changes it.
        recalibrated: whether it is given again after every other post-hoc calibration (`leaderboard.recalibration`).
    """

    name: str
    kind: Kind
    function: Callable[..., Any]
    title: str
    better: Better
    unit: str
    range: tuple[float, float]
    per_item: Callable[..., np.ndarray] | None
    scaled: bool
    recalibrated: bool


@dataclass(frozen=True)
class OodScore:
    """A score of each item, high where it is unlike the training data: arrays of a set of ``kind`` -> [N]."""

    name: str
    kind: Kind
    function: Callable[..., np.ndarray]
    title: str
    scaled: bool


@dataclass(frozen=True)
class Recalibration:
    """A post-hoc calibration of predictions of ``kind``; a metric after it is called <metric>_<name>.

    ``function``: log probabilities and labels of the validation set -> what calibrates; None where there is no fit.
    """

    name: str
    kind: Kind
    function: Callable[[np.ndarray, np.ndarray], Recalibrate | None]
    title: str


METRICS: dict[Kind, dict[str, Metric]] = {"categorical": {}, "gaussian": {}, "ood": {}}
OOD_SCORES: dict[Kind, dict[str, OodScore]] = {"categorical": {}, "gaussian": {}}
RECALIBRATIONS: dict[Kind, dict[str, Recalibration]] = {"categorical": {}, "gaussian": {}}
SHARED: dict[str, Callable[..., Any]] = {}


def metric(
    kind: Kind,
    title: str,
    *,
    better: Better,
    range: tuple[float, float],
    unit: str = "",
    per_item: Callable[..., np.ndarray] | Literal["itself"] | None = None,
    scaled: bool = False,
    recalibrated: bool = False,
) -> Callable[[F], F]:
    """Enter the decorated function as the metric of its name; the fields are those of `Metric`.

    ``per_item="itself"``: the function gives one number per item, and the metric is their mean.

    Raises:
        ValueError: there is one of that name already, or one of another kind that differs in title, unit or direction.
    """

    def enter(function: F) -> F:
        items = function if per_item == "itself" else per_item
        entry = Metric(function.__name__, kind, function, title, better, unit, range, items, scaled, recalibrated)
        for other_kind, entries in METRICS.items():
            same = entries.get(entry.name)
            if same is None:
                continue
            alike = (same.title, same.better, same.unit) == (title, better, unit)
            if other_kind == kind or not alike:
                raise ValueError(f"the name {entry.name} is taken by a {other_kind} metric of another meaning")
        METRICS[kind][entry.name] = entry
        return function

    return enter


def ood_score(kind: Kind, title: str, *, scaled: bool = False) -> Callable[[F], F]:
    """Enter the decorated function as the OOD score of its name; the fields are those of `OodScore`."""

    def enter(function: F) -> F:
        OOD_SCORES[kind][function.__name__] = OodScore(function.__name__, kind, function, title, scaled)
        return function

    return enter


def recalibration(kind: Kind, title: str) -> Callable[[F], F]:
    """Enter the decorated function as the recalibration of its name; the fields are those of `Recalibration`."""

    def enter(function: F) -> F:
        RECALIBRATIONS[kind][function.__name__] = Recalibration(function.__name__, kind, function, title)
        return function

    return enter


def shared(name: str) -> Callable[[F], F]:
    """Offer what the decorated function computes to every metric that has a parameter ``name``."""

    def enter(function: F) -> F:
        SHARED[name] = function
        return function

    return enter


class Arrays:
    """The arrays of one set of predictions, checked before, and what was computed from them, each once."""

    def __init__(self, arrays: Mapping[str, np.ndarray | None]) -> None:
        self._known: dict[Any, Any] = {key: array for key, array in arrays.items() if array is not None}

    def compute(self, function: Callable[..., Any]) -> Any:
        """``function`` of the arrays that its parameters name."""
        if function not in self._known:
            given = {name: self._argument(name) for name in _arguments(function) if self._has(name)}
            if _has_check(function):
                given["check"] = False
            self._known[function] = function(**given)
        return self._known[function]

    def _has(self, name: str) -> bool:
        return name in self._known or name in SHARED

    def _argument(self, name: str) -> Any:
        return self._known[name] if name in self._known else self.compute(SHARED[name])


@cache
def _arguments(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(name for name in inspect.signature(function).parameters if name != "check")


@cache
def _has_check(function: Callable[..., Any]) -> bool:
    return "check" in inspect.signature(function).parameters


def calibrated(key: str) -> tuple[str, str]:
    """What a key names, and after which calibration: ``nll_matrix`` -> nll, matrix; ``nll`` -> nll and nothing."""
    known = {name for entries in RECALIBRATIONS.values() for name in entries}
    for name in sorted({SCALED, *known}, key=len, reverse=True):  # "structured_matrix" before "matrix"
        if key.endswith(f"_{name}"):
            return key.removesuffix(f"_{name}"), name
    return key, ""


def find(key: str, kind: Kind | None = None) -> Metric | None:
    """The metric of a key of `leaderboard.scoring.score`: ``nll``, ``nll_scaled``, ``auroc_entropy`` ...

    None where the key names no metric. Without a ``kind`` the first is given: they differ in their range alone.
    """
    name = calibrated(key)[0]
    for entries in METRICS.values() if kind is None else (METRICS[kind],):
        if name in entries:
            return entries[name]
    scores = {score for entries in OOD_SCORES.values() for score in entries}
    for entry in METRICS["ood"].values():
        if name.startswith(f"{entry.name}_") and name.removeprefix(f"{entry.name}_") in scores:
            return entry
    return None
