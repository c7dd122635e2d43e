"""Which executor `--on` means: a module here with `Options` and `opened`; adding one is adding its file. No torch.

A module's ``opened(options, place)`` gives a context manager and `concurrent.futures.Executor` with

    reports    queue of (job, phase, done, total), put there while jobs go on
    at_once    jobs that it wants to hold at a time
    threads    that torch may have on a GPU's machine

Optionally it has ``status(folder)``, lines about what goes on for a folder of records.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from baselines.names import UserError, unknown

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Place:
    """What an executor is opened for.

    Attributes:
        folder: of records.
        workers: jobs at a time, if the user says.
        device: ``cpu``, ``cuda`` ...
        say: told what a user should know.
    """

    folder: Path
    workers: int | None = None
    device: str = "cpu"
    say: Callable[[str], None] = lambda words: None


class JobExecutor(Protocol):
    """A `concurrent.futures.Executor` for jobs."""

    reports: SimpleQueue[tuple[Any, str, int, int]]
    at_once: int
    threads: int

    def submit(self, function: Callable[..., Any], job: Any, /) -> Any:
        """A future of ``function(job)``."""
        ...


class Options(BaseModel):
    """What may stand in a profile, or as ``--key value`` on the command line."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Chosen:
    """An executor with its options."""

    name: str = "local"
    options: dict[str, Any] = field(default_factory=dict)

    def opened(self, place: Place) -> AbstractContextManager[JobExecutor]:
        """The executor."""
        module = module_of(self.name)
        return module.opened(module.Options(**self.options), place)


HERE = Chosen()
"""On this machine."""


def names() -> list[str]:
    """Every executor there is."""
    found = (path for path in _FOLDER.glob("*.py") if "\ndef opened(" in path.read_text() and path != Path(__file__))
    return sorted(path.stem for path in found)


def module_of(name: str) -> Any:
    """The module of an executor.

    Raises:
        UserError: there is none of that name.
    """
    if name not in names():
        raise unknown("executor", name, names())
    return import_module(f"benchmarks.executors.{name}")


def status(folder: Path) -> list[str]:
    """What works for a folder of records, in lines, of every executor that can tell."""
    modules = [module_of(name) for name in names()]
    return [line for module in modules if hasattr(module, "status") for line in module.status(folder)]


def chosen(on: str, arguments: Sequence[str] = (), others: Sequence[str] = ()) -> Chosen:
    """What ``--on NAME-OR-PROFILE.toml --key value ...`` means; the command line outdoes the profile.

    ``others``: options of the command itself, one of which may have been misspelt.

    Raises:
        UserError: there is no such executor, or it has no such option, or not with that value.
    """
    profile = _profile(Path(on)) if on.endswith(".toml") else {"on": on}
    name = profile.pop("on", None)
    if not isinstance(name, str):
        raise UserError(f'{on}: needs a line such as on = "slurm" ({", ".join(names())})')
    module, given = module_of(name), profile | _pairs(arguments)
    for key in given:
        if key not in module.Options.model_fields:
            raise UserError(
                f"--on {on}: {unknown(f'option of executor {name}', key, [*module.Options.model_fields, *others])}"
            )
    try:
        return Chosen(name, module.Options(**given).model_dump())
    except ValidationError as error:
        first = error.errors()[0]
        where, why = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
        raise UserError(f"--on {on}: {where}: {why}, not {first['input']!r}") from None


def _profile(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--on {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"--on {path}: not valid TOML: {error}") from None


def _pairs(arguments: Sequence[str]) -> dict[str, str]:
    found, left = {}, list(arguments)
    while left:
        key = left.pop(0)
        if not key.startswith("--") or len(key) < 3:
            raise UserError(f"'{key}' belongs to no option")
        key, given, value = key[2:].partition("=")
        if not given:
            if not left or left[0].startswith("--"):
                raise UserError(f"no option --{key}, or it needs a value")
            value = left.pop(0)
        found[key.replace("-", "_")] = value
    return found
