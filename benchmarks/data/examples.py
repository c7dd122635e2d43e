"""Examples in memory, whatever their kind: inputs, labels, hashes, and cutting them into parts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self, TypeVar

import torch
from torch import Tensor

from benchmarks.data.hashes import array_sha256, raw
from benchmarks.data.spec import DataError

E = TypeVar("E", bound="Examples")


@dataclass(frozen=True)
class Examples:
    """One split of a data set, on the CPU.

    Attributes:
        inputs: [N, ...]; the kind says of what type.
        labels: [N], int64 indices into ``classes``, or float32 targets in their own units; None where nothing of the
            task is to be predicted.
        classes: names of the classes, in label order; none for real numbers.
    """

    inputs: Tensor
    labels: Tensor | None
    classes: tuple[str, ...]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of shape, inputs and labels. Class names are left out, since sources spell them freely."""
        number = self.labels is not None and self.labels.is_floating_point()
        labelled = "float32" if number else self.labels is not None
        digest = hashlib.sha256(f"{_name(self.inputs)} {tuple(self.inputs.shape)} {labelled}".encode())
        digest.update(raw(self.inputs.contiguous().numpy()))
        if self.labels is not None:
            digest.update(raw(self.labels.to(torch.float32 if number else torch.int64).contiguous().numpy()))
        return digest.hexdigest()

    @cached_property
    def inputs_sha256(self) -> str:
        """SHA-256 of the inputs alone (`array_sha256`)."""
        return array_sha256(self.inputs.numpy())

    @cached_property
    def labels_sha256(self) -> str | None:
        """SHA-256 of the labels alone (`array_sha256`); None without labels."""
        return None if self.labels is None else array_sha256(self.labels.numpy())

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return tuple(self.inputs.shape[1:])

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, index: Tensor) -> Self:
        """The examples at ``index`` ([M] int64), copied."""
        return replace(self, inputs=self.inputs[index], labels=None if self.labels is None else self.labels[index])


@dataclass(frozen=True)
class Affine:
    """How inputs and targets are brought to the units that models are trained in.

    Attributes:
        scale, shift: float32, broadcast against a batch: x = inputs * scale + shift.
        target_mean, target_std: a target of mean 0 and deviation 1 is (y - mean) / std; None where targets are classes.
    """

    scale: Tensor
    shift: Tensor
    target_mean: float | None = None
    target_std: float | None = None


def split(examples: E, seed: int, sizes: Mapping[str, int], stratified: bool = False) -> dict[str, E]:
    """Disjoint parts of ``examples``, cut one after the other from one permutation that only ``seed`` decides.

    Args:
        examples: what is cut; examples beyond the sum of ``sizes`` are left out.
        seed: the same seed gives the same parts on every machine.
        sizes: name of the part -> how many examples.
        stratified: every part has the classes in the proportions of all examples, to within one of each.

    Raises:
        DataError: ``sizes`` ask for more examples than there are, or for an empty part; or there are no classes.
    """
    places = cut(len(examples), seed, sizes)
    if stratified:
        if examples.labels is None or examples.labels.is_floating_point():
            raise DataError("stratified: there are no classes whose proportions could be kept")
        order = _stratified(examples.labels, seed)
        places = dict(zip(sizes, order[: sum(sizes.values())].split(list(sizes.values())), strict=True))
    return {name: examples.take(index) for name, index in places.items()}


def _stratified(labels: Tensor, seed: int) -> Tensor:
    """A random order in which each class is spread evenly, so that every stretch of it has the classes of the whole."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    along = torch.empty(len(labels), dtype=torch.float64)
    for label in labels.unique():
        members = order[labels[order] == label]
        along[members] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    return order[along[order].argsort(stable=True)]


def cut(count: int, seed: int, sizes: Mapping[str, int]) -> dict[str, Tensor]:
    """Which of ``count`` examples each part of `split` has: name of the part -> their numbers, [size] int64.

    Raises:
        DataError: as `split`.
    """
    if min(sizes.values(), default=0) < 1 or sum(sizes.values()) > count:
        asked = " + ".join(f"{name} {size:,}" for name, size in sizes.items()) or "no part"
        raise DataError(
            f"cannot cut {asked} from {count:,} examples: each part needs at least one, together at most all"
        )
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    parts = torch.split(order[: sum(sizes.values())], list(sizes.values()))
    return dict(zip(sizes, parts, strict=True))


def repeated(examples: Examples, among: Examples) -> int:
    """How many of ``examples`` are, input for input, also ``among`` others (of another shape: none are)."""
    if examples.shape != among.shape:
        return 0
    known = set(_digests(among))
    return sum(digest in known for digest in _digests(examples))


def duplicates(examples: Examples) -> int:
    """How many of ``examples`` are, input for input, equal to an earlier one."""
    return len(examples) - len(set(_digests(examples)))


def _digests(examples: Examples) -> list[bytes]:
    rows = examples.inputs.contiguous().numpy().reshape(len(examples), -1)
    return [hashlib.blake2b(row.data, digest_size=16).digest() for row in rows]


def _name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
