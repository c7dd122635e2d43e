"""Tasks whose data are too large to seal: read from where they lie, in the process that needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from baselines.names import UserError
from baselines.seeds import derive_seed
from benchmarks import data
from benchmarks.data import sealed
from benchmarks.data.examples import Examples
from benchmarks.data.hashes import array_sha256
from benchmarks.data.images import Images, image_affine
from benchmarks.data.spec import ImageSpec, read_spec
from benchmarks.data.stream import MixedStream, Preprocessing, StreamSource, preprocessing_of
from benchmarks.data.truth import TRUTH
from benchmarks.machine import cores
from benchmarks.prepare import Manifest
from benchmarks.suite import Task
from leaderboard.record import SetInfo

Foreign = Mapping[str, Callable[[], Examples]]


def seal(task: Task, folder: Path, foreign: Foreign) -> Manifest:
    """Write which input of the mixed order belongs to which set, and the labels; the inputs stay where they are."""
    spec = read_spec(task.data.name)
    assert isinstance(spec, ImageSpec)
    if task.shift is not None:
        raise UserError(f"task {task.name}: {task.data.name} is streamed and cannot be corrupted here")
    device = torch.device("cpu")
    train, validation = fitting(task, device, "none")
    test = _stream(task, "test", device, "none")
    streams = {"train": train, "validation": validation, "test": test}
    infos = {name: SetInfo(n=len(one), inputs=one.fingerprint, labels=_hash(one)) for name, one in streams.items()}
    for name, load in foreign.items():
        images = load()
        infos[name] = SetInfo(n=len(images), inputs=images.inputs_sha256)
    # As unknown to who predicts as it can be where the process reads the data itself.
    order = derive_seed("mixed", task.name, str(infos["test"].labels)) >> 11
    sizes = {name: one.n for name, one in infos.items() if name != "train"}
    mixed = torch.randperm(sum(sizes.values()), generator=torch.Generator().manual_seed(order)).numpy()
    labels = {name: streams[name].labels.numpy() for name in ("validation", "test")}
    facts = {name: sealed.SetInfo(one.n, one.inputs, one.labels) for name, one in infos.items()}
    folder.mkdir(parents=True, exist_ok=True)
    sealed.write_truth(folder / TRUTH, mixed, sizes, labels, facts, image_affine(spec), "")
    return Manifest(sets=infos, spec=spec.sha256, classes=spec.num_classes, order=order)


def fitting(task: Task, device: torch.device, augment: str) -> tuple[StreamSource, StreamSource]:
    """Training and validation examples."""
    sizes = {"train": task.data.train, "validation": task.data.validation}
    whole = _stream(task, "train", device, augment)
    places = data.cut(whole.num_examples, task.data.split_seed, sizes)
    return whole.part(places["train"]), whole.part(places["validation"])


def mixed(task: Task, device: torch.device, order: int, foreign: Foreign) -> MixedStream:
    """The inputs of all evaluation sets, in the order that `seal` has written down."""
    _, validation = fitting(task, device, "none")
    others = [load() for load in foreign.values()]
    images = [one for one in others if isinstance(one, Images)]
    return MixedStream([validation, _stream(task, "test", device, "none"), *images], order)


def _stream(task: Task, split: str, device: torch.device, augment: str) -> StreamSource:
    how = preprocessing_of(task.model.name) if task.model.pretrained else Preprocessing()
    return StreamSource(task.data.name, split, device, augment, cores(), how)  # pyright: ignore[reportArgumentType]


def _hash(source: StreamSource) -> str:
    return array_sha256(source.labels.numpy())
