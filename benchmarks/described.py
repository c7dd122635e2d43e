"""What the project says of its own methods, tasks and suites: read from their sources and files, nothing imported."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from pathlib import Path
from typing import Any

from baselines.names import UserError
from baselines.registry import MethodClass, known_methods
from benchmarks.data.spec import DataError, read_spec
from benchmarks.suite import load_task, names
from leaderboard.views.site.build import Texts
from leaderboard.views.site.methods import Hyperparameter, MethodText
from leaderboard.views.site.tasks import TaskText

ROOT = Path(__file__).parents[1]
_SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
SUITES = Path(__file__).parent / "suites"


def texts() -> Texts:
    """All that a site says beside the records; documents where the project is a checkout."""
    suites = {path.stem: str(tomllib.loads(path.read_text()).get("description", "")) for path in SUITES.glob("*.toml")}
    root = ROOT if (ROOT / "docs").is_dir() and (ROOT / "README.md").is_file() else None
    return Texts({m.name: _method(m) for m in known_methods().values()}, _tasks(), suites, root)


def _method(one: MethodClass) -> MethodText:
    cls = _class(one)
    doc = (inspect.cleandoc(ast.get_docstring(cls) or "") if cls else "").partition("\n")[2]
    more, _, attributes = doc.partition("Attributes:")
    paragraphs = tuple(" ".join(part.split()).replace("``", "") for part in more.split("\n\n") if part.strip())
    words, kinds = _attributes(attributes), _annotations(cls)
    fields = tuple(
        Hyperparameter(name, kinds.get(name, ""), str(value), words.get(name, ""))
        for name, value in one.defaults.items()
    )
    source = one.source.relative_to(ROOT) if one.source.is_relative_to(ROOT) else Path(one.source.name)
    return MethodText(one.name, one.summary.replace("``", ""), paragraphs, fields, source.as_posix())


def _class(one: MethodClass) -> ast.ClassDef | None:
    name = one.target.rpartition(":")[2].rpartition(".")[2]
    found = ast.walk(ast.parse(one.source.read_text()))
    return next((node for node in found if isinstance(node, ast.ClassDef) and node.name == name), None)


def _attributes(text: str) -> dict[str, str]:
    """Name -> what it does, of the part ``Attributes:`` of a docstring; names that share a line share its words."""
    found: dict[str, str] = {}
    for match in re.finditer(r"^    (\w+(?:, \w+)*): (.*(?:\n        +.*)*)", text, re.M):
        found |= dict.fromkeys(match[1].split(", "), " ".join(match[2].split()).replace("``", ""))
    return found


def _annotations(cls: ast.ClassDef | None) -> dict[str, str]:
    fields = [node for node in (cls.body if cls else []) if isinstance(node, ast.AnnAssign)]
    return {node.target.id: _values(node.annotation) for node in fields if isinstance(node.target, ast.Name)}


def _values(node: ast.expr) -> str:
    """What a field may be, in words: ``Annotated[float, Gt(0)] | Literal["recipe"]`` -> float > 0 or "recipe"."""
    match node:
        case ast.BinOp(left, ast.BitOr(), right):
            return f"{_values(left)} or {_values(right)}"
        case ast.Subscript(ast.Name("Literal"), inner):
            return " or ".join(ast.unparse(one) for one in _parts(inner)).replace("'", '"')
        case ast.Subscript(ast.Name("Annotated"), inner):
            kind, *limits = _parts(inner)
            bounds = [bound for one in limits for bound in _bounds(one)]
            return f"{_values(kind)} {' and '.join(bounds)}".rstrip()
        case ast.Constant(None):
            return "nothing"
    return ast.unparse(node)


def _parts(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _bounds(node: ast.expr) -> list[str]:
    """``Gt(0)`` -> > 0; ``Interval(ge=1, le=6)`` -> ≥ 1 and ≤ 6."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return []
    given = [(node.func.id.lower(), one) for one in node.args] + [(str(one.arg), one.value) for one in node.keywords]
    return [f"{_SIGNS[name]} {ast.unparse(value)}" for name, value in given if name in _SIGNS]


def _tasks() -> dict[str, TaskText]:
    return {task.name: TaskText(task.description, _facts(task)) for task in map(load_task, names("task"))}


def _facts(task: Any) -> tuple[tuple[str, str], ...]:
    """Of the data of a task."""
    try:
        spec = read_spec(task.data.name)
    except (DataError, UserError):
        return ()
    pairs = [("title", spec.title), ("licence", spec.licence), ("citation", spec.citation)]
    pairs += [("home", str(getattr(spec, "homepage", "") or ""))]
    pairs += [(f"{side} OOD", ", ".join(getattr(spec, side, ()) or ())) for side in ("near", "far")]
    return tuple((name, value) for name, value in pairs if value)
