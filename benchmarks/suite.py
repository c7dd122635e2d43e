"""What is to be run: tasks and suites, read from TOML files. Nothing here imports torch."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from baselines.names import UserError, unknown, unknown_among
from baselines.recipe import Recipe
from benchmarks.data.spec import CORRUPTIONS, SEVERITIES, read_spec
from leaderboard.identity import Name

HERE = Path(__file__).parent
Count = Annotated[int, Field(gt=0)]
T = TypeVar("T", bound="_Config")
WEIGHT_FILES = (".safetensors", ".pth", ".pt")
"""What files of weights are called."""
BAD_TOML = (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError)
"""What a file that is no TOML ends in: its grammar, its encoding, brackets in brackets."""


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TaskData(_Config):
    """Data set and sizes of its parts, cut by one permutation that ``split_seed`` fixes.

    Without ``test``, the data set's own test split is used whole. ``stratified``: every part has the classes in the
    proportions of the whole.
    """

    name: str
    train: Count
    validation: Count
    test: Count | None = None
    split_seed: int = 0
    stratified: bool = False

    @model_serializer(mode="wrap")
    def _used(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As of `TaskModel`."""
        return {key: value for key, value in handler(self).items() if key != "stratified" or value}


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

    Attributes:
        image_size: pictures are resized to it before the first layer.
        pretrained: where weights come from: ``hub``, a package (`benchmarks.pretrained.PACKAGES`), or the path of a
            .safetensors or .pth file. None: the seed decides all of them.
        frozen: the pretrained trunk stays as it is: what it makes of each picture is computed once, when the task's
            data are sealed, and a linear head on that is all that methods see.
        crop: part of each side that the cut of the centre keeps, where ``image_size`` is given; None: what the weights
            are evaluated with, 1 without any.
    """

    name: str
    image_size: Count | None = None
    arguments: dict[str, Any] = {}
    pretrained: str | None = None
    frozen: bool = False
    crop: Annotated[float, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> TaskModel:
        if any(name.startswith(("pretrained", "checkpoint")) for name in self.arguments):
            raise ValueError('weights are no argument: say pretrained = "hub", a package or a file in [model]')
        if self.frozen and self.pretrained is None:
            raise ValueError("a frozen trunk needs weights: say where they come from, as in pretrained = 'hub'")
        if self.crop is not None and self.image_size is None:
            raise ValueError("crop cuts out of pictures that image_size resizes: give image_size too")
        return self

    @model_serializer(mode="wrap")
    def _used(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What came later stands in identities only where it is used, so that those of older runs stay."""
        later = {"pretrained": None, "frozen": False, "crop": None}
        return {key: value for key, value in handler(self).items() if key not in later or value != later[key]}


def is_file(pretrained: str | None) -> bool:
    """Whether weights come from a file, by its name."""
    return pretrained is not None and pretrained.endswith(WEIGHT_FILES)


class Task(_Config):
    """Data set, model, recipe and evaluation sets. ``version`` grows when any of them changes.

    A task that names no ``ood`` sets has those of its data set; without ``shift`` nothing is corrupted.
    """

    name: Name
    version: Count
    description: str
    data: TaskData
    ood: TaskOOD | None = None
    shift: TaskShift | None = None
    model: TaskModel
    recipe: Recipe

    @model_validator(mode="after")
    def _consistent(self) -> Task:
        if self.model.pretrained and self.recipe.parametrization != "standard":
            raise ValueError("maximal_update draws every weight anew: leave pretrained out of [model]")
        if self.model.frozen and (self.recipe.augment != "none" or self.recipe.trunk_rate != 1):
            raise ValueError("a frozen trunk sees each picture once: leave augment and trunk_rate out of [recipe]")
        return self


class Suite(_Config):
    """Which tasks, methods and seeds: three lists."""

    name: Name
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


def load_task(name: str) -> Task:
    """The task called ``name``, or the one in a TOML file of that path, its OOD sets filled in."""
    task = _load("task", name, Task)
    if name.endswith(".toml"):
        task = _anchored(task, Path(name).parent)
    if task.ood is not None:
        return task
    data = read_spec(task.data.name)
    return task.model_copy(update={"ood": TaskOOD(near=data.near, far=data.far)})


