"""Columns of the board: what a name means, where its value is in a record, how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from leaderboard import scoring
from leaderboard.record import Cost, Record

ARROWS = {"higher": " ↑", "lower": " ↓", "": ""}
DEFAULT = ("accuracy", "nll", "ece", "auroc_near", "auroc_far", "fit", "predict", "memory")
GROUPS = ("all", "calibration", "near", "far", "shift", "cost")
"""Names that stand for several columns."""
_OOD = ("auroc", "aupr_in", "aupr_out", "fpr95")
_SHIFT = ("accuracy", "nll", "ece")
_WORDS = {
    "nll": "NLL",
    "ece": "ECE",
    "aurc": "AURC",
    "auroc": "AUROC",
    "aupr_in": "AUPR-in",
    "aupr_out": "AUPR-out",
    "fpr95": "FPR95",
    "brier": "Brier",
}


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
        value: record -> number; None where it was not measured.
        digits: decimals shown.
        cost: the cost whose ratio to MAP this is: ``fit``, ``predict``, ``memory`` or ``energy``; else empty.
        better: "higher", "lower", or "" where neither is.
        place: evaluation set and name of a metric; None for costs.
    """

    key: str
    title: str
    value: Callable[[Record], float | None]
    digits: int = 3
    cost: str = ""
    better: str = "lower"
    place: tuple[str, str] | None = None


def columns(names: Iterable[str] = DEFAULT, records: Iterable[Record] = ()) -> list[Column]:
    """The columns that ``names`` mean.

    A name is one of the following; ``records`` say which evaluation sets and severities there are.

    - a metric on the test set: ``nll``, ``ece_scaled``, ``mutual_information`` ...
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
    stored = _stored(records)
    known = _known(stored)
    chosen: dict[str, Column] = {}
    for name in names:
        if name not in known:
            near = [*DEFAULT, *GROUPS, *(key for key in known if key[:3] == name[:3])]
            raise UnknownColumn(name, list(dict.fromkeys(near)))
        chosen |= {column.key: column for column in known[name]}
    return list(chosen.values())


def _known(stored: dict[str, list[str]]) -> dict[str, list[Column]]:
    """Every name and the columns it stands for."""
    found = {metric: _metric(metric, "test", metric) for metric in _labelled(stored)}
    severities = sorted(name.split("/")[1] for name in stored if name.startswith("shift/") and name.count("/") == 1)
    for side in ("near", "far"):
        scores = sorted({key for name in stored if name.startswith(f"ood_{side}") for key in stored[name]})
        for key in [f"{metric}_max_probability" for metric in _OOD] + scores:
            short = f"{key.removesuffix('_max_probability')}_{side}"
            found[short] = _metric(short, f"ood_{side}", key, f"{side} ")
    for level in severities:
        for key in stored[f"shift/{level}"]:
            name = f"{key}_severity_{level}"
            found[name] = _metric(name, f"shift/{level}", key, f"severity {level} ")
    for name, keys in stored.items():
        for key in keys:
            found[f"{name}:{key}"] = _metric(f"{name}:{key}", name, key, f"{name} ")
    found |= {column.key: column for column in COSTS}
    names = {
        "calibration": ["nll", "nll_scaled", "brier", "ece", "ece_scaled", "ece_debiased", "temperature"],
        "near": [f"{metric}_near" for metric in _OOD],
        "far": [f"{metric}_far" for metric in _OOD],
        "shift": [f"{key}_severity_{level}" for level in severities for key in _SHIFT],
        "cost": [column.key for column in COSTS],
    }
    names["all"] = [*DEFAULT[:2], *(name for group in names.values() for name in group)]
    groups = {group: [found[name] for name in members] for group, members in names.items()}
    return {name: [column] for name, column in found.items()} | groups


def _stored(records: Iterable[Record]) -> dict[str, list[str]]:
    """Evaluation sets of the records with the names of their metrics; one record per task says it all."""
    stored: dict[str, list[str]] = {}
    seen: set[tuple[str, int]] = set()
    for record in records:
        key = (record.task.name, len(record.metrics))
        if record.metrics and key not in seen:
            seen.add(key)
            for name, row in record.metrics.items():
                stored[name] = list(dict.fromkeys([*stored.get(name, []), *row]))
    return stored


def _labelled(stored: dict[str, list[str]]) -> list[str]:
    return list(dict.fromkeys([*scoring.LABELLED, *stored.get("test", [])]))


def _metric(name: str, group: str, key: str, prefix: str = "") -> Column:
    def value(record: Record) -> float | None:
        return record.metrics.get(group, {}).get(key)

    unit, better = scoring.unit(key), scoring.better(key)
    title = f"{prefix}{_words(key)}{f', {unit}' if unit else ''}{ARROWS[better]}"
    return Column(name, title, value, better=better, place=(group, key))


def _words(key: str) -> str:
    """``auroc_max_probability`` -> ``AUROC``; ``fpr95_entropy`` -> ``FPR95 entropy``."""
    key = key.removesuffix("_max_probability")
    for start in sorted(_WORDS, key=len, reverse=True):
        if key == start or key.startswith(f"{start}_"):
            return (_WORDS[start] + key[len(start) :]).replace("_", " ")
    return key.replace("_", " ")


def _ratio(key: str, *fields: str, title: str = "") -> Column:
    def value(record: Record) -> float | None:
        return max(getattr(record.cost, field) for field in fields) if record.cost and fields else None

    return Column(key, f"{title or key} ×MAP ↓", value, digits=2, cost=key)


def _cost(key: str, title: str, amount: Callable[[Cost], float | None], digits: int = 2) -> Column:
    def value(record: Record) -> float | None:
        return amount(record.cost) if record.cost else None

    return Column(key, f"{title} ↓", value, digits=digits)


def _scaled(number: float | None, by: float) -> float | None:
    return None if number is None else number / by


COSTS = (
    _ratio("fit", "fit_s"),
    _ratio("predict", "predict_s"),
    _ratio("memory", "peak_memory_fit", "peak_memory_predict"),
    _ratio("energy", title="fit energy"),  # records have none: `ivi cost` alone measures it
    _cost("fit_seconds", "fit, s", lambda cost: cost.fit_s, 1),
    _cost("predict_seconds", "predict, ms per image", lambda cost: 1e3 * cost.predict_s / cost.predict_examples, 3),
    _cost("fit_tflops", "fit, TFLOPs", lambda cost: _scaled(cost.fit_flops, 1e12), 3),
    _cost("predict_mflops", "predict, MFLOPs per image", lambda cost: _scaled(cost.predict_flops, 1e6)),
    _cost("fit_memory", "fit, MB", lambda cost: cost.peak_memory_fit / 1e6, 0),
    _cost("predict_memory", "predict, MB", lambda cost: cost.peak_memory_predict / 1e6, 0),
    _cost("parameters", "parameters", lambda cost: float(cost.parameters), 0),
    _cost("stored", "stored, MB", lambda cost: cost.state_bytes / 1e6),
    _cost("steps", "steps", lambda cost: float(cost.steps), 0),
)
