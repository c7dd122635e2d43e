"""The runs that a suite means, each with its identity. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from baselines.spec import MethodSpec, distinct, parse
from benchmarks.data.spec import read_spec
from benchmarks.prepare import Prepared
from benchmarks.suite import Suite, Task
from benchmarks.weights import identified
from leaderboard.identity import DataIdentity, Identity, MethodIdentity, TaskIdentity


@dataclass(frozen=True)
class Run:
    """One experiment: a method on a task with a seed."""

    task: Task
    data: Prepared
    method: MethodSpec
    seed: int
    device: str = "cpu"

    @cached_property
    def identity(self) -> Identity:
        """All that decides its numbers."""
        return Identity(
            task=task_identity(self.task, self.data),
            method=method_identity(self.method),
            seed=self.seed,
            device="cuda" if self.device.startswith("cuda") else "cpu",
        )

    @cached_property
    def run_id(self) -> str:
        """Equal runs have equal ids on every machine."""
        return self.identity.run_id

    @property
    def title(self) -> str:
        """What a person calls it."""
        return f"{self.task.name} · {self.method.label} · seed {self.seed}"


def runs_of(suite: Suite, tasks: Mapping[str, tuple[Task, Prepared]], device: str) -> list[Run]:
    """Every run that ``suite`` means, in the order in which they are best made: what others build on comes first."""
    specs = distinct(parse(text) for text in suite.methods)  # a variant and its spec are one method
    specs.sort(key=lambda spec: spec.name != "map")
    return [
        Run(*tasks[name], method=spec, seed=seed, device=device)
        for name in suite.tasks
        for seed in suite.seeds
        for spec in specs
    ]


def task_identity(task: Task, data: Prepared) -> TaskIdentity:
    """The task as a record names it."""
    likelihood = data.likelihood
    return TaskIdentity(
        name=task.name,
        version=task.version,
        likelihood=likelihood.kind,
        outputs=likelihood.outputs,
        data=DataIdentity(name=_name(task.data.name), spec=data.manifest.spec, content=data.content),
        split=task.data.model_dump(mode="json", exclude={"name"}),
        model=identified(task.model.model_dump(mode="json")),
        recipe=task.recipe.model_dump(mode="json"),
        evaluation=_evaluation(task),
    )


def method_identity(spec: MethodSpec) -> MethodIdentity:
    """The method as a record names it."""
    return MethodIdentity(
        name=spec.name,
        package=spec.package,
        package_version=spec.package_version,
        source=spec.source_sha256,
        resolved=spec.resolved,
    )


def _evaluation(task: Task) -> dict[str, Any]:
    groups = task.ood.model_dump(mode="json") if task.ood else {}
    ood = {group: [_name(name) for name in names] for group, names in groups.items()}
    return {"ood": ood, "shift": task.shift and task.shift.model_dump(mode="json")}


def _name(data: str) -> str:
    """A data set's name, without where its file lies."""
    return read_spec(data).name if data.endswith(".toml") else Path(data).name
