"""Who a run is: everything that decides its numbers, and the short hash that names it. A reader can recompute it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

RULES = 2
"""Grows when the rules of comparison (docs/rules.md) change what a number means; part of every run's identity."""
DEEPEST = 8
"""Levels of nesting in a free value."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=80)]
MethodName = Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9_.-]*/)?[a-z0-9][a-z0-9_.-]*$", max_length=120)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=2**53)]


def _shallow(value: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        level = [one for part in level for one in _inside(part) if isinstance(one, dict | list)]
        if not level:
            return value
    raise ValueError(f"nested more than {DEEPEST} levels deep")


def _inside(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value


Values = Annotated[dict[str, JsonValue], AfterValidator(_shallow)]
"""Free values of a config: JSON, not nested deeply."""


class Part(BaseModel):
    """A frozen part of what is kept; unknown fields are refused, NaN and infinities are strings in JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings", defer_build=True)


class DataIdentity(Part):
    """The data set: its name, the SHA-256 of its spec, and that of the hashes of all sets that were cut from it."""

    name: Name
    spec: Sha256
    content: Sha256


class TaskIdentity(Part):
    """The task. ``split``: sizes and seed; ``evaluation``: out-of-distribution sets and corruptions, by name."""

    name: Name
    version: Count
    likelihood: Literal["categorical", "gaussian"]
    outputs: Count
    data: DataIdentity
    split: Values
    model: Values
    recipe: Values
    evaluation: Values


class MethodIdentity(Part):
    """The method: ``source`` is the SHA-256 of its file; ``package`` is None for one that was loaded from a path."""

    name: MethodName
    package: str | None
    package_version: str | None
    source: Sha256
    resolved: Values


class Identity(Part):
    """All that decides a run's numbers but for the code and the machine, which its environment names."""

    rules: Count = RULES
    task: TaskIdentity
    method: MethodIdentity
    seed: Count
    device: Literal["cpu", "cuda"] = "cpu"

    @cached_property
    def run_id(self) -> str:
        """First twelve digits of the SHA-256 of the canonical JSON: equal runs have equal ids on every machine."""
        return self._hashed(f'"seed":{self.seed},')

    @cached_property
    def row(self) -> str:
        """The same without the seed: what the runs of one row have in common."""
        return self._hashed("")

    @cached_property
    def setting(self) -> str:
        """The same without method and seed: what the runs of one comparison have in common."""
        device, _, rules, task = self._parts
        return _sha(f'{{"device":{device},"rules":{rules},"task":{task}}}')[:12]

    @cached_property
    def _parts(self) -> tuple[str, str, str, str]:
        """Canonical JSON of device, method, rules and task: one dump serves three hashes, for ten thousand records."""
        method, task = _canonical(self.method.model_dump()), _canonical(self.task.model_dump())
        return f'"{self.device}"', method, str(self.rules), task

    def _hashed(self, seed: str) -> str:
        device, method, rules, task = self._parts
        return _sha(f'{{"device":{device},"method":{method},"rules":{rules},{seed}"task":{task}}}')[:12]


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of ``value``: sorted keys, no spaces."""
    return _sha(_canonical(value))


def array_sha256(array: np.ndarray) -> str:
    """SHA-256 of an array: of its type and shape as text, then of its numbers in C order, little-endian."""
    array = np.ascontiguousarray(array)
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    hashed = hashlib.sha256(f"{array.dtype.name} {tuple(array.shape)}".encode())
    hashed.update(array.reshape(-1).view(np.uint8).data)
    return hashed.hexdigest()


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def _canonical(value: Any) -> str:
    return _ENCODER.encode(value)


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def content_of(sets: Mapping[str, Any]) -> str:
    """`DataIdentity.content` of all ``sets`` of a task: name -> ``n``, ``inputs``, ``labels`` (`record.SetInfo`)."""
    return digest({name: [one.n, one.inputs, one.labels] for name, one in sets.items()})
