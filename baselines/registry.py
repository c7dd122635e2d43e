"""Which methods there are, and what their hyperparameters are: read from their source, without importing torch.

A method is found by name among the entry points of group ``ivi.baselines``, or in a file (``path/to/file.py:Class``).
`variants.toml` names method specs that deserve a name of their own.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from baselines.names import UserError, unknown
from baselines.protocol import Method

GROUP = "ivi.baselines"
SCALARS = {"int": int, "float": float, "str": str, "bool": bool, "None": None}


@dataclass(frozen=True)
class MethodClass:
    """A method's class as its source file describes it.

    Attributes:
        name: what it is called on the command line.
        target: ``module:Class`` or ``/path/file.py:Class``.
        package: distribution that brought it; None for a file.
        summary: first line of its docstring.
        source: its file.
        defaults: hyperparameters and their default values.
        fields: pydantic model that checks hyperparameters.
    """

    name: str
    target: str
    package: str | None
    summary: str
    source: Path
    defaults: dict[str, Any]
    fields: type[BaseModel]

    @property
    def source_sha256(self) -> str:
        """Hash of the source file."""
        return hashlib.sha256(self.source.read_bytes()).hexdigest()

    def resolve(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """All hyperparameters, checked, from those that were passed.

        Raises:
            UserError: an unknown name or a value of the wrong type.
        """
        for key in parameters:
            if key not in self.defaults:
                raise unknown(f"parameter of method '{self.name}'", key, self.defaults)
        try:
            return self.fields(**parameters).model_dump()
        except ValidationError as error:
            first = error.errors()[0]
            raise UserError(
                f"method '{self.name}': {first['loc'][0]}={first['input']!r}: {first['msg'].lower()}"
            ) from None

    def create(self, parameters: dict[str, Any]) -> Method:
        """Import the class and make the method. The only place here that runs its code."""
        return _import(self.target)(**parameters)


@cache
def known_methods() -> dict[str, MethodClass]:
    """Every installed method by name."""
    found = {}
    for point in entry_points(group=GROUP):
        module, _, cls = point.value.partition(":")
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            raise UserError(f"method '{point.name}': its module {module} cannot be found; is its package whole?")
        package = point.dist.name if point.dist else None
        found[point.name] = describe(point.name, point.value, Path(spec.origin), cls, package)
    return found


@cache
def variants() -> dict[str, str]:
    """Named variants: name -> method spec."""
    return tomllib.loads((Path(__file__).parent / "variants.toml").read_text())


def find(name: str) -> MethodClass:
    """The method called ``name``, or the class in a file for ``path/to/file.py:Class``.

    Raises:
        UserError: there is none.
    """
    path, separator, cls = name.rpartition(":")
    if separator and path.endswith(".py"):
        file = Path(path).resolve()
        if not file.is_file():
            raise UserError(f"no such file: {path} (a method from a file is written path/to/file.py:Class)")
        return describe(name, f"{file}:{cls}", file, cls, None)
    methods = known_methods()
    if name not in methods:
        raise unknown("method", name, [*methods, *variants()])
    return methods[name]


def describe(name: str, target: str, source: Path, cls: str, package: str | None) -> MethodClass:
    """Read class ``cls`` of file ``source`` without running it."""
    try:
        tree = ast.parse(source.read_text())
    except SyntaxError as error:
        raise UserError(f"{source}:{error.lineno}: {error.msg}") from None
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    if cls not in classes:
        raise unknown(f"class in {source}", cls, classes)
    node = classes[cls]
    fields: dict[str, Any] = {}
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            fields[statement.target.id] = (_type(statement.annotation), _default(statement, source))
    model = create_model(cls, __config__=ConfigDict(strict=True, extra="forbid"), **fields)
    summary = (ast.get_docstring(node) or "").strip().partition("\n")[0]
    defaults = {key: default for key, (_, default) in fields.items()}
    return MethodClass(name, target, package, summary, source, defaults, model)


def _default(statement: ast.AnnAssign, source: Path) -> Any:
    try:
        return ast.literal_eval(statement.value)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        raise UserError(
            f"{source}:{statement.lineno}: every hyperparameter needs a default that is a plain number, string or bool"
        ) from None


def _type(node: ast.expr) -> Any:
    """The type an annotation means, Any where it is not a plain one."""
    match node:
        case ast.Name(id) if id in SCALARS:
            return SCALARS[id]
        case ast.Constant(None):
            return None
        case ast.BinOp(left, ast.BitOr(), right):
            return _type(left) | _type(right)
        case ast.Subscript(ast.Name("Literal"), values):
            choices = ast.literal_eval(values)
            return Literal[choices if isinstance(choices, tuple) else (choices,)]  # type: ignore[valid-type]
    return Any


def _import(target: str) -> Any:
    module_name, _, cls = target.rpartition(":")
    if not module_name.endswith(".py"):
        return getattr(importlib.import_module(module_name), cls)
    spec = importlib.util.spec_from_file_location(Path(module_name).stem, module_name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, cls)
