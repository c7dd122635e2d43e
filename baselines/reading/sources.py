"""Files of modules, found and read without importing anything: neither the module nor the packages above it."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import Distribution
from pathlib import Path, PurePosixPath
from urllib.parse import urlparse
from urllib.request import url2pathname

from baselines.names import UserError

LARGEST = 2**20
"""Bytes of a source file that is still read."""


@dataclass(frozen=True)
class Source:
    """A Python file that was read and not run.

    Attributes:
        path: where it lies.
        sha256: hash of the bytes that were read.
        tree: what they say.
    """

    path: Path
    sha256: str
    tree: ast.Module


def read_source(path: Path) -> Source:
    """Read and parse a file as Python would, its encoding included.

    Raises:
        UserError: it is no regular file of a sensible size, or no Python.
    """
    content = _content(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a stranger's file is not for this command's user to mend
            tree = ast.parse(content)
    except SyntaxError as error:
        raise UserError(f"{path}:{error.lineno or 1}: {error.msg}") from None
    except (ValueError, LookupError, OverflowError, RecursionError, MemoryError) as error:
        reason = str(error) or "nested too deeply"
        raise UserError(f"{path} cannot be parsed: {reason}") from None
    return Source(path, hashlib.sha256(content).hexdigest(), tree)


def _content(path: Path) -> bytes:
    try:
        status = path.stat()
        whole = stat.S_ISREG(status.st_mode)  # a FIFO would be waited for, a device never ends
        content = path.read_bytes() if whole and status.st_size <= LARGEST else b""
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise UserError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not whole:
        raise UserError(f"{path} is no regular file")
    if status.st_size > LARGEST:
        raise UserError(f"{path} has {status.st_size} bytes; a method's file has {LARGEST} at most")
    return content


@dataclass(frozen=True)
class Modules:
    """Where the modules of one distribution lie.

    Attributes:
        roots: (module, path): what lies below ``path`` is imported as what lies below ``module``; "" is the top.
        listed: path relative to the distribution's folder of every file that it installed, None where it does not say.
        folder: the folder into which it was installed; files of others lie there too.
    """

    roots: tuple[tuple[str, Path], ...]
    listed: frozenset[str] | None = None
    folder: Path | None = None

    def file(self, module: str) -> Path | None:
        """The file of ``module``, a package's ``__init__.py``; None if it has none here."""
        for base, own in self._places(module):
            paths = [base / "__init__.py", base.with_name(base.name + ".py"), *([base] if base.suffix == ".py" else [])]
            for path in paths:
                if os.path.lexists(path) and own(path):  # a broken link or a folder there is named when it is read
                    return path
        return None

    def missing(self, module: str) -> str:
        """Why ``module`` has no file to read."""
        for base, _ in self._places(module):
            compiled = [base.with_name(base.name + suffix) for suffix in (*EXTENSION_SUFFIXES, ".pyc")]
            compiled += [base / "__init__.pyc", *(base.parent / "__pycache__").glob(f"{base.name}.*.pyc")]
            if any(map(os.path.lexists, compiled)):
                return f"module {module} is compiled only; the source of a method must be readable"
        return f"there is no module {module} among its package's files"

    def _places(self, module: str) -> Iterator[tuple[Path, _Own]]:
        for prefix, path in self.roots:
            if prefix and module != prefix and not module.startswith(prefix + "."):
                continue
            rest = module[len(prefix) :].strip(".")
            own = _Own(path, self.listed) if path == self.folder else _Own(path, None)
            yield path.joinpath(*rest.split(".")) if rest else path, own


@dataclass(frozen=True)
class _Own:
    """Whether a file below ``folder`` is one that the distribution installed."""

    folder: Path
    listed: frozenset[str] | None

    def __call__(self, path: Path) -> bool:
        return self.listed is None or path.relative_to(self.folder).as_posix() in self.listed


def modules_of(distribution: Distribution) -> Modules:
    """Where the modules of an installed distribution lie, by its own list of files; editable installs included.

    An editable install lists a ``.pth`` file that names folders, or the finder that setuptools writes, which names them
    in two literals. Failing these, the folder that ``direct_url.json`` names is looked into, and its ``src``.

    Raises:
        UserError: it lies in an archive, or its metadata cannot be read.
    """
    folder = distribution.locate_file("")
    if not isinstance(folder, Path):
        raise UserError(f"its package lies in an archive ({folder}): install it unpacked")
    listed = None
    editable: list[tuple[str, Path]] = []
    if distribution.read_text("RECORD") is not None:
        files = [PurePosixPath(file) for file in distribution.files or ()]
        listed = frozenset(file.as_posix() for file in files if file.suffix == ".py")
        for file in files:
            if len(file.parts) == 1:
                editable += _of_pth(folder / file) if file.suffix == ".pth" else _of_finder(folder / file)
    editable += [("", root) for root in _of_url(distribution)]
    return Modules((("", folder), *editable), listed, folder)


def _of_pth(path: Path) -> list[tuple[str, Path]]:
    lines = _content(path).decode("utf-8", "replace").splitlines()
    folders = [line.strip() for line in lines if line.strip() and not line.startswith(("#", "import ", "import\t"))]
    return [("", path.parent / folder) for folder in folders]


def _of_finder(path: Path) -> list[tuple[str, Path]]:
    if not (path.name.startswith("__editable__") and path.name.endswith("_finder.py")):
        return []
    found: list[tuple[str, Path]] = []
    for statement in read_source(path).tree.body:
        target = statement.target if isinstance(statement, ast.AnnAssign) else None
        if isinstance(target, ast.Name) and target.id in ("MAPPING", "NAMESPACES"):
            for module, folders in ast.literal_eval(statement.value).items():  # type: ignore[union-attr]
                found += [(module, Path(one)) for one in ([folders] if isinstance(folders, str) else folders)]
    return found


def _of_url(distribution: Distribution) -> list[Path]:
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        return []
    folder = Path(url2pathname(urlparse(origin["url"]).path))
    return [folder / "src", folder]
