"""Method specs: what stands in a suite or on the command line, ``implicit_vi(rank=2, noise=shared)``."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict

from baselines.names import UserError
from baselines.protocol import Method
from baselines.registry import MethodClass, find, known_methods, variants

CALL = re.compile(r"(?P<name>[^()]+?)\s*(?:\((?P<arguments>.*)\))?\s*")


class MethodSpec(BaseModel):
    """A method with all its hyperparameters: part of a run's identity.

    Attributes:
        name: registered name, or ``file.py:Class``.
        parameters: hyperparameters that differ from the defaults.
        resolved: all hyperparameters.
        source_sha256: hash of the method's file if it comes from a path, where an edit makes another method; else None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    parameters: dict[str, Any]
    resolved: dict[str, Any]
    source_sha256: str | None = None

    @property
    def label(self) -> str:
        """The shortest spec that means this method: the name of its row in a table."""
        if not self.parameters:
            return self.name
        arguments = ", ".join(f"{key}={value}" for key, value in self.parameters.items())
        spec = f"{self.name}({arguments})"
        named = {parse(text).key: name for name, text in variants().items()}
        return named.get(self.key, spec)

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for equal methods."""
        return self.name, tuple(sorted(self.parameters.items()))

    @property
    def cls(self) -> MethodClass:
        """Its class, described."""
        return find(self.name)

    def create(self) -> Method:
        """The method itself (imports it, and torch)."""
        return self.cls.create(self.resolved)


def parse(text: str) -> MethodSpec:
    """Read a method spec: a name, a variant's name, or a name with hyperparameters in parentheses.

    Raises:
        UserError: the text has another form, or a name or value in it is wrong.

    Example:
        >>> parse("implicit_vi(rank=2)").parameters
        {'rank': 2}
    """
    text = variants().get(text.strip(), text)
    match = CALL.fullmatch(text.strip())
    if match is None:
        raise UserError(f"'{text}' is no method: write a name, or name(parameter=value, parameter=value)")
    method = find(match["name"])
    resolved = method.resolve(_arguments(match["arguments"] or "", text))
    changed = {key: value for key, value in resolved.items() if value != method.defaults[key]}
    from_file = method.source_sha256 if method.package is None else None
    return MethodSpec(name=match["name"], parameters=changed, resolved=resolved, source_sha256=from_file)


def spec_of(method: Method) -> MethodSpec | None:
    """The spec of a method object; None if its class is no registered one."""
    target = f"{type(method).__module__}:{type(method).__qualname__}"
    for name, cls in known_methods().items():
        if cls.target == target:
            resolved = {key: getattr(method, key) for key in cls.defaults}
            changed = {key: value for key, value in resolved.items() if value != cls.defaults[key]}
            return MethodSpec(name=name, parameters=changed, resolved=resolved)
    return None


def split(text: str) -> list[str]:
    """Split a comma-separated list of specs, but not inside parentheses."""
    return [part.strip() for part in re.split(r",(?![^()]*\))", text) if part.strip()]


def _arguments(text: str, whole: str) -> dict[str, Any]:
    arguments = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, separator, value = (piece.strip() for piece in part.partition("="))
        if not (key and separator and value):
            raise UserError(f"'{part}' in '{whole}': parameters are written name=value")
        arguments[key] = _value(value)
    return arguments


def _value(text: str) -> Any:
    if text in ("true", "false", "True", "False"):
        return text.lower() == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text.strip("'\"")
