"""From a task to what a method is given, and to what it is judged on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from baselines.protocol import Method, Predictor, Problem
from baselines.seeds import Seeds
from benchmarks import data, models
from benchmarks.data.spec import read_spec
from benchmarks.suite import Run, Task, TaskShift


@dataclass(frozen=True)
class TaskData:
    """The images of a task: ``fitting`` for methods, ``evaluation`` for the harness alone.

    Attributes:
        fitting: ``train`` and ``validation``.
        evaluation: set name (`leaderboard.scoring`) -> a function that loads its images: all at once may be too many.
        mean, std: normalization per channel, from the data set's spec.
    """

    fitting: dict[str, data.Images]
    evaluation: dict[str, Callable[[], data.Images]]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def source(self, images: data.Images, device: torch.device, augment: str = "none") -> data.TensorSource:
        """Batches of ``images``, normalized as the training images are."""
        return data.TensorSource(images, self.mean, self.std, device, augment)  # pyright: ignore[reportArgumentType]


def load_task_data(task: Task) -> TaskData:
    """Load and cut the data set of ``task``; say how to load its other sets."""
    sizes = {"train": task.data.train, "validation": task.data.validation}
    if task.data.test is not None:
        parts = data.split(data.load(task.data.name), task.data.split_seed, {**sizes, "test": task.data.test})
        test = parts["test"]
    else:
        parts = data.split(data.load(task.data.name, "train"), task.data.split_seed, sizes)
        test = data.load(task.data.name, "test")
    fitting = {name: parts[name] for name in sizes}
    evaluation: dict[str, Callable[[], data.Images]] = {
        "validation": lambda: parts["validation"],
        "test": lambda: test,
    }
    for group, names in (("near", task.ood.near), ("far", task.ood.far)) if task.ood else ():
        for name in names:
            evaluation[f"ood_{group}/{name}"] = partial(data.load_like, name, test.shape)
    if task.shift is not None:
        evaluation |= _shifted(task, task.shift, test)
    spec = read_spec(task.data.name)
    return TaskData(fitting, evaluation, spec.mean, spec.std)


def _shifted(task: Task, shift: TaskShift, test: data.Images) -> dict[str, Callable[[], data.Images]]:
    published = read_spec(task.data.name).published_corruptions
    count = min(shift.examples or len(test), len(test))

    def load(corruption: str, severity: int) -> data.Images:
        if published is None:
            return data.load_corrupted(test.take(torch.arange(count)), corruption, severity)
        return data.load(published, f"{corruption}/{severity}").take(torch.arange(count))

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
    device = torch.device(run.device)
    train, validation = task_data.fitting["train"], task_data.fitting["validation"]
    recipe = run.task.recipe.model_copy(update=recipe_changes(method))
    model, classes, channels = run.task.model, len(train.classes), train.shape[0]

    def make_model(seed: int) -> nn.Module:
        return models.create(model.name, model.arguments, classes, channels, seed).to(device)

    return Problem(
        num_classes=classes,
        input_shape=train.shape,
        train=task_data.source(train, device, recipe.augment),
        validation=task_data.source(validation, device),
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
