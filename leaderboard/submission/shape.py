"""The shape of a bundle: which files it may hold, how many and how large, before one of them is believed."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from leaderboard.cost import SUFFIX as COSTS
from leaderboard.plan import SUFFIX as PLAN
from leaderboard.record import RecordError
from leaderboard.shelf import LOG as RUN_LOG
from leaderboard.shelf import PREDICTIONS, SCORES
from leaderboard.submission.findings import Finding, refused
from leaderboard.submission.manifest import (
    CHALLENGES,
    COST,
    LOG,
    MANIFEST,
    RECORDS,
    REVIEWS,
    SOURCE,
    Manifest,
    read_manifest,
    submitted_files,
)

MOST_FILES, DEEPEST, LARGEST = 5_000, 9, 256 * 2**20
"""Files of a bundle, folders in folders, and bytes in all."""
MIB = 2**20
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,=+-]{0,199}")
TEXTS = (".py", ".toml", ".md", ".txt", ".cfg", ".pyi")
"""What a method's source may be made of."""
_HEADER = 2**20
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.I)
_FOREIGN = {
    b"PK\x03\x04": "a zip file (a checkpoint of torch, perhaps)",
    b"\x1f\x8b": "a gzip file",
    b"\x93NUMPY": "an array of numpy, which may hold a pickle",
    b"\x89HDF": "an HDF5 file",
    b"\x7fELF": "a program",
    b"MZ": "a program",
}


@dataclass(frozen=True)
class _Kind:
    """What may lie in one place of a bundle."""

    pattern: re.Pattern[str]
    largest: int
    is_text: bool = True


def _kind(pattern: str, largest: int, is_text: bool = True) -> _Kind:
    return _Kind(re.compile(pattern), largest, is_text)


_RUN = rf"{RECORDS}/[^/]+/[^/]+/[^/]+"
KINDS = (
    _kind(re.escape(MANIFEST), MIB),
    _kind(re.escape(LOG), MIB),
    _kind(rf"{RECORDS}/[^/]+{re.escape(PLAN)}", 4 * MIB),
    _kind(rf"{_RUN}{re.escape(PREDICTIONS)}", 64 * MIB, False),
    _kind(rf"{_RUN}({re.escape(SCORES)}|\.json)", 2 * MIB),
    _kind(rf"{_RUN}{re.escape(RUN_LOG)}", MIB),
    _kind(rf"{COST}/[^/]+/[^/]+{re.escape(COSTS)}", 2 * MIB),
    _kind(rf"{SOURCE}/.+({'|'.join(map(re.escape, TEXTS))})", MIB),
    _kind(rf"({REVIEWS}|{CHALLENGES})/[^/]+\.json", MIB),
    _kind(rf"{CHALLENGES}/\d+/[^/]+\.(json|txt|log)", 2 * MIB),
    _kind(rf"{CHALLENGES}/\d+/[^/]+\.safetensors", 64 * MIB, False),
)


def shape(bundle: Path, *, incoming: bool = True) -> tuple[list[Finding], Manifest | None]:
    """What is wrong with the files of a bundle, and its manifest if that can be read.

    Args:
        bundle: the folder.
        incoming: whether it comes from outside: then it has no reviews, which the board writes.
    """
    if bundle.is_symlink() or not bundle.is_dir():
        return [refused("shape", str(bundle), "is no folder", "name the folder of a bundle, or a .zip of one")], None
    findings = list(_walked(bundle, incoming))
    if findings:
        return findings, None
    try:
        manifest = read_manifest(bundle)
    except RecordError as error:
        where, _, what = str(error).partition(": ")
        return [refused("manifest", where, what, "make the bundle with 'ivi submit', and leave it as it is")], None
    return [*_place(bundle, manifest), *_sealed(bundle, manifest), *_source(bundle, manifest)], manifest


def _walked(bundle: Path, incoming: bool) -> Iterator[Finding]:
    """Every file by its kind, size and name; no file is opened that is none or too large."""
    total, seen = 0, set[str]()
    for count, (name, entry) in enumerate(_entries(bundle), 1):
        if count > MOST_FILES:
            yield refused("shape", name, f"more than {MOST_FILES} files", "send the records of one method")
            return
        found = _entry(name, entry, incoming)
        if found is None and name.casefold() in seen:
            found = refused("shape", name, "is there twice, in capitals and not", "give files different names")
        if found is not None:
            yield found
            continue
        seen.add(name.casefold())
        total += entry.stat(follow_symlinks=False).st_size
    if total > LARGEST:
        yield refused("shape", bundle.name, f"has {total} bytes", f"{LARGEST} at most; predictions may lie at a url")


