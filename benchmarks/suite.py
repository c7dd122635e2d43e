"""What is to be run: tasks, suites, and the runs that a suite means. Nothing here imports torch."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from baselines.names import UserError, unknown
from baselines.recipe import Recipe
from baselines.spec import MethodSpec, distinct, parse
from benchmarks.data.spec import CORRUPTIONS, SEVERITIES, read_spec
from leaderboard.record import RULES

HERE = Path(__file__).parent
Count = Annotated[int, Field(gt=0)]
T = TypeVar("T", bound="_Config")


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TaskData(_Config):
    """Data set and sizes of its parts, cut by one permutation that ``split_seed`` fixes.

    Without ``test``, the data set's own test split is used whole.
    """

    name: str
    train: Count
    validation: Count
    test: Count | None = None
    split_seed: int = 0


class TaskOOD(_Config):
    """Out-of-distribution data sets, as OpenOOD groups them."""

    near: tuple[str, ...] = ()
    far: tuple[str, ...] = ()


class TaskShift(_Config):
    """Corrupted test images.

    Attributes:
        corruptions: which of `benchmarks.data.spec.CORRUPTIONS`.
        severities: from 1 to 5.
        examples: how many test images, from the first; None: all.
        published: take the published corrupted set where the data set names one; else corrupt the test images here.
    """

    corruptions: tuple[str, ...] = CORRUPTIONS
    severities: tuple[int, ...] = SEVERITIES
    examples: Count | None = None
    published: bool = False

    @model_validator(mode="after")
    def _known(self) -> TaskShift:
        for kind, chosen, known in (
            ("corruption", self.corruptions, CORRUPTIONS),
            ("severity", map(str, self.severities), map(str, SEVERITIES)),
        ):
            for name in set(chosen) - set(known := tuple(known)):
                raise unknown(kind, name, known)
        return self


class TaskModel(_Config):
    """A model of `timm.create_model`, and its arguments.

    ``arguments`` may ask for weights: ``pretrained = true`` takes them from the hub, with
    ``pretrained_cfg_overlay = { file = "..." }`` from a file. ``image_size`` enlarges images before the first layer.
    """

    name: str
    image_size: Count | None = None
    arguments: dict[str, Any] = {}


class Task(_Config):
    """Data set, model, recipe and evaluation sets. ``version`` grows when any of them changes.

    A task that names no ``ood`` sets has those of its data set; without ``shift`` nothing is corrupted.
    """

    name: str
    version: Count
    description: str
    data: TaskData
    ood: TaskOOD | None = None
    shift: TaskShift | None = None
    model: TaskModel
    recipe: Recipe


class Suite(_Config):
    """Which tasks, methods and seeds: three lists."""

    name: str
    description: str
    tasks: tuple[str, ...]
    methods: tuple[str, ...]
    seeds: tuple[Annotated[int, Field(ge=0)], ...]

    @field_validator("tasks", "methods", "seeds")
    @classmethod
    def _some(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if not value:
            raise ValueError("must not be empty")
        if len(set(value)) < len(value):
            raise ValueError("names something twice")
        return value


class Run(_Config):
    """The frozen identity of one experiment."""

    task: Task
    method: MethodSpec
    seed: int
    device: str = "cpu"
    rules: int = RULES

    @property
    def run_id(self) -> str:
        """Short hash of all that decides the result: equal runs have equal ids on every machine."""
        identity = self.model_dump(mode="json", exclude={"method": {"parameters"}, "task": {"description"}})
        identity["device"] = self.device.partition(":")[0]
        text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        """What a person calls it."""
        return f"{self.task.name} · {self.method.label} · seed {self.seed}"


def load_task(name: str) -> Task:
    """The task called ``name``, or the one in a TOML file of that path, its OOD sets filled in."""
    task = _load("task", name, Task)
    if task.ood is not None:
        return task
    data = read_spec(task.data.name)
    return task.model_copy(update={"ood": TaskOOD(near=data.near, far=data.far)})


def load_suite(name: str) -> Suite:
    """The suite called ``name``, or in a TOML file of that path; a task means the methods of ``quick`` on it."""
    if not _is_task(name):
        return _load("suite", name, Suite)
    task = load_task(name)
    changes = {"name": task.name, "description": task.description, "tasks": (name,)}
    return _load("suite", "quick", Suite).model_copy(update=changes)


def _is_task(name: str) -> bool:
    if not name.endswith(".toml"):
        return name in names("task")
    try:
        return "recipe" in tomllib.loads(Path(name).read_text())
    except (OSError, tomllib.TOMLDecodeError):
        return False


def names(kind: str) -> list[str]:
    """Names of all that come with the package; ``kind`` is ``task`` or ``suite``."""
    return sorted(path.stem for path in (HERE / f"{kind}s").glob("*.toml"))


def plan(suite: Suite, device: str = "cpu") -> list[Run]:
    """Every run that ``suite`` means, in the order in which they are best made: what others build on comes first."""
    tasks = [load_task(name) for name in suite.tasks]
    specs = distinct(parse(text) for text in suite.methods)
    specs.sort(key=lambda spec: spec.name != "map")
    return [
        Run(task=task, method=spec, seed=seed, device=device)
        for task in tasks
        for seed in suite.seeds
        for spec in specs
    ]


def _load(kind: str, name: str, cls: type[T]) -> T:
    path = Path(name) if name.endswith(".toml") else HERE / f"{kind}s" / f"{name}.toml"
    if not path.is_file():
        raise UserError(f"no such file: {path}") if name.endswith(".toml") else unknown(kind, name, names(kind))
    try:
        return cls.model_validate(tomllib.loads(path.read_text()))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not valid TOML: {error}") from None
    except ValidationError as error:
        raise _config_error(path, cls, error) from None


def _config_error(path: Path, cls: type[BaseModel], error: ValidationError) -> UserError:
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")  # a misspelt key also makes one missing
    *parents, key = [str(part) for part in first["loc"]] or ["file"]
    where = f"{path}: [{'.'.join(parents)}]" if parents else f"{path}"
    if first["type"] == "extra_forbidden":
        for parent in parents:
            cls = cls.model_fields[parent].annotation  # type: ignore[assignment]
        return UserError(f"{where}: {unknown('key', key, cls.model_fields)}")
    return UserError(f"{where}: {key}: {first['msg'].removeprefix('Value error, ').lower()}")
