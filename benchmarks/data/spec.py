"""Read what a data set is from one TOML file; say in one line what is wrong with it. Imports no torch."""

from __future__ import annotations

import difflib
import importlib.util
import os
import tomllib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from benchmarks.data.schema import (
    CORRUPTIONS,
    KINDS,
    SEVERITIES,
    SOURCES,
    Builtin,
    DataError,
    DataSpec,
    Hub,
    Idx,
    ImageSpec,
    Local,
    Split,
    TableSpec,
    Unreachable,
)

__all__ = [
    "CORRUPTIONS",
    "SEVERITIES",
    "Builtin",
    "DataError",
    "DataSpec",
    "Hub",
    "Idx",
    "ImageSpec",
    "Local",
    "TableSpec",
    "Unreachable",
    "named_columns",
    "names",
    "read_spec",
]

SPECS = Path(__file__).parent


def names() -> list[str]:
    """Names of all data sets that come with the package."""
    return sorted(path.stem for path in SPECS.glob("*.toml"))


def read_spec(name: str | PathLike[str]) -> DataSpec:
    """Read the spec of a data set.

    Args:
        name: one of `names()`, or the path of a TOML file of your own.

    Raises:
        DataError: no such data set, or the TOML is not a spec: the first thing that is wrong, in one line.
    """
    name = os.fspath(name)
    path = Path(name) if name.endswith(".toml") else SPECS / f"{name}.toml"
    if "\0" in name or not path.is_file():
        raise DataError(f"no data set {name!r}; {_did_you_mean(name, names()) or 'there are ' + ', '.join(names())}")
    table = _read_toml(path)
    kind = table.get("kind", "image")
    if not isinstance(kind, str) or kind not in KINDS:
        hint = _did_you_mean(str(kind), list(KINDS)) or "there are " + ", ".join(KINDS)
        raise DataError(f"{path}: unknown kind {kind!r}; {hint}")
    try:
        spec = KINDS[kind].model_validate({"name": path.stem, **table})
    except ValidationError as error:
        raise DataError(f"{path}: {_first_fault(error, KINDS[kind])}") from error
    spec = _anchored(spec, path.parent)
    return spec.model_copy(update={"sources": (*_own_copy(spec), *spec.sources)})


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a TOML file in UTF-8: {error}") from error
    except RecursionError as error:
        raise DataError(f"{path}: not a TOML file of a data set: brackets inside brackets, too deep to read") from error
    data = table.get("data")
    if "recipe" in table and isinstance(data, Mapping):
        name = data.get("name")
        raise DataError(f"{path} is a task, not a data set; its data set is {name!r}: ivi data {name}")
    if "methods" in table and "tasks" in table:
        raise DataError(f"{path} is a suite, not a data set: ivi plan {path}")
    return table


def _anchored(spec: DataSpec, folder: Path) -> DataSpec:
    """``spec`` with every relative path counted from ``folder``, where its file lies."""

    def source(given: Builtin | Idx | Hub | Local) -> Builtin | Idx | Hub | Local:
        if isinstance(given, Local):
            if given.package is not None:
                return given.model_copy(update={"path": folder_of_package(given.package) / given.path})
            return given.model_copy(update={"path": folder / given.path})
        return given.model_copy(update={"folder": folder / given.folder}) if isinstance(given, Idx) else given

    def other(name: str) -> str:
        return str(folder / name) if name.endswith(".toml") else name

    update: dict[str, Any] = {"sources": tuple(map(source, spec.sources))}
    update |= {"near": tuple(map(other, spec.near)), "far": tuple(map(other, spec.far))}
    if isinstance(spec, ImageSpec) and spec.published_corruptions:
        update["published_corruptions"] = other(spec.published_corruptions)
    return spec.model_copy(update=update)


def folder_of_package(package: str) -> Path:
    """Where an installed package lies; one that is not installed: a folder of its name, which is not there."""
    try:
        found = importlib.util.find_spec(package.replace("-", "_"))
    except (ImportError, ValueError):
        found = None
    return Path(found.origin).parent if found and found.origin else Path(f"<package {package}>")


def _own_copy(spec: DataSpec) -> list[Local]:
    """The folder $IVI_DATA/NAME, if there is one: files "SPLIT*" of a format, or image folders SPLIT/CLASS/IMAGE."""
    place = os.environ.get("IVI_DATA")
    if not place:
        return []
    if not Path(place).is_dir():
        raise DataError(f"$IVI_DATA is {place}, which is not a folder: make it, or unset the variable")
    folder = Path(place) / spec.name
    if not folder.is_dir():
        return []
    columns = named_columns(spec)
    for kind in spec.FORMATS:
        if kind != "imagefolder" and any(folder.rglob(f"*.{kind}")):
            return [Local.model_validate({"kind": "local", "format": kind, "path": folder, **columns})]
    return [Local(kind="local", format="imagefolder", path=folder)] if "imagefolder" in spec.FORMATS else []


def named_columns(spec: DataSpec) -> dict[str, str | None]:
    """Columns that a copy of one's own must name as the hub's does.

    Which image column there is can be seen; which of several label columns is meant cannot.
    """
    if isinstance(spec, TableSpec):
        return {}
    hub = next((source for source in spec.sources if isinstance(source, Hub)), None)
    if hub is not None:
        return hub.model_dump(include={"label", "corruption", "severity"})
    return {"corruption": "corruption", "severity": "severity"} if "corrupted" in spec.splits else {}


def _first_fault(error: ValidationError, spec: type[BaseModel]) -> str:
    faults = error.errors(include_url=False)
    fault = min(faults, key=lambda f: f["type"] != "extra_forbidden")  # an unknown key explains a missing one
    where = ".".join(str(part) for part in fault["loc"]) or "the spec"
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    if fault["type"] == "extra_forbidden":
        key, model = str(fault["loc"][-1]), _model_at(fault["loc"], spec)
        return f"unknown key {where!r}; {_did_you_mean(key, list(model.model_fields)) or 'remove it'}{more}"
    known = ", ".join(SOURCES)
    if fault["type"] == "union_tag_not_found":
        return f"{where}: kind is missing; there are {known}{more}"
    if fault["type"] == "union_tag_invalid":
        kind = str(fault.get("ctx", {}).get("tag"))
        return f"unknown source {kind!r} in {where}; {_did_you_mean(kind, list(SOURCES)) or 'there are ' + known}{more}"
    return f"{where}: {fault['msg'].removeprefix('Value error, ')}{more}"


def _model_at(location: tuple[int | str, ...], spec: type[BaseModel]) -> type[BaseModel]:
    where = location[0] if location else ""
    if where == "sources" and len(location) > 3:
        return SOURCES[str(location[2])]
    return Split if where == "splits" and len(location) > 2 else spec


def _did_you_mean(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f"did you mean {close[0]!r}?" if close else ""
