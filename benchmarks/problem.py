"""From a task to what a method is given, and to what it is judged on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from baselines.names import UserError
from baselines.protocol import BatchSource, Method, Predictor, Problem
from baselines.seeds import Seeds
from benchmarks import data, models
from benchmarks.data.spec import DataSpec, read_spec
from benchmarks.environment import cores
from benchmarks.suite import Run, Task, TaskShift

Stored = data.Images | data.StreamSource
"""A set that lies in memory, or one that is too large for it and is read as it is used."""


@dataclass(frozen=True)
class TaskData:
    """The images of a task: ``fitting`` for methods, ``evaluation`` for the harness alone.

    Attributes:
        spec: the data set's spec; it has classes, shape and normalization.
        fitting: ``train`` and ``validation``.
        evaluation: set name (`leaderboard.scoring`) -> a function that loads its images: all at once may be too many.
    """

    spec: DataSpec
    fitting: dict[str, Stored]
    evaluation: dict[str, Callable[[], Stored]]

    def source(self, images: Stored, device: torch.device, augment: str = "none") -> BatchSource:
        """Batches of ``images``, normalized as the training images are."""
        if isinstance(images, data.StreamSource):
            return images
        affine = data.standardization(self.fitting["train"], self.spec)  # pyright: ignore
        return data.TensorSource(images.inputs, images.labels, affine, device, augment)  # pyright: ignore


def load_task_data(task: Task, device: str = "cpu") -> TaskData:
    """Load and cut the data set of ``task``; say how to load its other sets. Streamed batches go to ``device``."""
    spec = read_spec(task.data.name)
    sizes = {"train": task.data.train, "validation": task.data.validation}
    if spec.stream:
        parts, test = _streamed(task, sizes, device)
    elif task.data.test is not None:
        parts = data.split(data.load(task.data.name), task.data.split_seed, {**sizes, "test": task.data.test})
        test = parts["test"]
    else:
        parts = data.split(data.load(task.data.name, "train"), task.data.split_seed, sizes)
        test = data.load(task.data.name, "test")
    evaluation: dict[str, Callable[[], Stored]] = {"validation": lambda: parts["validation"], "test": lambda: test}
    for group, names in (("near", task.ood.near), ("far", task.ood.far)) if task.ood else ():
        for name in names:
            evaluation[f"ood_{group}/{name}"] = partial(data.load_like, name, spec.shape)
    if task.shift is not None:
        evaluation |= _shifted(task, task.shift, test)
    return TaskData(spec, {name: parts[name] for name in sizes}, evaluation)


def _streamed(task: Task, sizes: dict[str, int], device: str) -> tuple[dict[str, Stored], Stored]:
    name, augment = task.data.name, task.recipe.augment
    whole = data.StreamSource(name, "train", device, augment, workers=cores())
    places = data.cut(whole.num_examples, task.data.split_seed, sizes)
    parts: dict[str, Stored] = {part: whole.part(index) for part, index in places.items()}
    return parts, data.StreamSource(name, "test", device, workers=cores())


def _shifted(task: Task, shift: TaskShift, test: Stored) -> dict[str, Callable[[], Stored]]:
    published = read_spec(task.data.name).published_corruptions if shift.published else None

    def load(corruption: str, severity: int) -> data.Images:
        if published is not None:
            images = data.load(published, f"{corruption}/{severity}")
            return images.take(torch.arange(min(shift.examples or len(images), len(images))))
        if isinstance(test, data.StreamSource):
            raise UserError(f"task {task.name}: {task.data.name} is streamed and cannot be corrupted here")
        chosen = test.take(torch.arange(min(shift.examples or len(test), len(test))))
        return data.load_corrupted(chosen, corruption, severity)

    return {
        f"shift/{corruption}/{severity}": partial(load, corruption, severity)
        for corruption in shift.corruptions
        for severity in shift.severities
    }


def make_problem(
    run: Run,
    task_data: TaskData,
    method: Method,
    reuse: Callable[[Method, Problem], Predictor],
    progress: Callable[[int, int], None],
) -> Problem:
    """What ``method`` is given in ``run``: no test image can be reached from it."""
    device, spec = torch.device(run.device), task_data.spec
    recipe = run.task.recipe.model_copy(update=recipe_changes(method))
    model = run.task.model

    def make_model(seed: int) -> nn.Module:
        net = models.create(model, spec.num_classes, spec.shape[0], seed)
        return net.to(device).to(memory_format=torch.channels_last)  # what convolutions and pooling are fastest in

    return Problem(
        num_classes=spec.num_classes,
        input_shape=spec.shape,
        train=task_data.source(task_data.fitting["train"], device, recipe.augment),
        validation=task_data.source(task_data.fitting["validation"], device),
        recipe=recipe,
        device=device,
        seeds=Seeds.of(run.task.name, run.seed, run.method.label),
        make_model=make_model,
        reuse=reuse,
        progress=progress,
    )


def recipe_changes(method: Method) -> dict[str, object]:
    """What ``method`` declares to change in the task's recipe."""
    return dict(getattr(method, "recipe_changes", {}))


def warm_up(problem: Problem) -> None:
    """One training step and one prediction, so that no method pays for the first touch of libraries and device."""
    model = problem.new_model()
    x = torch.zeros(problem.recipe.batch_size, *problem.input_shape, device=problem.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    model.train()
    F.cross_entropy(model(x), torch.zeros(len(x), dtype=torch.long, device=problem.device)).backward()
    optimizer.step()
    with torch.inference_mode():
        model.eval()(x)
