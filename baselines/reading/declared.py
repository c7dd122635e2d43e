"""What a method declares beside its hyperparameters, checked as far as it stands in the source as plain values."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from baselines.names import UserError
from baselines.reading.lookup import ClassSource
from baselines.recipe import Recipe

ANY = Recipe(epochs=1, batch_size=1, lr=1.0)
"""A recipe to try changes on: which fields there are, and their values, are the same for every task."""


def check_declared(classes: Sequence[ClassSource]) -> None:
    """Refuse ``recipe_changes`` and ``uses`` that no task could follow; what is computed is left to the run.

    Args:
        classes: the method's class and its ancestors, in Python's order of resolution.

    Raises:
        UserError: one of them has another form; the message names file, line and what would be right.
    """
    for name, check in (("recipe_changes", _check_changes), ("uses", _check_uses)):
        value, where = _assigned(classes, name)
        if value is not None:
            check(value, where)


def _assigned(classes: Sequence[ClassSource], name: str) -> tuple[ast.expr | None, str]:
    """What the attribute ``name`` is set to, and where; None where no class sets it by a plain statement."""
    for cls in classes:
        for statement in reversed(cls.node.body):
            targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
            if any(isinstance(one, ast.Name) and one.id == name for one in targets):
                return getattr(statement, "value", None), f"{cls.source.path}:{statement.lineno}"
            if getattr(statement, "name", None) == name:  # a property
                return None, ""
    return None, ""


def _check_changes(value: ast.expr, where: str) -> None:
    try:
        changes = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return
    if not isinstance(changes, dict) or not all(isinstance(key, str) for key in changes):
        raise UserError(f"{where}: recipe_changes must be a dict of fields of a recipe, such as {{'epochs': 4}}")
    try:
        ANY.changed(changes)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def _check_uses(value: ast.expr, where: str) -> None:
    right = "uses must be pairs of a method and a member, such as ((MAP(), 0),)"
    listed = isinstance(value, ast.Tuple | ast.List)
    if not (all(map(_may_be_a_pair, value.elts)) if listed else _may_be_pairs(value)):
        raise UserError(f"{where}: {right}")


def _may_be_pairs(value: ast.expr) -> bool:
    """Whether an expression that is no list may give one: a method alone, or a number, does not."""
    return not isinstance(value, ast.Constant | ast.Dict | ast.Set) and not _makes_an_object(value)


def _may_be_a_pair(value: ast.expr) -> bool:
    if isinstance(value, ast.Tuple | ast.List):
        return len(value.elts) == 2 or any(isinstance(one, ast.Starred) for one in value.elts)
    return _may_be_pairs(value)


def _makes_an_object(value: ast.expr) -> bool:
    """Whether it calls a class, by its name."""
    if not isinstance(value, ast.Call):
        return False
    name = value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
    return name[:1].isupper()
