"""From a task to its sealed data, and from these to batches: what fits and what is asked never meet in one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from baselines.names import UserError
from baselines.recipe import Recipe
from baselines.seeds import derive_seed
from benchmarks import data, streaming
from benchmarks.data import sealed
from benchmarks.data.encoding import fitted_fills
from benchmarks.data.examples import Affine, Examples
from benchmarks.data.images import Images
from benchmarks.data.spec import DataError, DataSpec, ImageSpec, TableSpec, read_spec
from benchmarks.data.tables import Rows
from benchmarks.measure.jobs import Setting
from benchmarks.measure.process import Channel
from benchmarks.models.frozen import FrozenTrunk, normalization, trunk_of
from benchmarks.prepare import Manifest, read
from benchmarks.problem import Parts
from benchmarks.suite import Task, TaskShift
from leaderboard.record import SetInfo
from leaderboard.store import write_once

Load = Callable[[], Examples]


@dataclass(frozen=True)
class Inputs:
    """Every evaluation input, mixed over all sets.

    Attributes:
        num_examples: how many there are.
        example: [1, ...]: an input of zeros.
        batches: (batch size) -> standardized inputs, [batch, ...] on the device.
    """

    num_examples: int
    example: Tensor
    batches: Callable[[int], Iterator[Tensor]]


def seal_task(channel: Channel, job: tuple[Task, Path]) -> None:
    """Seal a task's data in a folder, or send why they cannot be had."""
    torch.set_num_threads(1)
    try:
        _seal(*job)
    except (DataError, UserError) as error:
        channel.send("refused", reason=str(error))
    else:
        channel.send("sealed")


def _seal(task: Task, folder: Path) -> None:
    spec = read_spec(task.data.name)
    if isinstance(spec, ImageSpec) and spec.stream:
        manifest = streaming.seal(task, folder, foreign(task))
    else:
        manifest = _sealed(task, folder)
    write_once(folder / "manifest.json", manifest.model_dump_json(indent=1).encode(), replace=True)


def _sealed(task: Task, folder: Path) -> Manifest:
    spec = read_spec(task.data.name)
    fitting, test = _cut(task)
    fills = fitted_fills(fitting["train"].inputs.numpy(), spec) if isinstance(spec, TableSpec) else {}
    encode = partial(_encoded, spec, fills)
    fitting, test = {name: encode(one) for name, one in fitting.items()}, encode(test)
    evaluation: dict[str, Load] = {"validation": lambda: fitting["validation"], "test": lambda: test}
    others = foreign(task)
    evaluation |= {name: lambda load=load: encode(load()) for name, load in others.items()} | _shifted(task, test)
    trunk = trunk_of(task, spec)
    affine = _affine(task, spec, fitting["train"], trunk)
    if trunk is not None:
        fitting = {name: _seen(one, trunk) for name, one in fitting.items()}
        evaluation = {name: partial(_seen_later, load, trunk) for name, load in evaluation.items()}
        evaluation["validation"] = lambda: fitting["validation"]
    # The order repeats everywhere, and only who has the test labels can know it.
    seed = derive_seed("mixed", task.name, str(test.labels_sha256))
    sets = sealed.seal(folder, fitting, evaluation.items(), affine, seed)
    return Manifest(
        sets={name: SetInfo(n=one.n, inputs=one.inputs, labels=one.labels) for name, one in sets.items()},
        spec=spec.sha256,
        classes=spec.num_classes,
        target_mean=affine.target_mean or 0.0,
        target_std=affine.target_std or 1.0,
        fills=fills,
    )


def _affine(task: Task, spec: DataSpec, train: Examples, trunk: FrozenTrunk | None) -> Affine:
    """How what models see is standardized: features not at all, so that a head on them is the head of the network."""
    if trunk is not None:
        size = trunk(torch.zeros(1, *spec.shape, dtype=torch.uint8)).shape[1]
        return Affine(torch.ones(size), torch.zeros(size))
    if task.model.pretrained is not None and isinstance(spec, ImageSpec):
        return normalization(task.model, spec)
    return data.standardization(train, spec)


def _seen_later(load: Load, trunk: FrozenTrunk) -> Examples:
    return _seen(load(), trunk)


def _seen(examples: Examples, trunk: FrozenTrunk) -> Examples:
    return trunk.features(examples) if isinstance(examples, Images) else examples


