"""Three files that keep evaluation apart: one to fit on, one of unnamed inputs to predict, one of truth to score with.

The process that fits reads `FIT` and holds no evaluation set but validation; the one that predicts reads `INPUTS`: the
inputs of all evaluation sets in one random order, without names, sizes or labels; the driver alone reads `TRUTH`.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor

from benchmarks.data.examples import Affine, Examples
from benchmarks.data.features import Features
from benchmarks.data.hashes import array_sha256, raw, sha256_prefix
from benchmarks.data.images import Images
from benchmarks.data.spec import DataError
from benchmarks.data.tables import Rows
from benchmarks.data.truth import FIT, INPUTS, TRUTH, Damaged, SetInfo, check_seal, opened, seal_of

_CLASSES = {"Images": Images, "Rows": Rows, "Features": Features}
_DTYPES = {"uint8": "U8", "float32": "F32", "int64": "I64"}
_BYTES_AT_ONCE = 1 << 24


def seal(
    folder: Path,
    parts: Mapping[str, Examples],
    evaluation: Iterable[tuple[str, Callable[[], Examples]]],
    affine: Affine,
    seed: int,
) -> dict[str, SetInfo]:
    """Write the three files. Sets are loaded one after the other: one of them is in memory at a time.

    The truth is written last, and what was there before is removed first: where there is a truth, all three are whole.

    Args:
        folder: where they go; one caller at a time.
        parts: "train" and "validation".
        evaluation: (set name, a function that loads it); ``parts["validation"]`` is added if it is not among them.
        affine: how inputs and targets are standardized.
        seed: decides the order in which the inputs of all sets are mixed; the process that predicts must not know it.

    Returns:
        What each set is: "train" and every evaluation set.

    Raises:
        DataError: sets have inputs of different shapes, one has no examples, or two have one name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (TRUTH, INPUTS, FIT):
        (folder / name).unlink(missing_ok=True)
    _write_fit(folder / FIT, parts, affine)
    infos = {"train": _info(parts["train"])}
    labels: dict[str, np.ndarray] = {}
    with tempfile.TemporaryFile(dir=folder) as stored:
        shape, dtype = parts["train"].shape, parts["train"].inputs.numpy().dtype
        for name, load in _with_validation(evaluation, parts["validation"]):
            examples = load()
            own = examples.inputs.numpy().dtype
            if (examples.shape, own) != (shape, dtype) or not len(examples):
                found = f"{len(examples):,} inputs of shape {examples.shape}, {own}"
                raise DataError(f"set {name}: {found}; the training set's have shape {shape}, {dtype}")
            if name in infos:
                raise DataError(f"set {name} is there twice")
            infos[name] = _info(examples)
            stored.write(raw(examples.inputs.contiguous().numpy()))
            if examples.labels is not None:
                labels[name] = examples.labels.numpy()
            del examples
        stored.flush()
        sizes = {name: info.n for name, info in infos.items() if name != "train"}
        order = torch.randperm(sum(sizes.values()), generator=torch.Generator().manual_seed(seed)).numpy()
        inputs = np.memmap(stored, dtype=dtype, mode="r", shape=(len(order), *shape))  # type: ignore[call-overload]
        sealed = _write_inputs(folder / INPUTS, inputs, order, affine)
    write_truth(folder / TRUTH, order, sizes, labels, infos, affine, sealed)
    return infos


def read_fit(folder: Path) -> tuple[Examples, Examples, Affine]:
    """Training and validation examples, memory-mapped, and how they are standardized.

    Raises:
        Damaged: the file is not there or not what was written.
    """
    tensors, metadata = _read(folder / FIT)
    cls = _CLASSES[metadata["form"]]
    classes = tuple(json.loads(metadata["classes"]))
    train, validation = (
        cls(tensors[f"{part}_inputs"], tensors.get(f"{part}_labels"), classes) for part in ("train", "validation")
    )
    return train, validation, Affine(tensors["scale"], tensors["shift"], *json.loads(metadata["target"]))


def read_inputs(folder: Path) -> tuple[Tensor, Affine]:
    """The inputs of all evaluation sets, mixed and memory-mapped, [N, ...], and how inputs are standardized.

    Raises:
        Damaged: the file is not there or not what was written.
    """
    tensors, _ = _read(folder / INPUTS)
    return tensors["inputs"], Affine(tensors["scale"], tensors["shift"])


