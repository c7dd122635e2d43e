"""What a method predicted: the only thing that metrics are computed from."""

from __future__ import annotations

import hashlib
import json
import math
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from leaderboard.arrays import UNIT_SUM, by_rows, checked, checked_gaussian, vector
from leaderboard.metrics.uncertainty import mutual_information
from leaderboard.store import write_once

__all__ = [
    "AnyPredictions",
    "Categorical",
    "Gaussian",
    "Predictions",
    "by_rows",
    "checked",
    "from_arrays",
    "kind_of",
    "load_predictions",
    "parse_predictions",
    "read_bytes",
    "save_predictions",
]

_HEADER = 2**20  # bytes: five times that of 500 sets
_STORED = {"float": ("F32", "F16"), "int": ("U8", "U16", "U32", "U64", "I64")}


@dataclass(frozen=True)
class Categorical:
    """Predictions of a class on one evaluation set of N images and C classes.

    Attributes:
        log_probs: [N, C] float32, log of the members' mean probability, rounded to what float16 holds: what is scored
            is what is stored.
        expected_entropy: [N] float32, nats: mean over members of each one's predictive entropy, less what rounding took
            from the entropy of ``log_probs``. That entropy less this is the mutual information between prediction and
            member.
        energy: [N] float32: mean over members of ``-logsumexp(logits)``; high means "unlike the training data".
        labels: [N] int64, or None where the images have no class of the task (out-of-distribution sets).
    """

    kind: ClassVar[Literal["categorical"]] = "categorical"
    label_type: ClassVar[type] = np.int64

    log_probs: np.ndarray
    expected_entropy: np.ndarray
    energy: np.ndarray
    labels: np.ndarray | None = None

    def examine(self) -> None:
        """Raise a ValueError of one line where these are no predictions; the members' entropies are not compared."""
        log_probs, _ = checked(self.log_probs, self.labels)
        n, classes = log_probs.shape
        expected = vector(self.expected_entropy, "expected_entropy", n)
        vector(self.energy, "energy", n)
        # Rounding of log_probs moves their entropy, and so what is stored here, by about that share of log C.
        _check_least(expected, "expected_entropy", -UNIT_SUM * (1.0 + math.log(classes)))


@dataclass(frozen=True)
class Gaussian:
    """Predictions of a number on one evaluation set of N items: the Gaussian with the moments of the members' mixture.

    ``variance - expected_variance`` is the variance between the members' means: the epistemic part.
    Source: Lakshminarayanan et al., "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles",
    NeurIPS 2017, section 2.4.

    Attributes:
        mean: [N] float32, in units of the target: mean over members of ``mu_m``.
        variance: [N] float32, squared units of the target: mean over members of ``sigma_m^2 + mu_m^2``, less
            ``mean^2``.
        expected_variance: [N] float32: mean over members of ``sigma_m^2``; at most ``variance``.
        labels: [N] float32, in units of the target, or None where the items have none (out-of-distribution sets).
    """

    kind: ClassVar[Literal["gaussian"]] = "gaussian"
    label_type: ClassVar[type] = np.float32

    mean: np.ndarray
    variance: np.ndarray
    expected_variance: np.ndarray
    labels: np.ndarray | None = None

    def examine(self) -> None:
        """Raise a ValueError of one line where these are no predictions."""
        _, variance, _ = checked_gaussian(self.mean, self.variance, self.labels)
        expected = vector(self.expected_variance, "expected_variance", len(variance))
        _check_least(expected, "expected_variance", 0.0)
        excess = int(np.argmax(expected - variance))
        if expected[excess] > variance[excess]:
            raise ValueError(
                f"expected_variance exceeds variance in row {excess}: {expected[excess]:.9g} > {variance[excess]:.9g}"
            )


def _check_least(values: np.ndarray, name: str, least: float) -> None:
    if values.min() < least:
        raise ValueError(f"{name} is {values.min():.6g} in row {int(values.argmin())}: need 0 or more")


Predictions = Categorical
AnyPredictions = Categorical | Gaussian
KINDS: dict[str, type[Categorical] | type[Gaussian]] = {"categorical": Categorical, "gaussian": Gaussian}


