"""The class that a module and a name mean, followed through imports in the source, and the classes it inherits from."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from baselines.names import UserError, unknown
from baselines.reading.bindings import Binding, bindings, dotted
from baselines.reading.sources import Modules, Source, read_source

FIELDLESS = ("typing", "typing_extensions", "abc", "collections.abc")
"""Modules whose classes bring no hyperparameters (Protocol, Generic, ABC)."""
PACKAGE = "ivi-bench"
"""The distribution whose methods are built in: nobody else can have their names."""
OWN = Modules(roots=(("baselines", Path(__file__).parent.parent),))
"""Our own modules: a method may inherit from a built-in one."""
Seen = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class ClassSource:
    """A class as it stands in its file.

    Attributes:
        module: module in which it is defined, wherever it is imported from there.
        qualname: its name in that module.
        node: its definition.
        source: the file.
    """

    module: str
    qualname: str
    node: ast.ClassDef
    source: Source


@dataclass(frozen=True)
class _Module:
    """A module that a name means."""

    name: str


class Lookup:
    """Follows names through the modules of one distribution, and through our own."""

    def __init__(self, modules: Modules) -> None:
        self.modules = modules
        self._sources: dict[Path, Source] = {}
        self._bindings: dict[Path, dict[str, list[Binding]]] = {}

    def find(self, module: str, qualname: str) -> ClassSource:
        """The class that ``from module import name`` would give, or the class inside of it that ``qualname`` names.

        Raises:
            UserError: there is none, or it cannot be told without running the source.
        """
        thing = self._dotted(module, qualname.split("."), frozenset())
        if isinstance(thing, _Module):
            raise UserError(f"{qualname} of {module} is a module, not a class")
        return thing

    def ancestors(self, cls: ClassSource) -> list[ClassSource]:
        """The class and all that it inherits from, in Python's order of resolution.

        Raises:
            UserError: one of them is neither in the distribution's own files nor in ours.
        """
        return [vars(dummy)["described"] for dummy in self._dummy(cls, {}, frozenset()).__mro__[:-1]]

    def bound(self, source: Source) -> dict[str, list[Binding]]:
        """What the module in ``source`` binds."""
        if source.path not in self._bindings:
            self._bindings[source.path] = bindings(source.tree)
        return self._bindings[source.path]

    def _dummy(self, cls: ClassSource, made: dict[tuple[str, str], type], below: Seen) -> type:
        """An empty class with the same bases: Python itself then finds the order of resolution."""
        key = (cls.module, cls.qualname)
        if key in below:
            raise UserError(f"class {cls.qualname} of {cls.source.path} inherits from itself")
        if key not in made:
            bases = [self._base(cls, expression) for expression in cls.node.bases]
            parents = tuple(self._dummy(base, made, below | {key}) for base in bases if base is not None)
            try:
                made[key] = type(cls.node.name, parents, {"described": cls})
            except TypeError as error:
                raise UserError(f"class {cls.qualname} of {cls.source.path}: {error}") from None
        return made[key]

    def _base(self, cls: ClassSource, expression: ast.expr) -> ClassSource | None:
        """The class that a base means; None for one that is known to bring no fields."""
        names = dotted(expression.value if isinstance(expression, ast.Subscript) else expression)  # Generic[T]
        if names is None:
            raise UserError(f"{cls.source.path}:{expression.lineno}: base {ast.unparse(expression)[:80]} is no name")
        if names == ["object"] or self._fieldless(cls.source, names[0]):
            return None
        try:
            thing = self._dotted(cls.module, names, frozenset())
        except UserError as error:
            base = f"class {cls.qualname} inherits from {'.'.join(names)}"
            raise UserError(f"{base}, which must be its own package's or {PACKAGE}'s: {error}") from None
        return thing if isinstance(thing, ClassSource) else None

    def _fieldless(self, source: Source, name: str) -> bool:
        found = self.bound(source).get(name)
        if not found:
            return False
        match found[-1]:
            case Binding(statement=ast.ImportFrom(module=module, level=0)):
                return module in FIELDLESS
            case Binding(value=ast.alias(name=module), statement=ast.Import()):
                return module in FIELDLESS
        return False

    def _dotted(self, module: str, names: list[str], seen: Seen) -> ClassSource | _Module:
        thing = self._thing(module, names[0], seen)
        for name in names[1:]:
            thing = self._thing(thing.name, name, seen) if isinstance(thing, _Module) else _inner(thing, name)
        return thing

    def _thing(self, module: str, name: str, seen: Seen) -> ClassSource | _Module:
        """What ``name`` means in ``module``."""
        source = self._source(module)
        if (module, name) in seen:
            raise UserError(f"{source.path} imports {name} in a circle")
        seen |= {(module, name)}
        found = self.bound(source).get(name)
        if not found:
            return self._unbound(module, name, seen)
        if len(found) > 1 and any(binding.conditional for binding in found):
            raise UserError(f"{source.path} binds {name} {len(found)} times, and only running it tells which holds")
        where = f"{source.path}:{found[-1].statement.lineno}"
        match found[-1].value:
            case ast.ClassDef() as node:
                return ClassSource(module, name, node, source)
            case ast.alias() as alias:
                return self._imported(module, found[-1].statement, alias, seen)
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                names = dotted(value)
                if names is None:
                    raise UserError(f"{where}: {name} is made by an expression, not by a class statement")
                return self._dotted(module, names, seen)
        raise UserError(f"{where}: {name} is a function, not a class")

    def _imported(self, module: str, statement: ast.stmt, alias: ast.alias, seen: Seen) -> ClassSource | _Module:
        """What an import statement of ``module`` binds: an attribute of a module before a module inside of it."""
        if not isinstance(statement, ast.ImportFrom):
            return _Module(alias.name if alias.asname else alias.name.partition(".")[0])
        origin, name = self._origin(module, statement), alias.name
        known = self._file(origin) is not None
        if known and (origin, name) not in seen and name in self.bound(self._source(origin)):
            return self._thing(origin, name, seen)
        if self._file(f"{origin}.{name}") is not None:
            return _Module(f"{origin}.{name}")
        if known:
            return self._thing(origin, name, seen)
        where = f"{self._source(module).path}:{statement.lineno}"
        raise UserError(f"{where} imports {name} from {origin}: {self.modules.missing(origin)}")

    def _unbound(self, module: str, name: str, seen: Seen) -> ClassSource | _Module:
        """What ``name`` means in ``module`` where no statement there names it: from a star, or a module inside."""
        source = self._source(module)
        for statement in reversed(source.tree.body):
            if isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*":
                origin = self._origin(module, statement)
                if self._file(origin) is not None and self._exports(origin, name):
                    try:
                        return self._thing(origin, name, seen)
                    except UserError:  # not there: an earlier star may bring it
                        continue
        if self._file(f"{module}.{name}") is not None:
            return _Module(f"{module}.{name}")
        found = self.bound(source).items()
        raise unknown(
            f"class in {source.path}", name, [key for key, v in found if isinstance(v[-1].value, ast.ClassDef)]
        )

    def _exports(self, module: str, name: str) -> bool:
        """Whether ``from module import *`` brings ``name``, if it is there."""
        for binding in self.bound(self._source(module)).get("__all__", []):
            if isinstance(binding.value, ast.Assign) and isinstance(binding.value.value, ast.List | ast.Tuple):
                return name in [one.value for one in binding.value.value.elts if isinstance(one, ast.Constant)]
        return not name.startswith("_")

    def _origin(self, module: str, statement: ast.ImportFrom) -> str:
        """The module from which ``statement`` imports, written out."""
        if not statement.level:
            return statement.module or ""
        parts = module.split(".")
        up = statement.level - (self._source(module).path.name == "__init__.py")
        return ".".join([*parts[: max(len(parts) - up, 0)], *([statement.module] if statement.module else [])])

    def _file(self, module: str) -> Path | None:
        if not all(part.isidentifier() for part in module.split(".")):
            return None
        return (OWN if module.partition(".")[0] == "baselines" else self.modules).file(module)

    def _source(self, module: str) -> Source:
        path = self._file(module)
        if path is None:
            raise UserError(self.modules.missing(module))
        if path not in self._sources:
            self._sources[path] = read_source(path)
        return self._sources[path]


def _inner(cls: ClassSource, name: str) -> ClassSource:
    for node in reversed(cls.node.body):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return ClassSource(cls.module, f"{cls.qualname}.{name}", node, cls.source)
    raise UserError(f"class {cls.qualname} of {cls.source.path} has no class {name} inside")
