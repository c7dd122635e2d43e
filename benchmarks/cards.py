"""Which hyperparameters the card of a method varies, and by which values. Nothing here imports torch.

They stand in ``cards/<name>.toml`` in the folder of the method's source file, so that a method of another package or of
a single file has its card as a built-in one has.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from baselines.grammar import split, written
from baselines.names import UserError, unknown
from baselines.registry import MethodClass, known_methods
from baselines.spec import MethodSpec, parse
from benchmarks.suite import BAD_TOML
from leaderboard.card import Knob, Setting

MOST = 3
"""Hyperparameters on a card: more are a study, not what a reader looks up."""


class CardFile(BaseModel):
    """What a card's file says: hyperparameter -> the values that are tried, in the order in which they are shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    knobs: dict[str, tuple[Any, ...]] = Field(min_length=1, max_length=MOST)

    @field_validator("knobs")
    @classmethod
    def _some(cls, value: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        for knob, values in value.items():
            if not values:
                raise ValueError(f"{knob} has no values")
        return value


@dataclass(frozen=True)
class CardPlan:
    """A method, what its card varies, and the specs of all methods that this means, the method itself first."""

    spec: MethodSpec
    knobs: Sequence[Knob]
    texts: Sequence[str]

    @property
    def name(self) -> str:
        """Of the card's plan and files."""
        return re.sub(r"[^a-z0-9_.-]+", "-", self.spec.label.lower()).strip("-.")


def card_file(cls: MethodClass) -> Path:
    """Where the card of a method is described, whether or not it is."""
    return cls.source.parent / "cards" / f"{cls.name.rpartition('/')[2]}.toml"


def with_card() -> tuple[list[str], list[str]]:
    """Names of the installed methods that have a card, and of those that have none."""
    names = {name: card_file(cls).is_file() for name, cls in known_methods().items()}
    return [name for name in names if names[name]], [name for name in names if not names[name]]


def card_plan(method: str, only: str | None = None) -> CardPlan:
    """What the card of ``method`` varies; its own hyperparameters are the default that is marked.

    Args:
        method: a spec, such as ``laplace(subset=all)``.
        only: these hyperparameters alone, with commas between.

    Raises:
        UserError: it has no card, or its file is wrong, or names what the method does not have.
    """
    spec = parse(method)
    file = card_file(spec.cls)
    described = _read(file, spec).knobs
    names = list(described) if only is None else split(only)
    for name in names:
        if name not in described:
            raise unknown(f"hyperparameter of the card {file.name}", name, described)
    knobs, texts = [], {spec.key: _text(spec, {})}
    for name in names:
        settings: dict[str, Setting] = {}
        for value in _values(spec, name, described[name]):
            text = _text(spec, {name: value})
            try:
                one = parse(text)
            except UserError as error:
                raise UserError(f"{file}: {name} = {value!r}: {error}") from None
            texts[one.key] = text
            settings[one.key] = Setting(value if isinstance(value, str) else written(value), one.label, one == spec)
        knobs.append(Knob(name, tuple(settings.values())))
    return CardPlan(spec, tuple(knobs), tuple(texts.values()))


def _read(file: Path, spec: MethodSpec) -> CardFile:
    if not file.is_file():
        raise UserError(f"method '{spec.name}' has no card: write {file} with a table [knobs], name = [values]")
    try:
        described = CardFile.model_validate(tomllib.loads(file.read_text()))
    except BAD_TOML as error:
        raise UserError(f"{file}: not valid TOML: {str(error).partition(chr(10))[0]}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    for name in described.knobs:
        if name not in spec.cls.defaults:
            known = unknown(f"parameter of method '{spec.name}'", name, spec.cls.defaults)
            raise UserError(f"{file}: {known}")
    return described


def _values(spec: MethodSpec, name: str, listed: Sequence[Any]) -> list[Any]:
    """The listed values and the method's own, numbers where they belong in the order, words first."""
    own = spec.nested[name].text if name in spec.nested else spec.resolved[name]
    if own in listed:
        return list(listed)
    before = [value for value in listed if _is_number(value) and _is_number(own) and value < own]
    place = listed.index(before[-1]) + 1 if before else 0
    return [*listed[:place], own, *listed[place:]]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(spec: MethodSpec, changes: dict[str, Any]) -> str:
    """``spec`` with other hyperparameters, as `parse` reads it wherever the method is from."""
    methods = {key for key, one in spec.cls.hyperparameters.items() if one.is_method}
    values = spec.parameters | changes
    parts = [f"{key}={one if key in methods else written(one)}" for key, one in values.items()]
    head = spec.target if spec.package is None else spec.name
    return f"{head}({', '.join(parts)})" if parts else head
