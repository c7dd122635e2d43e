"""Files that a repository once held, read out of its history: nothing is downloaded, every full clone has them."""

from __future__ import annotations

import hashlib
import subprocess
from functools import lru_cache
from pathlib import Path


class NotInClone(Exception):
    """The history of this clone has no such file."""


class NotInHistory(NotInClone):
    """No commit of a clone that has them all ever had it."""


def read(path: Path, sha256: str, limit: int) -> bytes:
    """What lay at ``path`` in some commit and has this SHA-256.

    Args:
        path: where the file was, in a folder of the clone that still is.
        sha256: of its content, in hexadecimal digits.
        limit: its length in bytes; longer ones are not read further.

    Raises:
        NotInClone: no commit of this clone has it; the message says why.
        NotInHistory: and the clone is whole, so that no other commit can be fetched.
    """
    folder = next(one for one in path.absolute().parents if one.is_dir())
    root = Path(_git(folder, "rev-parse", "--show-toplevel").decode().strip())
    name = path.absolute().resolve().relative_to(root.resolve()).as_posix()
    for blob in _added(root).get(name, ()):
        content = _git(root, "cat-file", "blob", blob, limit=limit + 1)
        if hashlib.sha256(content).hexdigest() == sha256:
            return content
    if _git(root, "rev-parse", "--is-shallow-repository").strip() == b"true":
        raise NotInClone(f"this clone does not hold the commits that had {name}: git fetch --unshallow")
    raise NotInHistory(f"no commit of this clone has {name} with SHA-256 {sha256[:12]}…")


@lru_cache(maxsize=4)
def _added(root: Path) -> dict[str, tuple[str, ...]]:
    """Path -> its contents' names in git, of every file that some commit before HEAD has added."""
    found: dict[str, tuple[str, ...]] = {}
    listed = _git(root, "log", "--raw", "--no-abbrev", "--no-renames", "--diff-filter=AM", "--format=", "-z")
    parts = listed.decode(errors="surrogateescape").split("\0")
    for head, name in zip(parts[::2], parts[1::2], strict=False):
        blob = head.split()[3]
        found[name] = (*found.get(name, ()), blob)
    return found


def _git(folder: Path, *arguments: str, limit: int = -1) -> bytes:
    command = ["git", "--no-pager", "-c", "log.showSignature=false", "-C", str(folder), *arguments]
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
            assert running.stdout is not None and running.stderr is not None
            content = running.stdout.read(limit)
            running.stdout.close()
            problem = running.stderr.read().decode(errors="replace").strip()
    except FileNotFoundError:
        raise NotInClone("git is not installed") from None
    if running.returncode and not content:
        raise NotInClone(f"git {arguments[0]}: {problem.splitlines()[-1] if problem else 'failed'}")
    return content