def _entries(bundle: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """All that is no folder, and folders that are too deep; links are never followed."""
    folders = [("", bundle)]
    while folders:
        inside, folder = folders.pop()
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                name = f"{inside}{entry.name}"
                if entry.is_dir(follow_symlinks=False) and name.count("/") < DEEPEST and NAME.fullmatch(entry.name):
                    folders.append((f"{name}/", Path(entry.path)))
                else:
                    yield name, entry


def _entry(name: str, entry: os.DirEntry[str], incoming: bool) -> Finding | None:
    mend = "a bundle holds what 'ivi submit' puts there, and nothing else"
    if entry.is_symlink():
        return refused("shape", name, "is a link", "put the file itself there")
    status = entry.stat(follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        return refused("shape", name, "is no regular file, or lies too deep", mend)
    if not NAME.fullmatch(entry.name) or _RESERVED.fullmatch(entry.name) or entry.name.endswith("."):
        return refused("shape", name, "has a name that not every system takes", "letters, digits and . _ - = , +")
    kind = next((one for one in KINDS if one.pattern.fullmatch(name)), None)
    if kind is None:
        return refused("shape", name, "has no place in a bundle", mend)
    if incoming and name.partition("/")[0] in (REVIEWS, CHALLENGES):
        return refused("shape", name, "is a review or a challenge, which a submission does not bring", "leave it out")
    if status.st_size > kind.largest:
        return refused("shape", name, f"has {status.st_size} bytes", f"{kind.largest} at most")
    return _content(name, Path(entry.path), kind)


def _content(name: str, path: Path, kind: _Kind) -> Finding | None:
    """Text is text, and what should be arrays begins like it."""
    data = path.read_bytes() if kind.is_text else _head(path)
    foreign = next((what for magic, what in _FOREIGN.items() if data.startswith(magic)), None)
    if foreign is None and data[:1] == b"\x80" and kind.is_text:
        foreign = "a pickle, perhaps"
    if foreign is not None:
        return refused("shape", name, f"is {foreign}", "code is text, arrays are .safetensors files")
    if not kind.is_text:
        size = int.from_bytes(data, "little")
        if len(data) < 8 or size > min(_HEADER, path.stat().st_size):
            return refused("shape", name, f"names a header of {size} bytes", f"{_HEADER} at most, within the file")
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return refused("shape", name, "is no text in UTF-8", "save it as UTF-8")
    if "\0" in text:
        return refused("shape", name, "holds a zero byte", "text has none")
    return None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(8)


def _place(bundle: Path, manifest: Manifest) -> list[Finding]:
    wanted = manifest.method.folder
    if Path(*bundle.absolute().parts[-2:]) == wanted:
        return []
    return [refused("shape", MANIFEST, f"names {wanted.as_posix()}, another folder than its own", "name it so")]


def _sealed(bundle: Path, manifest: Manifest) -> list[Finding]:
    """Everything is as it was when the manifest was written."""
    mend = "submit again with 'ivi submit'"
    findings = []
    if manifest.seal != manifest.own_seal:
        findings.append(refused("manifest", MANIFEST, "was changed after it was written: its seal is another", mend))
    there = submitted_files(bundle)
    for name in sorted(there.keys() ^ manifest.files.keys()):
        what = "is not named in the manifest" if name in there else "is named in the manifest and not there"
        findings.append(refused("manifest", name, what, mend))
    for name in sorted(there.keys() & manifest.files.keys()):
        if there[name] != manifest.files[name]:
            findings.append(refused("manifest", name, "was changed after the manifest was written", mend))
    return findings


def _source(bundle: Path, manifest: Manifest) -> list[Finding]:
    """The snapshot is what the manifest says."""
    root = bundle / SOURCE
    there = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    findings = []
    for name in sorted(there.keys() | manifest.source.files.keys()):
        where = f"{SOURCE}/{name}"
        if name not in there:
            findings.append(refused("source", where, "is named in the manifest and not there", "put it there"))
        elif name not in manifest.source.files:
            findings.append(refused("source", where, "is not named in the manifest", "take it out, or submit again"))
        elif hashlib.sha256(there[name].read_bytes()).hexdigest() != manifest.source.files[name]:
            findings.append(refused("source", where, "is not the file that was hashed", "submit the method again"))
    module = manifest.method.entry.rpartition(":")[0]
    place = module if module.endswith(".py") else module.replace(".", "/")
    ends = (place, f"{place}.py", f"{place}/__init__.py")
    if not any(name == end or name.endswith(f"/{end}") for name in manifest.source.files for end in ends):
        findings.append(refused("source", MANIFEST, f"the entry {module} is not among the sources", "submit it again"))
    return findings