def _anchored(task: Task, folder: Path) -> Task:
    """``task`` with the paths of its data sets and weights counted from ``folder``, where its file lies."""

    def from_there(name: str) -> str:
        return str(folder / name) if name.endswith(".toml") else name

    data = task.data.model_copy(update={"name": from_there(task.data.name)})
    model = task.model
    if is_file(model.pretrained):
        model = model.model_copy(update={"pretrained": str(folder / str(model.pretrained))})
    task = task.model_copy(update={"data": data, "model": model})
    if task.ood is None:
        return task
    groups = {group: tuple(map(from_there, getattr(task.ood, group))) for group in ("near", "far")}
    return task.model_copy(update={"ood": TaskOOD(**groups)})


def load_suite(name: str) -> Suite:
    """The suite called ``name``, or in a TOML file of that path; a task means the methods of ``quick`` on it."""
    known = {"suite": names("suite"), "task": names("task")}
    if not name.endswith(".toml") and not any(name in group for group in known.values()):
        raise unknown_among(name, known)
    if not _is_task(name):
        suite, folder = _load("suite", name, Suite), Path(name).parent
        there = tuple(str(folder / task) if task.endswith(".toml") else task for task in suite.tasks)
        folder = folder if name.endswith(".toml") else HERE / "suites"
        methods = tuple(_from_there(text, folder) for text in suite.methods)
        return suite.model_copy(update={"tasks": there, "methods": methods})
    task = load_task(name)
    changes = {"name": task.name, "description": task.description, "tasks": (name,)}
    return _load("suite", "quick", Suite).model_copy(update=changes)


def _from_there(method: str, folder: Path) -> str:
    """A method's spec; the path of one from a file is counted from ``folder``, where the suite lies."""
    path, colon, rest = method.partition(".py:")
    return f"{(folder / path).resolve()}{colon}{rest}" if colon and not Path(path).is_absolute() else method


def _is_task(name: str) -> bool:
    if not name.endswith(".toml"):
        return name in names("task")
    try:
        return "recipe" in tomllib.loads(Path(name).read_text(encoding="utf-8"))
    except (OSError, *BAD_TOML):
        return False


def names(kind: str) -> list[str]:
    """Names of all that come with the package; ``kind`` is ``task`` or ``suite``."""
    return sorted(path.stem for path in (HERE / f"{kind}s").glob("*.toml"))


def _load(kind: str, name: str, cls: type[T]) -> T:
    path = Path(name) if name.endswith(".toml") else HERE / f"{kind}s" / f"{name}.toml"
    if kind == "task" and not path.is_file() and name in names("suite"):
        tasks = ", ".join(_load("suite", name, Suite).tasks)
        raise UserError(f"'{name}' is a suite: name a task, one of its own for example: {tasks}")
    if not path.is_file():
        raise UserError(f"no such file: {path}") if name.endswith(".toml") else unknown(kind, name, names(kind))
    try:
        return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except BAD_TOML as error:
        raise UserError(f"{path}: not valid TOML: {str(error).partition(chr(10))[0]}") from None
    except ValidationError as error:
        raise _config_error(path, cls, error) from None


def _config_error(path: Path, cls: type[BaseModel], error: ValidationError) -> UserError:
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")  # a misspelt key also makes one missing
    *parents, key = [str(part) for part in first["loc"]] or ["file"]
    where = f"{path}: [{'.'.join(parents)}]" if parents else f"{path}"
    if first["type"] == "extra_forbidden":
        for parent in parents:
            cls = _table_of(cls, parent)
        return UserError(f"{where}: {unknown('key', key, cls.model_fields)}")
    return UserError(f"{where}: {key}: {first['msg'].removeprefix('Value error, ').lower()}")


def _table_of(cls: type[BaseModel], key: str) -> type[BaseModel]:
    """The model of the table ``key``, which may be an optional one; ``cls`` itself where there is none."""
    kind = cls.model_fields[key].annotation if key in cls.model_fields else None
    return next((one for one in (kind, *get_args(kind)) if isinstance(one, type) and issubclass(one, BaseModel)), cls)