def _encoded(spec: DataSpec, fills: Mapping[str, float], examples: Examples) -> Examples:
    """What a task's models see of examples."""
    if isinstance(spec, TableSpec) and isinstance(examples, Rows) and examples.shape == spec.shape:
        return examples.encoded(spec, fills)
    return examples


def _cut(task: Task) -> tuple[dict[str, Examples], Examples]:
    """Training and validation set, and test set."""
    sizes, seed = {"train": task.data.train, "validation": task.data.validation}, task.data.split_seed
    stratified = task.data.stratified
    if task.data.test is not None:
        parts = data.split(data.load(task.data.name), seed, {**sizes, "test": task.data.test}, stratified)
        return {name: parts[name] for name in sizes}, parts["test"]
    return data.split(data.load(task.data.name, "train"), seed, sizes, stratified), data.load(task.data.name, "test")


def foreign(task: Task) -> dict[str, Load]:
    """Out-of-distribution sets in the shape of the task's inputs, without labels."""
    own, ood = read_spec(task.data.name), task.ood
    groups = {"near": ood.near, "far": ood.far} if ood else {}
    return {
        f"ood_{group}/{read_spec(name).name}": partial(_like, name, own)
        for group, names in groups.items()
        for name in names
    }


def _like(name: str, own: DataSpec) -> Examples:
    if isinstance(own, ImageSpec):
        return data.load_like(name, own.shape)
    other = read_spec(name)
    if isinstance(own, TableSpec) and isinstance(other, TableSpec):
        for key in ("features", "categories", "missing"):
            if getattr(own, key) != getattr(other, key):
                raise DataError(
                    f"{other.name}: its {key} differ from those of {own.name}: they must be the same, in order"
                )
    return replace(data.load(name, other.evaluation), labels=None)


def _shifted(task: Task, test: Examples) -> dict[str, Load]:
    shift = task.shift
    if shift is None:
        return {}
    spec = read_spec(task.data.name)
    published = spec.published_corruptions if shift.published and isinstance(spec, ImageSpec) else None

    def load(corruption: str, severity: int, shift: TaskShift = shift) -> Examples:
        if published is not None:
            images = data.load(published, f"{corruption}/{severity}")
            return images.take(torch.arange(min(shift.examples or len(images), len(images))))
        if not isinstance(test, Images):
            raise UserError(f"task {task.name}: [shift] corrupts images; {task.data.name} holds none")
        chosen = test.take(torch.arange(min(shift.examples or len(test), len(test))))
        return data.load_corrupted(chosen, corruption, severity)

    return {
        f"shift/{corruption}/{severity}": partial(load, corruption, severity)
        for corruption in shift.corruptions
        for severity in shift.severities
    }


def open_fitting(setting: Setting, device: torch.device, recipe: Recipe) -> Parts:
    """Training and validation examples as batches on ``device``."""
    if _order(setting.data) is not None:
        train, validation = streaming.fitting(setting.task, device, recipe.augment)
        shape = read_spec(setting.task.data.name).shape
        return Parts(train, validation, torch.zeros(1, *shape, device=device))
    train, validation, affine = sealed.read_fit(setting.data)
    return Parts(
        data.TensorSource(train.inputs, train.labels, affine, device, recipe.augment),
        data.TensorSource(validation.inputs, validation.labels, affine, device),
        example_of(train.inputs, device),
    )


def open_inputs(setting: Setting, device: torch.device) -> Inputs:
    """Every evaluation input as batches on ``device``."""
    order = _order(setting.data)
    if order is not None:
        source = streaming.mixed(setting.task, device, order, foreign(setting.task))
        shape = read_spec(setting.task.data.name).shape
        example = torch.zeros(1, *shape, device=device)
        return Inputs(source.num_examples, example, lambda size: (x for x, _ in source.ordered(size)))
    inputs, affine = sealed.read_inputs(setting.data)
    stored = data.TensorSource(inputs, None, Affine(affine.scale, affine.shift), device)
    return Inputs(len(inputs), example_of(inputs, device), lambda size: (x for x, _ in stored.ordered(size)))


def _order(folder: Path) -> int | None:
    found = read(folder)
    if found is None:
        raise sealed.Damaged(f"{folder} holds no sealed data: start the suite again")
    return found.manifest.order


def example_of(inputs: Tensor, device: torch.device) -> Tensor:
    """[1, ...]: an input of zeros, standardized numbers as networks see them."""
    return torch.zeros(1, *inputs.shape[1:], device=device)
