"""The method of a bundle, from the snapshot of its source alone: whatever is installed under that name is not asked."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from baselines import registry
from baselines.names import UserError
from baselines.spec import MethodSpec, parse
from leaderboard.submission.manifest import SOURCE, Manifest


@contextmanager
def snapshot(bundle: Path, manifest: Manifest, scratch: Path) -> Iterator[MethodSpec]:
    """The method's spec for the block: a copy of its source lies in ``scratch`` and comes first on the path.

    A package is laid out as an installer would leave it, so that workers import it by its own name.

    Raises:
        UserError: the source is not what the manifest says, or holds no such method.
    """
    site = scratch / "site"
    _copy(bundle / SOURCE, manifest, site)
    method, before = manifest.method, list(sys.path)
    arguments = method.label[method.label.index("(") :] if "(" in method.label else ""
    if method.package is None:
        file, _, cls = method.entry.rpartition(":")
        text = f"{site / file}:{cls}{arguments}"
    else:
        entry = method.name.rpartition("/")[2]
        _installed(site, manifest, entry)
        sys.path.insert(0, str(site))
        text = f"{method.package}/{entry}{arguments}"
    registry.forget()
    try:
        spec = parse(text)
        if spec.source_sha256 != manifest.source_hash:
            raise UserError(f"the source of '{spec.name}' is not that which the manifest names")
        yield spec
    finally:
        sys.path[:] = before
        registry.forget()


def _copy(source: Path, manifest: Manifest, site: Path) -> None:
    for name, sha in manifest.source.files.items():
        path = source / name
        if path.is_symlink() or not path.is_file() or _sha(path) != sha:
            raise UserError(f"{SOURCE}/{name} is not the file that the manifest names")
        target = site / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _installed(site: Path, manifest: Manifest, entry: str) -> None:
    """What an installer would write beside the files of a package: enough for it to be found."""
    method = manifest.method
    info = site / f"{str(method.package).replace('-', '_')}-{method.version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {method.package}\nVersion: {method.version}\n")
    (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{entry} = {method.entry}\n")
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in [*manifest.source.files, f"{info.name}/METADATA"]))


def _sha(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
