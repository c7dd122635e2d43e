"""Which methods there are, and what their hyperparameters are: read from their source, without importing anything.

A method is found by name among the entry points of group ``ivi.baselines``, or in a file (``path/to/file.py:Class``).
`variants.toml` names method specs that deserve a name of their own, `same_numbers.toml` sources that were changed and
give the numbers of older ones.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from baselines.names import UserError, check_name, one_line, unknown
from baselines.reading.declared import check_declared
from baselines.reading.fields import Hyperparameter, hyperparameters, message
from baselines.reading.lookup import OWN, PACKAGE, ClassSource, Lookup
from baselines.reading.sources import Modules, modules_of

GROUP = "ivi.baselines"
VALUE = re.compile(r"(?P<module>\w+(\.\w+)*)\s*:\s*(?P<cls>\w+(\.\w+)*)\s*(\[.*\])?")
"""What an entry point means: ``module:Class``, with extras that are of no matter here."""


@dataclass(frozen=True)
class MethodClass:
    """A method's class as its source describes it.

    Attributes:
        name: what it is called on the command line.
        target: where it is defined: ``module:Class`` or ``/path/file.py:Class``.
        package: distribution that brought it, and its version; None for a file.
        summary: first line of its docstring.
        source: its file.
        source_sha256: hash of its file, or of an older one that gives the same numbers; of the hashes of all files,
            where it inherits from classes of others.
        files: the files that ``source_sha256`` is made of.
        hyperparameters: its fields, inherited ones included.
    """

    name: str
    target: str
    package: str | None
    package_version: str | None
    summary: str
    source: Path
    source_sha256: str
    files: tuple[Path, ...] = field(repr=False)
    hyperparameters: dict[str, Hyperparameter] = field(repr=False)

    @property
    def defaults(self) -> dict[str, Any]:
        """Hyperparameters and their default values."""
        return {name: one.default for name, one in self.hyperparameters.items()}

    def resolve(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """All hyperparameters, checked, from those that were passed. One that is a method stays a spec.

        Raises:
            UserError: an unknown name, or a value of the wrong type or out of bounds.
        """
        for key in parameters:
            if key not in self.hyperparameters:
                raise unknown(f"parameter of method '{self.name}'", key, self.hyperparameters)
        resolved = self.defaults
        for key, value in parameters.items():
            try:
                checked = self.hyperparameters[key].check.validate_python(value)
            except ValidationError as error:
                raise UserError(f"method '{self.name}': {key}={value!r}: {message(error)}") from None
            if checked != resolved[key] or isinstance(checked, bool) != isinstance(resolved[key], bool):
                resolved[key] = checked  # 1.0 for a default of 1 would be another method to a hash, and to nobody else
        return resolved


@dataclass(frozen=True)
class _Package:
    """A distribution that declares methods, by its normalized name."""

    name: str
    version: str
    distribution: Distribution


@dataclass(frozen=True)
class _Entry:
    """One entry point: the name it declares, and the class, or why there is none."""

    name: str
    package: str
    method: MethodClass | str


def known_methods() -> dict[str, MethodClass]:
    """Every installed method that can be used, by name: the built-in ones first."""
    return {name: entry.method for name, entry in _installed().items() if isinstance(entry.method, MethodClass)}


def unavailable() -> dict[str, str]:
    """Why a declared method cannot be used, by name."""
    return {one_line(name): entry.method for name, entry in _installed().items() if isinstance(entry.method, str)}


@cache
def variants() -> dict[str, str]:
    """Named variants: name -> method spec."""
    return tomllib.loads((Path(__file__).parent / "variants.toml").read_text())


@cache
def _same_numbers() -> dict[str, str]:
    """Hash of a method's source -> that of an older one that gives the same numbers."""
    declared = tomllib.loads((Path(__file__).parent / "same_numbers.toml").read_text())
    return {one["now"]: one["as"] for one in declared.get("method", [])}


def find(name: str) -> MethodClass:
    """The method called ``name`` or ``package/name``, or the class in a file for ``path/to/file.py:Class``.

    Raises:
        UserError: there is none, it cannot be used, or several packages have one of that name.
    """
    path, separator, cls = name.rpartition(":")
    if separator and path.endswith(".py"):
        return _in_file(path, cls)
    entries = _installed()
    entry = entries.get(name) or next((e for e in entries.values() if name == f"{e.package}/{e.name}"), None)
    if entry is None:
        same = [key for key, one in entries.items() if one.name == name]
        if same:
            raise UserError(f"several packages have a method '{name}': write {' or '.join(same)}")
        raise unknown("method", name, [*known_methods(), *variants()])
    if isinstance(entry.method, str):
        raise UserError(f"method '{name}' is unavailable: {entry.method}")
    return entry.method


def _in_file(path: str, cls: str) -> MethodClass:
    file = Path(os.path.abspath(path))
    if not os.path.lexists(file):
        raise UserError(f"no such file: {path} (a method from a file is written path/to/file.py:Class)")
    lookup = Lookup(Modules((("method", file),)))
    found = lookup.find("method", cls)
    name = check_name("method", snake_case(cls.rpartition(".")[2]))
    if name in _reserved():
        raise UserError(f"class {cls} of {path} would be called '{name}', which is a built-in name: rename the class")
    return _described(name, found, lookup, None, None, f"{file}:{found.qualname}")


