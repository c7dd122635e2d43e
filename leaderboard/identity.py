"""Who a run is: everything that decides its numbers, and the short hash that names it. A reader can recompute it."""

from __future__ import annotations

import hashlib
import json
import marshal
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

if TYPE_CHECKING:
    import numpy as np

RULES = 2
"""Grows when the rules of comparison (docs/rules.md) change what a number means; part of every run's identity."""
DEEPEST = 8
"""Levels of nesting in a free value."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=80)]
MethodName = Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9_.-]*/)?[a-z0-9][a-z0-9_.-]*$", max_length=120)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=2**53)]


_JSON = (str, int, float, bool, type(None))


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    level: list[Any] = [value] if value else []
    for _ in range(DEEPEST):
        inner = [one for part in level for one in (part.values() if isinstance(part, dict) else part)]
        level = [one for one in inner if isinstance(one, dict | list)]
        if not all(isinstance(one, _JSON) for one in inner if not isinstance(one, dict | list)):
            raise ValueError("holds what JSON has no name for")
        if not all(isinstance(key, str) for one in level if isinstance(one, dict) for key in one):
            raise ValueError("holds keys that are no text")
        if not level:
            return value
    raise ValueError(f"nested more than {DEEPEST} levels deep")


Values = Annotated[dict[str, Any], AfterValidator(_plain)]
"""Free values of a config: JSON, not nested deeply."""


class Part(BaseModel):
    """A frozen part of what is kept; unknown fields are refused, NaN and infinities are strings in JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings", defer_build=True)

    def __copy__(self) -> Self:
        """Without what was computed from the fields: `model_copy` changes them."""
        copied = super().__copy__()
        values: dict[str, Any] = vars(copied)
        for name in values.keys() - type(self).model_fields.keys():
            del values[name]
        return copied


_MOST = 4096


class Recurring:
    """For parts that many records have in common: as many as are alike in JSON become one object, validated once.

    Of ten thousand records, most of the time would go into the same task again and again.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, Any] = {}

    def __call__(self, value: Any, validate: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        """The part of ``value``; from JSON, the one that was made of the same before."""
        if info.mode != "json":
            return validate(value)
        try:
            key = marshal.dumps(value, 2)  # of version 2: equal bytes are equal values of equal types, in one order
        except ValueError:  # too deep, or text that UTF-8 cannot hold
            return validate(value)
        found = self._known.get(key)
        if found is None:
            found = validate(value)
            if len(self._known) == _MOST:
                self._known.clear()
            self._known[key] = found
        return found


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

    @cached_property
    def canonical(self) -> str:
        """Its canonical JSON."""
        return _canonical(self.model_dump())


class MethodIdentity(Part):
    """The method: ``source`` is the SHA-256 of its file; ``package`` is None for one that was loaded from a path."""

    name: MethodName
    package: str | None
    package_version: str | None
    source: Sha256
    resolved: Values

    @cached_property
    def canonical(self) -> str:
        """Its canonical JSON."""
        return _canonical(self.model_dump())


class Identity(Part):
    """All that decides a run's numbers but for the code and the machine, which its environment names."""

    rules: Count = RULES
    task: Annotated[TaskIdentity, WrapValidator(Recurring())]
    method: Annotated[MethodIdentity, WrapValidator(Recurring())]
    seed: Count
    device: Literal["cpu", "cuda"] = "cpu"

    @cached_property
    def run_id(self) -> str:
        """First twelve digits of the SHA-256 of the canonical JSON: equal runs have equal ids on every machine."""
        method, task = self.method.canonical, self.task.canonical
        return _short(
            f'{{"device":"{self.device}","method":{method},"rules":{self.rules},"seed":{self.seed},"task":{task}}}'
        )

    @property
    def row(self) -> str:
        """The same without the seed: what the runs of one row have in common."""
        return _row(self.device, self.method.canonical, self.rules, self.task.canonical)

    @property
    def setting(self) -> str:
        """The same without method and seed: what the runs of one comparison have in common."""
        return _setting(self.device, self.rules, self.task.canonical)


@lru_cache(maxsize=_MOST)
def _row(device: str, method: str, rules: int, task: str) -> str:
    return _short(f'{{"device":"{device}","method":{method},"rules":{rules},"task":{task}}}')


@lru_cache(maxsize=_MOST)
def _setting(device: str, rules: int, task: str) -> str:
    return _short(f'{{"device":"{device}","rules":{rules},"task":{task}}}')


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of ``value``: sorted keys, no spaces."""
    return _sha(_canonical(value))


def array_sha256(array: np.ndarray) -> str:
    """SHA-256 of an array: of its type and shape as text, then of its numbers in C order, little-endian."""
    import numpy as np

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


def _short(text: str) -> str:
    return _sha(text)[:12]


def content_of(sets: Mapping[str, Any]) -> str:
    """`DataIdentity.content` of all ``sets`` of a task: name -> ``n``, ``inputs``, ``labels`` (`record.SetInfo`)."""
    return digest({name: [one.n, one.inputs, one.labels] for name, one in sets.items()})