def _with_validation(
    evaluation: Iterable[tuple[str, Callable[[], Examples]]], validation: Examples
) -> Iterator[tuple[str, Callable[[], Examples]]]:
    named = False
    for name, load in evaluation:
        named |= name == "validation"
        yield name, load
    if not named:
        yield "validation", lambda: validation


def _info(examples: Examples) -> SetInfo:
    return SetInfo(len(examples), examples.inputs_sha256, examples.labels_sha256)


def _write_fit(path: Path, parts: Mapping[str, Examples], affine: Affine) -> None:
    arrays = {"scale": affine.scale.numpy(), "shift": affine.shift.numpy()}
    for part in ("train", "validation"):
        arrays[f"{part}_inputs"] = parts[part].inputs.numpy()
        labels = parts[part].labels
        if labels is not None:
            arrays[f"{part}_labels"] = labels.numpy()
    metadata = {"form": type(parts["train"]).__name__, "classes": json.dumps(parts["train"].classes)}
    _write(path, arrays, metadata | {"target": json.dumps([affine.target_mean, affine.target_std])})


def write_truth(
    path: Path,
    order: np.ndarray,
    sizes: Mapping[str, int],
    labels: Mapping[str, np.ndarray],
    infos: Mapping[str, SetInfo],
    affine: Affine,
    sealed: str,
) -> None:
    """Write which input of the mixed ``order`` belongs to which set (name -> size), and the labels."""
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    arrays: dict[str, np.ndarray] = {f"labels/{name}": values for name, values in labels.items()}
    start = 0
    for name, size in sizes.items():
        arrays[f"positions/{name}"] = place[start : start + size]
        start += size
    metadata = {"sets": json.dumps(list(sizes))}
    metadata |= {"infos": json.dumps({name: vars(info) for name, info in infos.items()})}
    metadata |= {"inputs": sealed, "target": json.dumps([affine.target_mean, affine.target_std])}
    _write(path, arrays, metadata)


def _write(path: Path, arrays: Mapping[str, np.ndarray], metadata: dict[str, str]) -> None:
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with _renamed(path) as temporary:
        save_file(whole, temporary, metadata | {"seal": seal_of(_hashes(whole), metadata)})


def _write_inputs(path: Path, inputs: np.ndarray, order: np.ndarray, affine: Affine) -> str:
    """``inputs`` in ``order``, a piece at a time: the library's own writer wants the whole array in memory, twice."""
    small = {"scale": affine.scale.numpy(), "shift": affine.shift.numpy()}
    with _renamed(path) as temporary, temporary.open("wb") as file:
        _write_header(file, inputs, small, "0" * 64)
        digest = sha256_prefix(inputs)
        step = max(1, _BYTES_AT_ONCE // inputs[0].nbytes)
        for array in small.values():
            file.write(raw(np.ascontiguousarray(array)))
        for start in range(0, len(order), step):
            piece = raw(np.ascontiguousarray(inputs[order[start : start + step]]))
            file.write(piece)
            digest.update(piece)
        sealed = seal_of(_hashes(small) | {"inputs": digest.hexdigest()}, {})
        file.seek(0)
        _write_header(file, inputs, small, sealed)
    return sealed


def _write_header(file: BinaryIO, inputs: np.ndarray, small: Mapping[str, np.ndarray], sealed: str) -> None:
    """The head of a safetensors file: its length, then names, types, shapes and places of the arrays as JSON."""
    head: dict[str, object] = {"__metadata__": {"seal": sealed}}
    start = 0
    for name, array in {**small, "inputs": inputs}.items():
        stop = start + array.nbytes
        head[name] = {"dtype": _DTYPES[array.dtype.name], "shape": list(array.shape), "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)  # so that the arrays lie at multiples of eight bytes
    file.write(len(text).to_bytes(8, "little") + text)


@contextmanager
def _renamed(path: Path) -> Iterator[Path]:
    """A path to write to that becomes ``path`` when all is on the disk."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _hashes(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    return {name: array_sha256(array) for name, array in arrays.items()}


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    with opened(path, "pt") as (tensors, metadata):
        check_seal({name: tensor.numpy() for name, tensor in tensors.items()}, metadata, path)
    return tensors, metadata


__all__ = ["Damaged", "SetInfo", "read_fit", "read_inputs", "seal", "write_truth"]
