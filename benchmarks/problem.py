"""From a task to what a method is given, and to what it is judged on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from baselines.protocol import Method, Predictor, Problem
from baselines.seeds import Seeds
from benchmarks import data, models
from benchmarks.suite import Run, Task


@dataclass(frozen=True)
class TaskData:
    """The images of a task: ``fitting`` for methods, ``evaluation`` for the harness alone.

    Attributes:
        fitting: ``train`` and ``validation``.
        evaluation: set name (`leaderboard.scoring`) -> images.
        mean, std: normalization per channel, from the training images.
    """

    fitting: dict[str, data.Images]
    evaluation: dict[str, data.Images]
    mean: list[float]
    std: list[float]

    @property
    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of every set."""
        sets = {"train": self.fitting["train"], **self.evaluation}
        return {name: images.fingerprint for name, images in sets.items()}

    def source(self, images: data.Images, device: torch.device, augment: str = "none") -> data.TensorSource:
        """Batches of ``images``, normalized as the training images are."""
        return data.TensorSource(images, self.mean, self.std, device, augment)  # type: ignore[arg-type]


def load_task_data(task: Task) -> TaskData:
    """Load, cut and reshape every set of ``task``."""
    sizes = {"train": task.data.train, "validation": task.data.validation}
    if task.data.test is not None:
        parts = data.split(data.load(task.data.name), task.data.split_seed, {**sizes, "test": task.data.test})
        test = parts["test"]
    else:
        parts = data.split(data.load(task.data.name, "train"), task.data.split_seed, sizes)
        test = data.load(task.data.name, "test")
    train = parts["train"]
    evaluation = {"validation": parts["validation"], "test": test}
    for group in ("near", "far"):
        for name in getattr(task.ood, group):
            evaluation[f"ood_{group}/{name}"] = data.load_like(name, train.shape)
    scaled = train.pixels.double() / 255
    mean, std = scaled.mean((0, 2, 3)).tolist(), scaled.std((0, 2, 3)).tolist()
    return TaskData({"train": train, "validation": parts["validation"]}, evaluation, mean, std)


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