def read_class(root: Path, module: str, cls: str, name: str, package: str | None, version: str | None) -> MethodClass:
    """The class ``cls`` of a ``module`` below the folder ``root``, or of a file there, as if it were called ``name``.

    Raises:
        UserError: there is none, or it cannot be told without running the source.
    """
    if module.endswith(".py"):
        lookup, where = Lookup(Modules((("method", root / module),))), "method"
    else:
        lookup, where = Lookup(Modules((("", root),))), module
    return _described(name, lookup.find(where, cls), lookup, package, version, f"{module}:{cls}")


def snake_case(name: str) -> str:
    """A class's name as a method's.

    Example:
        >>> [snake_case(name) for name in ("LastLayerEnsemble", "MCDropout", "SWAG", "Rank2VI")]
        ['last_layer_ensemble', 'mc_dropout', 'swag', 'rank2_vi']
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower().strip("_")


def _described(
    name: str, cls: ClassSource, lookup: Lookup, package: str | None, version: str | None, target: str
) -> MethodClass:
    fields, classes = hyperparameters(cls, lookup)
    check_declared(classes)
    files = {one.source.sha256: one.source.path for one in reversed(classes)}
    hashes = list(dict.fromkeys(one.source.sha256 for one in classes))
    whole = hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    paths = tuple(files[one] for one in hashes)
    whole = _same_numbers().get(whole, whole) if package == PACKAGE else whole
    summary = one_line((ast.get_docstring(cls.node) or "").strip().partition("\n")[0])
    return MethodClass(name, target, package, version, summary, cls.source.path, whole, paths, fields)


@cache
def _installed() -> dict[str, _Entry]:
    """Every declared method by the name that tells it from all others, the built-in ones first."""
    entries = [entry for package in _packages() for entry in _entries(package)]
    own = [entry for entry in entries if entry.package == PACKAGE]
    found = {entry.name: entry for entry in sorted(own, key=lambda one: isinstance(one.method, MethodClass))}
    reserved = {*found, *variants()}
    others = sorted((entry for entry in entries if entry.package != PACKAGE), key=lambda one: (one.name, one.package))
    named = Counter(entry.name for entry in others)
    for entry in others:
        alone = entry.name not in reserved and named[entry.name] == 1
        key = entry.name if alone else f"{entry.package}/{entry.name}"
        method = entry.method if isinstance(entry.method, str) else replace(entry.method, name=key)
        found[key] = _Entry(entry.name, entry.package, method)
    return found


def _reserved() -> set[str]:
    return {entry.name for entry in _installed().values() if entry.package == PACKAGE} | set(variants())


def _packages() -> Iterator[_Package]:
    """Every distribution that declares methods; of two with one name the first, as in an import.

    Ours is the exception: whatever calls itself that comes through, and `_method` takes our own files alone.
    """
    seen: set[str] = set()
    for distribution in distributions():
        try:
            if GROUP not in (distribution.read_text("entry_points.txt") or ""):
                continue
            metadata = distribution.metadata
            name, version = re.sub(r"[-_.]+", "-", str(metadata["Name"])).lower(), str(metadata["Version"])
        except Exception:  # noqa: BLE001, S112 - metadata that cannot be read declares nothing
            continue
        if name == PACKAGE or name not in seen:
            yield _Package(name, one_line(version)[:80], distribution)
        seen.add(name)


def _entries(package: _Package) -> Iterator[_Entry]:
    declared: dict[str, set[str]] = {}
    for name, value in _lines(package.distribution.read_text("entry_points.txt") or ""):
        declared.setdefault(name, set()).add(value)
    for name, values in declared.items():
        try:
            if len(values) > 1:
                raise UserError(f"package {package.name} declares it {len(values)} times")
            yield _Entry(name, package.name, _method(package, name, values.pop()))
        except UserError as error:
            yield _Entry(name, package.name, str(error))
        except Exception as error:  # noqa: BLE001 - what a stranger's package may do wrong has no end
            yield _Entry(name, package.name, one_line(f"it cannot be read: {type(error).__name__}: {error}"[:300]))


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Names and values of our group. A line that is neither a section nor an assignment harms nothing but itself."""
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]").strip()
        elif section == GROUP and line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            yield name.strip(), value.strip()


def _method(package: _Package, name: str, value: str) -> MethodClass:
    check_name("method", name)
    check_name("package", package.name)
    match = VALUE.fullmatch(value)
    if match is None:
        raise UserError(f"its entry point is '{value[:80]}'; an entry point is written module:Class")
    lookup = Lookup(OWN if package.name == PACKAGE else modules_of(package.distribution))
    cls = lookup.find(match["module"], match["cls"])
    if package.name != PACKAGE and cls.module.partition(".")[0] == "baselines":
        raise UserError(f"its class {cls.qualname} is {PACKAGE}'s; a method of another package is a class of its own")
    return _described(name, cls, lookup, package.name, package.version, f"{cls.module}:{cls.qualname}")


def forget() -> None:
    """Read the sources again when they are next asked for."""
    _installed.cache_clear()