def from_arrays(kind: str, arrays: Mapping[str, np.ndarray], labels: np.ndarray | None) -> AnyPredictions:
    """One set of predictions from what a worker gave, and the labels that it never saw.

    Args:
        kind: "categorical" or "gaussian".
        arrays: every field of that kind but the labels, float32.
        labels: [N], or None for an out-of-distribution set.

    Raises:
        ValueError: an unknown kind, a field too many or too few, another type, or what `examine` refuses.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of predictions {kind!r}: need {' or '.join(KINDS)}")
    made = KINDS[kind]
    names = [field.name for field in fields(made) if field.name != "labels"]
    if sorted(arrays) != sorted(names):
        raise ValueError(f"{kind} predictions hold {', '.join(sorted(arrays)) or 'nothing'}: need {', '.join(names)}")
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype != np.float32:
            raise ValueError(f"{name} is {getattr(array, 'dtype', type(array).__name__)}: need float32")
    if labels is not None:
        is_whole = np.issubdtype(np.asarray(labels).dtype, np.integer)
        if not is_whole and made is Categorical:
            raise ValueError(f"labels is {np.asarray(labels).dtype}: need integers")
        labels = np.asarray(labels).astype(made.label_type, copy=False)
    result = made(**arrays, labels=labels)
    _examine_wholly(result)
    return result


def to_bytes(sets: Mapping[str, AnyPredictions]) -> bytes:
    """``sets`` (name -> predictions) as the bytes of a predictions file.

    Arrays are stored in the smallest type that holds every number of theirs exactly.

    Raises:
        ValueError: an array is float64, which would not be read back as it was scored.
    """
    arrays = {
        f"{name}:{key}": np.ascontiguousarray(_smallest(value))
        for name, predictions in sorted(sets.items())
        for key, value in vars(predictions).items()
        if value is not None
    }
    return save(arrays)


def save_predictions(path: Path, sets: Mapping[str, AnyPredictions]) -> str:
    """Write ``sets`` to ``path``, whole or not at all, and return the SHA-256 of the file; see `to_bytes`."""
    data = to_bytes(sets)
    write_once(path, data, replace=True)
    return hashlib.sha256(data).hexdigest()


def load_predictions(path: Path, wanted: Callable[[str], bool] | None = None) -> dict[str, AnyPredictions]:
    """Read what `save_predictions` wrote; of many sets those alone whose names are ``wanted``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, is no predictions file, or holds predictions that cannot be.
    """
    return parse_predictions(read_bytes(path), str(path), wanted)


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file; a ValueError for pipes and devices, which may never end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"{path}: not a predictions file (not a regular file)")
    return path.read_bytes()


def parse_predictions(
    data: bytes, where: str, wanted: Callable[[str], bool] | None = None
) -> dict[str, AnyPredictions]:
    """As `load_predictions`, from the bytes of the file ``where``."""
    try:
        _check_header(data)
        arrays: dict[str, dict[str, np.ndarray]] = {}
        for key, array in load(data).items():
            name, _, field = key.rpartition(":")
            if wanted and not wanted(name):
                continue
            arrays.setdefault(name, {})[field] = array
        sets = {name: _assembled(name, given) for name, given in arrays.items()}
        if sets or wanted is None:
            kind_of(sets)
        return sets
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{where}: not a predictions file ({error})") from error


def kind_of(sets: Mapping[str, AnyPredictions]) -> Literal["categorical", "gaussian"]:
    """The kind of all ``sets``.

    Raises:
        ValueError: no sets, sets of two kinds, or of different numbers of classes.
    """
    forms: dict[str, str] = {}
    for name, one in sets.items():
        classes = f" of {np.shape(one.log_probs)[-1]} classes" if isinstance(one, Categorical) else ""
        forms.setdefault(one.kind + classes, name)
    if len(forms) != 1:
        found = " and ".join(f"{form} ({name})" for form, name in forms.items())
        raise ValueError(
            f"predictions are {found}: need one kind" if forms else "no predictions: need one set at least"
        )
    return next(iter(sets.values())).kind


def _check_header(data: bytes) -> None:
    """Refuse what the library would read at any cost, or end on without a word: large headers, foreign types."""
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > min(_HEADER, len(data) - 8):
        raise ValueError(f"a header of {size} bytes in a file of {len(data)}: need {_HEADER} at most")
    try:
        header = json.loads(data[8 : 8 + size])
        types = {key: entry["dtype"] for key, entry in header.items() if key != "__metadata__"}
    except (ValueError, RecursionError, AttributeError, TypeError, KeyError):
        raise ValueError("the header is no table of arrays") from None
    for key, kind in types.items():
        if ":" not in key or not key.isprintable():
            raise ValueError(f"{key!r} is not <set>:<array>")
        field = key.rpartition(":")[2]
        allowed = _STORED["float"] + (_STORED["int"] if field == "labels" else ())
        if kind not in allowed:
            raise ValueError(f"{key} is {kind!r}: need {' or '.join(allowed)}")


def _assembled(name: str, arrays: Mapping[str, np.ndarray]) -> AnyPredictions:
    """The set ``name`` of that kind which has these fields."""
    try:
        result = _of_fields(arrays)
        _examine_wholly(result)
        return result
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _of_fields(arrays: Mapping[str, np.ndarray]) -> AnyPredictions:
    for made in KINDS.values():
        names = {field.name for field in fields(made)}
        if names - {"labels"} <= arrays.keys() <= names:
            break
    else:
        raise ValueError(f"holds {', '.join(sorted(arrays))}, the fields of no kind of predictions")
    labels = arrays.get("labels")
    if labels is not None and np.issubdtype(labels.dtype, np.integer) != (made is Categorical):
        raise ValueError(f"labels is {labels.dtype}, which {made.kind} labels are not")
    types = {name: made.label_type if name == "labels" else np.float32 for name in arrays}
    return made(**{name: array.astype(types[name], copy=False) for name, array in arrays.items()})


def _examine_wholly(predictions: AnyPredictions) -> None:
    """As `examine`, and that the members' entropies are possible, which takes the entropy of every row."""
    predictions.examine()
    if isinstance(predictions, Categorical):
        mutual_information(predictions.log_probs, predictions.expected_entropy, check=False)


def _smallest(array: np.ndarray) -> np.ndarray:
    if np.issubdtype(array.dtype, np.integer):
        return array.astype(np.min_scalar_type(int(array.max(initial=0)))) if array.min(initial=0) >= 0 else array
    if array.dtype != np.float32:
        raise ValueError(f"predictions are {array.dtype}: need float32")
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.array_equal(half, array, equal_nan=True) else array
