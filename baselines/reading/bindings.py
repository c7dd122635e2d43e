"""Which statements of a module give a name its value."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Binding:
    """What gives a name its value.

    Attributes:
        value: the statement, or the part of an import statement.
        statement: the whole statement.
        conditional: whether only running the module tells if it is reached.
    """

    value: ast.stmt | ast.alias
    statement: ast.stmt
    conditional: bool


def bindings(tree: ast.Module) -> dict[str, list[Binding]]:
    """All that a module binds, by name, in the order of its lines."""
    found: dict[str, list[Binding]] = {}
    for name, binding in _bound(tree.body, conditional=False):
        found.setdefault(name, []).append(binding)
    return found


def dotted(node: ast.expr) -> list[str] | None:
    """The parts of a dotted name, None for any other expression."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return [node.id, *names] if isinstance(node, ast.Name) else None


def _bound(body: list[ast.stmt], conditional: bool) -> Iterator[tuple[str, Binding]]:
    for statement in body:
        match statement:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name, Binding(statement, statement, conditional)
            case ast.ImportFrom(names=names) | ast.Import(names=names):
                whole = isinstance(statement, ast.ImportFrom)
                for one in names:
                    name = one.asname or (one.name if whole else one.name.partition(".")[0])
                    yield name, Binding(one, statement, conditional)
            case ast.Assign() | ast.AnnAssign(value=ast.expr()):
                for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
                    if isinstance(target, ast.Name):
                        yield target.id, Binding(statement, statement, conditional)
            case _:
                for block, sure in _blocks(statement):
                    yield from _bound(block, conditional or not sure)


def _blocks(statement: ast.stmt) -> Iterator[tuple[list[ast.stmt], bool]]:
    """Blocks of statements inside of one, and whether each is surely run."""
    if isinstance(statement, ast.If) and (dotted(statement.test) or [""])[-1] == "TYPE_CHECKING":
        yield statement.orelse, True
        return
    for field in ("body", "orelse", "finalbody"):
        yield getattr(statement, field, []), isinstance(statement, ast.With)
    for part in [*getattr(statement, "handlers", []), *getattr(statement, "cases", [])]:
        yield part.body, False
