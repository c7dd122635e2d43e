"""Batches from images that do not fit into memory: decoded by worker processes while the network trains."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader
from torch.utils.data import Dataset as TorchDataset

from baselines.seeds import derive_seed
from benchmarks.data.images import Images, image_affine
from benchmarks.data.loading import differs, from_first_source
from benchmarks.data.sources.columns import encoded
from benchmarks.data.sources.files import AnySource, describe
from benchmarks.data.sources.library import open_hub, open_local
from benchmarks.data.sources.pictures import open_picture
from benchmarks.data.spec import DataError, Hub, ImageSpec, Local, read_spec
from benchmarks.data.tensors import UNLABELLED

if TYPE_CHECKING:
    from datasets import Dataset

Transform = Callable[[Any], np.ndarray]


@dataclass(frozen=True)
class Preprocessing:
    """How a picture is brought to the shape of its spec when a network is evaluated on it, and normalized.

    Attributes:
        interpolation: "bilinear" or "bicubic".
        crop: part of each side that the cut of the centre keeps.
        mean, std: per channel, in [0, 1]; None: the spec's.
    """

    interpolation: str = "bilinear"
    crop: float = 0.875
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


def preprocessing_of(model: str) -> Preprocessing:
    """What the published weights of a timm model (as "resnet50.a1_in1k") are evaluated with.

    Raises:
        DataError: timm knows no such weights.
    """
    from timm.models import get_pretrained_cfg

    config: Any = get_pretrained_cfg(model)
    if config is None:
        raise DataError(f"timm knows no pretrained weights {model!r}")
    return Preprocessing(config.interpolation, config.crop_pct, tuple(config.mean), tuple(config.std))


class StreamSource:
    """A `BatchSource` (see `baselines.protocol`) that reads, decodes and transforms images as they are needed.

    The transforms are timm's: a random crop of random size and a mirror image for training, resize and centre crop
    otherwise. Each image's random numbers come from the epoch's seed and its place in the set, so batches do not
    depend on the number of workers.

    Args:
        name: a data set whose source is a table: on the hub, or local files.
        split: one of its splits.
        device: where batches are put.
        augment: "crop-flip" for timm's training transform, in `shuffled` only.
        workers: processes that decode; 0 decodes in this one.
        preprocessing: of images that are not augmented, and normalization of all; for published weights
            `preprocessing_of` has theirs.

    Raises:
        DataError: as `benchmarks.data.load`.
    """

    def __init__(
        self,
        name: str,
        split: str,
        device: torch.device | str = "cpu",
        augment: Literal["none", "crop-flip"] = "none",
        workers: int = 0,
        preprocessing: Preprocessing = Preprocessing(),
    ) -> None:
        spec = read_spec(name)
        if not isinstance(spec, ImageSpec):
            raise DataError(f"{spec.name} holds no images and cannot be streamed; use load()")
        self._spec, self._split = spec, split
        expected = self._spec.split(split)
        self._table, self._labels, self.classes = from_first_source(self._spec, self._open)
        if len(self._table) != expected.examples:
            raise DataError(
                f"{self._spec.name}, split {split!r}: {len(self._table):,} images, the spec says {expected.examples:,}"
            )
        if expected.fingerprint is not None and self.fingerprint != expected.fingerprint:
            raise DataError(differs(f"{self._spec.name}, split {split!r}", self.fingerprint, expected.fingerprint))
        self._device, self._augment, self._workers = torch.device(device), augment, workers
        self._preprocessing = preprocessing
        own = {"mean": preprocessing.mean or spec.mean, "std": preprocessing.std or spec.std}
        affine = image_affine(spec.model_copy(update=own))
        self._scale, self._shift = affine.scale.to(device), affine.shift.to(device)

    def _open(self, source: AnySource) -> tuple[Dataset, Tensor, tuple[str, ...]]:
        if isinstance(source, Hub):
            return encoded(open_hub(source, self._spec, self._split), source, self._spec, self._split)
        if isinstance(source, Local):
            return encoded(open_local(source, self._spec, self._split), source, self._spec, self._split)
        raise DataError(f"{self._spec.name}: {describe(source)} is no table and cannot be streamed; use load()")

    @property
    def num_examples(self) -> int:
        """How many images there are."""
        return len(self._table)

    def __len__(self) -> int:
        return len(self._table)

    @property
    def labels(self) -> Tensor:
        """Int64 [N], on the CPU."""
        return self._labels

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the labels and of the length of every encoded image, in order.

        Unlike that of decoded images it does not cover the pixels: that would take reading all of them.
        """
        digest = hashlib.sha256(f"stream {len(self._table)}".encode())
        digest.update(self._labels.numpy().tobytes())
        digest.update(_encoded_lengths(self._table).tobytes())
        return digest.hexdigest()

    def part(self, index: Tensor) -> StreamSource:
        """The images at ``index`` ([M] int64) as a source of their own, for cutting validation from training."""
        other = object.__new__(StreamSource)
        other.__dict__.update(self.__dict__)
        other._table, other._labels = self._table.select(index.numpy()), self._labels[index]
        return other

    def images(self) -> Images:
        """All of them in memory, as `ordered` has them but not normalized: for parts that are small."""
        pictures = self._pictures(training=False, seed=0)
        pixels = torch.stack([pictures[row][0] for row in range(len(pictures))])
        return Images(pixels, self._labels, self.classes)

    def shuffled(self, batch_size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch in the order that ``seed`` decides; see `BatchSource.shuffled`."""
        order = torch.randperm(self.num_examples, generator=torch.Generator().manual_seed(seed))
        size = min(batch_size, self.num_examples)
        batches = order[: self.num_examples // size * size].view(-1, size)
        return self._batches(batches.tolist(), self._augment == "crop-flip", seed)

    def ordered(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every image once, in its stored order, never augmented."""
        return self._batches([part.tolist() for part in torch.arange(self.num_examples).split(batch_size)], False, 0)

    def _pictures(self, training: bool, seed: int) -> _Pictures:
        transform = _transform(self._spec, training, self._preprocessing)
        return _Pictures(self._table, self._labels, self._spec, transform, seed)

    def _batches(self, batches: list[list[int]], training: bool, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        return self._loaded(self._pictures(training, seed), batches, seed)

    def _loaded(self, pictures: TorchDataset, batches: list[list[int]], seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        loader = DataLoader(
            pictures,
            batch_sampler=batches,
            num_workers=self._workers,
            generator=torch.Generator().manual_seed(seed),  # or the loader would draw from the global one
            pin_memory=self._device.type == "cuda",
        )
        for pixels, labels in loader:
            pixels = pixels.to(self._device, non_blocking=True)
            yield pixels.mul(self._scale).add_(self._shift), labels.to(self._device, non_blocking=True)


class _Pictures(TorchDataset):
    """Index -> (uint8 image [channels, height, width], label); normalized on the device, as timm's loader does."""

    def __init__(self, table: Dataset, labels: Tensor, spec: ImageSpec, transform: Transform, seed: int) -> None:
        self._table, self._labels, self._spec = table, labels, spec
        self._transform, self._seed = transform, seed

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        picture = open_picture(self._table[index]["image"], self._spec, f"{self._spec.name}, image {index}")
        with _seeded(derive_seed("augment", self._seed, index)):
            pixels = self._transform(picture)
        return torch.from_numpy(np.ascontiguousarray(pixels)), self._labels[index]


class MixedStream:
    """The inputs of several sets in one random order, for the process that predicts: no names, no labels.

    Args:
        sets: streams, and sets in memory of the streams' shape; the first must be a stream, which decides device,
            workers and normalization.
        seed: decides the order; the process that predicts must not know it.

    Attributes:
        positions: for each set, where its inputs went: its i-th is number ``positions[i]`` of `ordered`.
    """

    def __init__(self, sets: Sequence[StreamSource | Images], seed: int) -> None:
        first = sets[0]
        if not isinstance(first, StreamSource):
            raise DataError("the first of mixed sets must be a stream")
        self._first = first
        self._pictures = ConcatDataset(
            [_Unlabelled(s._pictures(False, 0) if isinstance(s, StreamSource) else s.pixels) for s in sets]
        )
        self._order = torch.randperm(len(self._pictures), generator=torch.Generator().manual_seed(seed))
        self.positions = list(self._order.argsort().split([len(s) for s in sets]))

    @property
    def num_examples(self) -> int:
        """How many inputs there are, of all sets."""
        return len(self._order)

    def ordered(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every input once, in the mixed order; each label is -1."""
        return self._first._loaded(self._pictures, [part.tolist() for part in self._order.split(batch_size)], 0)


class _Unlabelled(TorchDataset):
    """Index -> (uint8 image, -1)."""

    def __init__(self, pictures: _Pictures | Tensor) -> None:
        self._of = pictures

    def __len__(self) -> int:
        return len(self._of)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        found = self._of[index]
        return (found if isinstance(found, Tensor) else found[0]), UNLABELLED


def _transform(spec: ImageSpec, training: bool, preprocessing: Preprocessing) -> Transform:
    from timm.data.transforms_factory import create_transform

    plain: dict[str, Any] = {"use_prefetcher": True, "color_jitter": None, "re_prob": 0.0}  # no jitter, no erasing
    if not training:
        plain |= {"interpolation": preprocessing.interpolation, "crop_pct": preprocessing.crop}
    transform: Any = create_transform(spec.shape, is_training=training, mean=spec.mean, std=spec.std, **plain)
    return transform


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Random numbers of Python and torch from ``seed`` within, as before it after: transforms take no generator."""
    before, before_torch = random.getstate(), torch.get_rng_state()
    random.seed(seed)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
        torch.set_rng_state(before_torch)


def _encoded_lengths(table: Dataset) -> np.ndarray:
    """Bytes of every encoded image, [N] int64, without reading them."""
    from pyarrow import compute

    lengths = []
    for batch in table.with_format("arrow").iter(10_000):
        cells: Any = batch
        column = cells["image"].combine_chunks()
        sizes = compute.call_function("binary_length", [column.field("bytes")]).to_pylist()
        paths = column.field("path").to_pylist()
        for size, path in zip(sizes, paths, strict=True):
            if size is None and path is None:
                raise DataError(f"image {len(lengths)}: there is no picture, the cell is empty")
            lengths.append(Path(path).stat().st_size if size is None else size)
    return np.array(lengths, dtype=np.int64)
