"""A method's hyperparameters: the fields of a dataclass with their defaults, types and bounds, read from source."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

from pydantic import ConfigDict, Field, Strict, TypeAdapter, ValidationError

from baselines.names import UserError
from baselines.reading.bindings import dotted
from baselines.reading.lookup import ClassSource, Lookup

SCALARS = {"int": int, "float": float, "str": str, "bool": bool}
BOUNDS = {"Ge": "ge", "Gt": "gt", "Le": "le", "Lt": "lt", "MultipleOf": "multiple_of"}
KEYWORDS = ("ge", "gt", "le", "lt", "multiple_of")
"""Bounds that are read: those of annotated_types, and the keywords of its Interval and of pydantic's Field."""
DECLARED = ("recipe_changes", "uses", "map_equivalent")
"""Attributes of a method that are none of its hyperparameters (`baselines.protocol.Method`)."""
STRICT = ConfigDict(strict=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Hyperparameter:
    """One field of a method.

    Attributes:
        default: its default; for a field that is a method, the default's spec.
        check: checks and converts what a user writes.
        is_method: its value is itself a method.
    """

    default: Any
    check: TypeAdapter[Any]
    is_method: bool = False


def hyperparameters(cls: ClassSource, lookup: Lookup) -> tuple[dict[str, Hyperparameter], list[ClassSource]]:
    """The fields of ``cls``, inherited ones first, and the classes that they come from.

    Raises:
        UserError: a field has no default that can be read, or a base cannot be found.
    """
    found: dict[str, Hyperparameter] = {}
    ancestors = lookup.ancestors(cls)
    for ancestor in reversed(ancestors):
        aliases = _aliases(ancestor, lookup)
        statements = list(_fields(ancestor))
        if statements and not ancestor.node.decorator_list:
            raise UserError(f"{_where(ancestor, ancestor.node)}: {ancestor.qualname} has fields and is no dataclass")
        for name, statement in statements:
            found[name] = _hyperparameter(ancestor, name, statement, aliases)
    return found, ancestors


def _fields(cls: ClassSource) -> Iterator[tuple[str, ast.AnnAssign]]:
    """Annotated names of a class body that its constructor takes."""
    for statement in cls.node.body:
        if isinstance(statement, ast.If | ast.Try | ast.With) and any(
            isinstance(one, ast.AnnAssign) for one in ast.walk(statement)
        ):
            raise UserError(f"{_where(cls, statement)}: a field under a condition cannot be read")
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        kind = _last(_outer(_unquoted(statement.annotation)))
        if kind == "InitVar":
            raise UserError(f"{_where(cls, statement)}: InitVar is no hyperparameter: it could not be read back")
        if kind not in ("ClassVar", "KW_ONLY") and not _is_false(_keywords(statement.value, "field").get("init")):
            yield statement.target.id, statement


def _hyperparameter(
    cls: ClassSource, name: str, statement: ast.AnnAssign, aliases: Mapping[str, ast.expr]
) -> Hyperparameter:
    where = _where(cls, statement)
    if name in DECLARED:
        raise UserError(f"{where}: {name} is no hyperparameter: write it without an annotation, or as a ClassVar")
    default = _default(statement.value, where)
    annotation = _unquoted(statement.annotation)
    names = {_last(node) for node in ast.walk(annotation)}
    try:
        if "Method" in names:
            optional = "Optional" in names or any(
                isinstance(n, ast.Constant) and n.value is None for n in ast.walk(annotation)
            )
            spec: TypeAdapter[Any] = TypeAdapter(str | None if optional else str, config=STRICT)
            return Hyperparameter(spec.validate_python(default), spec, is_method=True)
        check: TypeAdapter[Any] = TypeAdapter(_type(annotation, aliases, 0), config=STRICT)
        return Hyperparameter(check.validate_python(default), check)
    except ValidationError as error:
        raise UserError(f"{where}: the default of {name}, {default!r}: {message(error)}") from None
    except (TypeError, ValueError, RecursionError) as error:  # bounds on a type that has no order, for instance
        raise UserError(
            f"{where}: the annotation of {name} cannot be read: {str(error).partition(chr(10))[0]}"
        ) from None


def message(error: ValidationError) -> str:
    """The first thing that is wrong, in lower case."""
    return error.errors()[0]["msg"].lower()


def _default(value: ast.expr | None, where: str) -> Any:
    keywords = _keywords(value, "field")
    if keywords or _is_call(value, "field"):
        value = keywords.get("default", keywords.get("default_factory"))
        match value:
            case ast.Lambda(body=body):
                value = body
            case ast.Name(id="list" | "tuple"):
                return () if value.id == "tuple" else []
    try:
        default = ast.literal_eval(value)  # type: ignore[arg-type]
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        default = ...
    if not _plain(default):
        raise UserError(
            f"{where}: every hyperparameter needs a default that is a plain number, string or bool, or a list of such"
        )
    return default


def _plain(value: Any, depth: int = 0) -> bool:
    """Whether a value can stand in a record and mean the same there."""
    match value:
        case None | bool():
            return True
        case int():
            return abs(value) < 2**63
        case float():
            return math.isfinite(value)
        case str():
            return value.isprintable() and len(value) <= 200
        case list() | tuple():
            return depth < 3 and len(value) <= 100 and all(_plain(one, depth + 1) for one in value)
    return False


def _type(node: ast.expr, aliases: Mapping[str, ast.expr], depth: int) -> Any:
    """The type that an annotation means, Any where it is not a plain one."""
    if depth > 20:  # an alias that means itself
        return Any
    node = _unquoted(node)
    match node:
        case ast.Constant(value=None):
            return None
        case ast.BinOp(op=ast.BitOr()):
            return _union([node.left, node.right], aliases, depth)
        case ast.Subscript(slice=inside):
            return _generic(_last(node.value), inside, aliases, depth + 1)
        case ast.Name(id=name) if name not in SCALARS and name in aliases:
            return _type(aliases[name], aliases, depth + 1)
    return {**SCALARS, "list": _LISTS, "tuple": _TUPLES}.get(_last(node), Any)


_LISTS = Annotated[list[Any], Strict(False)]
_TUPLES = Annotated[tuple[Any, ...], Strict(False)]
"""Lists and tuples are written alike, ``(1, 2)``: each becomes what its field wants."""


def _generic(name: str, inside: ast.expr, aliases: Mapping[str, ast.expr], depth: int) -> Any:
    parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
    if name == "Literal":
        return _literal(parts)
    if name in ("Optional", "Union"):
        return _union([*parts, ast.Constant(None)] if name == "Optional" else parts, aliases, depth)
    if name in ("Annotated", "Final") and parts:
        bounds = [bound for part in parts[1:] for bound in _bounds(part)]
        base = _type(parts[0], aliases, depth)
        return Annotated[(base, *bounds)] if bounds else base
    if name in ("list", "List"):
        return Annotated[list[_type(parts[0], aliases, depth)], Strict(False)]
    if name in ("tuple", "Tuple", "Sequence"):
        variable = name == "Sequence" or (isinstance(parts[-1], ast.Constant) and parts[-1].value is ...)
        types = tuple(_type(part, aliases, depth) for part in parts[: len(parts) - (variable and len(parts) > 1)])
        return Annotated[tuple[types[0], ...] if variable else tuple[types], Strict(False)]
    return Any


def _union(parts: list[ast.expr], aliases: Mapping[str, ast.expr], depth: int) -> Any:
    types = tuple(_type(part, aliases, depth + 1) for part in parts)
    return Union[types]  # noqa: UP007 - `|` has no form for a tuple, nor for None twice


def _literal(parts: list[ast.expr]) -> Any:
    try:
        values = tuple(ast.literal_eval(part) for part in parts)
    except (ValueError, TypeError, RecursionError):
        return Any
    return Literal[values] if values and all(isinstance(one, str | int | None) for one in values) else Any


def _bounds(node: ast.expr) -> Iterator[Any]:
    """What an argument of ``Annotated`` says about a number; nothing if it is something else."""
    if not isinstance(node, ast.Call):
        return
    name = _last(node.func)
    written = {word.arg: word.value for word in node.keywords if word.arg in KEYWORDS}
    if name in BOUNDS and node.args:
        written[BOUNDS[name]] = node.args[0]
    elif name not in (*BOUNDS, "Interval", "Field"):
        return
    limits: dict[str, Any] = {}
    for key, value in written.items():
        try:
            limits[key] = ast.literal_eval(value)
        except (ValueError, TypeError, RecursionError):  # a bound that only running tells is not checked before it
            continue
    if limits:
        yield Field(**limits)


def _aliases(cls: ClassSource, lookup: Lookup) -> dict[str, ast.expr]:
    """Names that the module of ``cls`` gives to types."""
    found = {}
    for name, bound in lookup.bound(cls.source).items():
        value = getattr(bound[-1].value, "value", None)
        if isinstance(bound[-1].value, ast.Assign | ast.AnnAssign) and isinstance(value, ast.Subscript | ast.BinOp):
            found[name] = value
    return found


def _unquoted(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            return ast.parse(node.value, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return node
    return node


def _outer(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.Subscript) else node


def _last(node: ast.AST) -> str:
    """The last part of a dotted name, "" for anything else."""
    names = dotted(node) if isinstance(node, ast.Name | ast.Attribute) else None
    return names[-1] if names else ""


def _is_call(node: ast.expr | None, name: str) -> bool:
    return isinstance(node, ast.Call) and _last(node.func) == name


def _keywords(node: ast.expr | None, name: str) -> dict[str | None, ast.expr]:
    """Keyword arguments of a call of ``name``; none for any other expression."""
    return {word.arg: word.value for word in node.keywords} if _is_call(node, name) else {}  # type: ignore[union-attr]


def _is_false(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def _where(cls: ClassSource, node: ast.stmt) -> str:
    return f"{cls.source.path}:{node.lineno}"
