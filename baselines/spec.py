"""Method specs: what stands in a suite or on the command line, ``implicit_vi(rank=2, noise=shared)``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from baselines import registry
from baselines.grammar import call, split, unquoted, value, written
from baselines.names import LABEL, UserError
from baselines.protocol import Method
from baselines.registry import MethodClass, find, known_methods, variants

__all__ = ["MethodSpec", "distinct", "parse", "spec_of", "split"]

DEEPEST = 3
"""Methods inside of methods: an ensemble of an ensemble of MAP is two."""


class MethodSpec(BaseModel):
    """A method with all its hyperparameters: part of a run's identity.

    Two specs are equal if they mean the same method from the same source, wherever it lies.

    Attributes:
        name: registered name; for a class from a file, the class's name in snake_case.
        package: distribution that brought it, None for a file.
        package_version: version of that distribution.
        source_sha256: hash of the method's file: an edit makes another method.
        parameters: hyperparameters that differ from the defaults; one that is a method as its spec.
        resolved: all hyperparameters; one that is a method as its `identity`.
        target: what a worker imports. No part of the identity, nor of what is dumped.
        nested: specs of the hyperparameters that are methods. Likewise: `resolved` holds what decides.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    package: str | None
    package_version: str | None
    source_sha256: str
    parameters: dict[str, Any]
    resolved: dict[str, Any]
    target: str = Field(exclude=True, repr=False)
    nested: dict[str, MethodSpec] = Field(default={}, exclude=True, repr=False)

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the method's numbers, as JSON."""
        return {
            "method": self.name,
            "package": self.package,
            "package_version": self.package_version,
            "source_sha256": self.source_sha256,
            "resolved": self.resolved,
        }

    @cached_property
    def key(self) -> str:
        """Equal for equal methods."""
        return json.dumps(self.identity, sort_keys=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MethodSpec) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def text(self) -> str:
        """The shortest spec without variants' names."""
        shown = {key: self.nested[key].text if key in self.nested else written(v) for key, v in self.parameters.items()}
        arguments = ", ".join(f"{key}={one}" for key, one in shown.items())
        return f"{self.name}({arguments})" if arguments else self.name

    @cached_property
    def label(self) -> str:
        """The name of its row in a table: the shortest spec that means it, a variant's name where it has one."""
        return _variant_of(self) or self.text

    @property
    def cls(self) -> MethodClass:
        """Its class, as its source describes it now."""
        return find(self.target if self.package is None else self.name)

    def create(self) -> Method:
        """The method itself (imports it, and torch); what is inside of it is made first.

        Raises:
            UserError: its source is not what it was when this spec was made.
        """
        from baselines.loading import load

        registry.forget()  # this process may have been started before an edit
        cls = self.cls
        if cls.source_sha256 != self.source_sha256:
            raise UserError(f"method '{self.name}': {cls.source} has changed since the run was planned; start it again")
        inside = {key: spec.create() for key, spec in self.nested.items()}
        plain = {key: one for key, one in self.resolved.items() if key not in inside}
        return load(cls)(**cls.resolve(plain) | inside)


def parse(text: str) -> MethodSpec:
    """Read a method spec: a name, a variant's name, or a name with hyperparameters in parentheses.

    Raises:
        UserError: the text has another form, or a name or value in it is wrong.

    Example:
        >>> parse("implicit_vi(rank=2)").parameters
        {'rank': 2}
    """
    return _parse(text, depth=0)


def spec_in(cls: MethodClass, text: str) -> MethodSpec:
    """The spec that ``text`` would be if ``cls`` were the method that it names.

    Raises:
        UserError: as `parse`.
    """
    inside = _methods_in(cls)
    values = {key: _inside(one) if key in inside else value(one) for key, one in call(text)[1].items()}
    return _spec(cls, values, {}, depth=0)


def distinct(specs: Iterable[MethodSpec]) -> list[MethodSpec]:
    """The specs, each once, in their order.

    Raises:
        UserError: two methods from different sources have one name, so that their rows could not be told apart.
    """
    kept = list(dict.fromkeys(specs))
    sources: dict[str, MethodSpec] = {}
    for spec in (inside for one in kept for inside in _all(one)):
        other = sources.setdefault(spec.name, spec)
        if (other.package, other.source_sha256) != (spec.package, spec.source_sha256):
            places = " and ".join(
                one.target if one.package is None else f"package {one.package}" for one in (other, spec)
            )
            raise UserError(f"two methods are called '{spec.name}', of {places}: rename one class")
    return kept


def spec_of(method: Method) -> MethodSpec | None:
    """The spec of a method object; None if its class is no registered one."""
    target = f"{type(method).__module__}:{type(method).__qualname__}"
    cls = next((one for one in known_methods().values() if one.target == target), None)
    if cls is None:
        return None
    values, nested = {key: getattr(method, key) for key in cls.defaults}, {}
    for key in _methods_in(cls):
        if values[key] is not None:
            spec = parse(values[key]) if isinstance(values[key], str) else spec_of(values[key])
            if spec is None:
                return None
            values[key], nested[key] = spec.text, spec
    try:
        return _spec(cls, values, nested, depth=0)
    except UserError:  # made with a value that no spec may have
        return None


def _parse(text: str, depth: int) -> MethodSpec:
    if depth > DEEPEST:
        raise UserError(f"'{text[:80]}': methods lie inside of each other {DEEPEST} deep at most")
    name, arguments = call(_variants().get(text.strip().casefold(), text))
    cls = find(name)
    inside = _methods_in(cls)
    values = {key: _inside(one) if key in inside else value(one) for key, one in arguments.items()}
    return _spec(cls, values, {}, depth)


def _spec(cls: MethodClass, values: dict[str, Any], nested: dict[str, MethodSpec], depth: int) -> MethodSpec:
    resolved, defaults = cls.resolve(values), cls.defaults
    changed = {key: one for key, one in resolved.items() if one is not defaults[key] and one != defaults[key]}
    for key in _methods_in(cls):
        if resolved[key] is not None:
            nested[key] = nested.get(key) or _parse(resolved[key], depth + 1)
            resolved[key] = nested[key].identity
            if key in changed and defaults[key] is not None and _parse(defaults[key], depth + 1) == nested[key]:
                del changed[key]
    spec = MethodSpec(
        name=cls.name,
        package=cls.package,
        package_version=cls.package_version,
        source_sha256=cls.source_sha256,
        parameters={key: nested[key].text if key in nested else one for key, one in changed.items()},
        resolved=resolved,
        target=cls.target,
        nested=nested,
    )
    if not LABEL.fullmatch(spec.text):
        raise UserError(f"'{spec.text[:80]}' is too long a name for a row, or does not print everywhere")
    return spec


def _inside(text: str) -> str | None:
    """The spec that is written as the value of a hyperparameter that is a method."""
    if text == "None":
        return None
    return unquoted(text) if text[0] in "'\"" else text


def _methods_in(cls: MethodClass) -> list[str]:
    return [key for key, one in cls.hyperparameters.items() if one.is_method]


def _all(spec: MethodSpec) -> Iterator[MethodSpec]:
    yield spec
    for one in spec.nested.values():
        yield from _all(one)


def _variants() -> dict[str, str]:
    return {name.casefold(): text for name, text in variants().items()}


def _variant_of(spec: MethodSpec) -> str | None:
    for name, text in variants().items():
        if call(text)[0] == spec.name and parse(text) == spec:
            return name
    return None
