"""What the driver keeps from every process that fits or predicts: where each set's inputs went, and their labels.

Needs numpy and safetensors, not torch: scores are computed from these files without it. `benchmarks.data.sealed` writes
them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from benchmarks.data.hashes import array_sha256

FIT, INPUTS, TRUTH = "fit.safetensors", "inputs.safetensors", "truth.safetensors"


class Damaged(Exception):
    """A sealed file is not there, not what was written, or of another sealing: seal the sets again."""


@dataclass(frozen=True)
class SetInfo:
    """What a set is: how many examples, and the SHA-256 (`array_sha256`) of its inputs and of its labels, if any."""

    n: int
    inputs: str
    labels: str | None


def read_truth(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    """Where each evaluation set's inputs went, and its labels.

    Returns:
        Set name -> (positions, labels). The set's i-th input is number ``positions[i]`` of the mixed ones, [n] int64;
        labels [n] are int64 classes, or float32 targets in their own units, or None.

    Raises:
        Damaged: as its name says; also where the inputs that lie beside it are those of another sealing.
    """
    tensors, metadata = _read(folder)
    beside = folder / INPUTS
    if beside.exists():
        with opened(beside, "np", lazy=True) as (_, other):
            if other["seal"] != metadata["inputs"]:
                raise Damaged(f"{beside} is of another sealing than {TRUTH}")
    names: list[str] = json.loads(metadata["sets"])
    return {name: (tensors[f"positions/{name}"], tensors.get(f"labels/{name}")) for name in names}


def read_target(folder: Path) -> tuple[float, float] | None:
    """(mean, deviation) of a real target, in whose units (y - mean) / std it is predicted; None for classes.

    Raises:
        Damaged: as its name says.
    """
    mean, std = json.loads(_read(folder)[1]["target"])
    return None if mean is None else (mean, std)


def read_sets(folder: Path) -> dict[str, SetInfo]:
    """What `seal` returned when the folder was made: the training set, and every evaluation set.

    Raises:
        Damaged: as its name says.
    """
    return {name: SetInfo(**facts) for name, facts in json.loads(_read(folder)[1]["infos"]).items()}


def _read(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    with opened(folder / TRUTH, "np") as (tensors, metadata):
        check_seal(tensors, metadata, folder / TRUTH)
    return tensors, metadata


@contextmanager
def opened(path: Path, framework: str, lazy: bool = False) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """Tensors (none of them if ``lazy``) and metadata of a safetensors file, memory-mapped where torch reads it.

    Raises:
        Damaged: there is no such file, or it is not whole.
    """
    try:
        with safe_open(path, framework=framework) as file:
            metadata = dict(file.metadata() or {})
            names = [] if lazy else list(file.keys())
            yield {name: file.get_tensor(name) for name in names}, metadata
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise Damaged(f"{path}: {str(error) or type(error).__name__}") from error


def check_seal(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str], path: Path) -> None:
    """Compare a file's content with what it said of itself when it was written.

    Raises:
        Damaged: they differ.
    """
    if seal_of({name: array_sha256(array) for name, array in arrays.items()}, metadata) != metadata.get("seal"):
        raise Damaged(f"{path}: its content is not what was written")


def seal_of(hashes: Mapping[str, str], metadata: Mapping[str, str]) -> str:
    """SHA-256 over the names and hashes of a file's arrays, and all of its metadata but the seal itself."""
    rest = {key: value for key, value in metadata.items() if key != "seal"}
    return hashlib.sha256(json.dumps([dict(hashes), rest], sort_keys=True).encode()).hexdigest()
