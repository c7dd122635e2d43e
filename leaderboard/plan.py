"""What was planned: kept beside the records, so that a board is read without suites, entry points or a device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from leaderboard.identity import Count, Identity, MethodIdentity, Name, Part
from leaderboard.record import Label, Prose, RecordError
from leaderboard.shelf import first_of, read_bytes
from leaderboard.store import write_once

PLAN_SCHEMA = 1
"""Grows with every change of the fields below."""
SUFFIX = ".plan.json"
BASE = "map"
"""The method that every other is compared with: of our own package, with its default parameters."""
OUR_PACKAGE = "ivi-bench"
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]


class PlannedRun(Part):
    """One run that belongs to a suite, made or not.

    Attributes:
        run_id, row, setting: those of its identity.
        task, label, seed: for people.
        base: whether it is one of the MAP row (`is_base`).
    """

    run_id: Hash
    row: Hash
    setting: Hash
    task: Name
    label: Label
    seed: Count
    base: bool


class Plan(Part):
    """What a suite means: ``runs`` in the order of the suite's tasks and methods."""

    schema_version: Literal[1] = PLAN_SCHEMA
    suite: Name
    description: Prose
    runs: tuple[PlannedRun, ...]


def is_base(method: MethodIdentity, is_default: bool) -> bool:
    """Whether runs of this method are the MAP row: the name alone is not enough, a stranger's may be called so."""
    return method.name == BASE and method.package == OUR_PACKAGE and is_default


def plan_path(folder: Path, suite: str) -> Path:
    """Where the plan of ``suite`` lies in the folder of its records."""
    return folder / f"{suite}{SUFFIX}"


def write_plan(folder: Path, plan: Plan) -> Path:
    """Write ``plan`` in place of an earlier one of the same suite: runs that are no longer planned drop out."""
    path = plan_path(folder, plan.suite)
    write_once(path, plan.model_dump_json(indent=1).encode() + b"\n", replace=True)
    return path


def read_plan(folder: Path, suite: str) -> Plan | None:
    """The plan of ``suite`` in ``folder``; None where there is none.

    Raises:
        RecordError: it is damaged or newer than this program.
    """
    path = plan_path(folder, suite)
    if not path.is_file() and not path.is_symlink():
        return None
    try:
        return Plan.model_validate_json(read_bytes(str(path)))
    except ValidationError as error:
        raise RecordError(f"{path}: not a plan: {first_of(error)}") from None
    except RecordError as error:
        raise RecordError(f"{path}: {error}") from None


def folder_of(folder: Path, suite: str) -> Path:
    """``folder``, or the one in it that has the plan of ``suite`` where it has not: a board has a folder for each."""
    if plan_path(folder, suite).is_file():
        return folder
    below = [path.parent for path in folder.glob(f"*/*{SUFFIX}") if path.name == f"{suite}{SUFFIX}"]
    return below[0] if len(below) == 1 else folder


def plans(folder: Path) -> list[Plan]:
    """Every plan in ``folder``, by name.

    Raises:
        RecordError: one is damaged or newer than this program.
    """
    names = sorted(path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}"))
    return [plan for name in names if (plan := read_plan(folder, name)) is not None]


def planned_run(identity: Identity, label: str, base: bool) -> PlannedRun:
    """The run of ``identity`` as a plan holds it."""
    return PlannedRun(
        run_id=identity.run_id,
        row=identity.row,
        setting=identity.setting,
        task=identity.task.name,
        label=label,
        seed=identity.seed,
        base=base,
    )
