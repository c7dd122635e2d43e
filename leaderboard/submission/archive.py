"""A bundle as one .zip file, for those without git: written, and opened without trusting a word of it."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from pathlib import Path

from leaderboard.store import write_once
from leaderboard.submission.findings import Finding, refused
from leaderboard.submission.shape import DEEPEST, LARGEST, MOST_FILES, NAME

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_PIECE = 2**20
_MEND = "make the archive with 'ivi submit --archive'"


def write_archive(bundle: Path, file: Path) -> Path:
    """Write the bundle ``<method>/<version>`` as ``file``; an older one is replaced."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(bundle.rglob("*")):
            if path.is_file():
                info = zipfile.ZipInfo(path.relative_to(bundle.parent.parent).as_posix())
                info.external_attr = 0o644 << 16
                archive.writestr(info, path.read_bytes(), zipfile.ZIP_DEFLATED)
    write_once(file, data.getvalue(), replace=True)
    return file


def open_archive(file: Path, into: Path) -> tuple[Path | None, list[Finding]]:
    """Unpack a bundle below the empty folder ``into``: its folder, or what is wrong with the archive.

    Nothing outside of ``into`` is written, and no more bytes than a bundle may have, whatever the archive says.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            found = _unfit(archive.infolist())
            if found is None:
                found = _unpacked(archive, into)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        what = str(error).partition("\n")[0][:200] or type(error).__name__
        found = refused("archive", file.name, f"cannot be read: {what}", _MEND)
    if found is not None:
        return None, [found]
    bundles = sorted(into.glob("*/*/"))
    if len(bundles) != 1:
        return None, [refused("archive", file.name, f"holds {len(bundles)} bundles", "one, as <method>/<version>/...")]
    return bundles[0], []


def _unfit(infos: list[zipfile.ZipInfo]) -> Finding | None:
    """What is wrong by the table of contents alone."""
    if len(infos) > MOST_FILES:
        return refused("archive", "contents", f"has {len(infos)} files", f"{MOST_FILES} at most")
    seen = set[str]()
    for info in infos:
        name, parts = info.filename[:200], info.filename.removesuffix("/").split("/")
        mode = stat.S_IFMT(info.external_attr >> 16)
        if len(parts) > DEEPEST + 3 or not all(NAME.fullmatch(part) for part in parts):
            return refused("archive", name, "has a name that may lead elsewhere", "<method>/<version>/..., plain names")
        if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
            return refused("archive", name, "is a link or a device", "put the file itself there")
        if info.flag_bits & 0x1 or info.compress_type not in _METHODS:
            return refused("archive", name, "is encrypted, or packed in an unusual way", _MEND)
        if info.filename.casefold() in seen:
            return refused("archive", name, "is there twice", _MEND)
        seen.add(info.filename.casefold())
    if sum(info.file_size for info in infos) > LARGEST:
        return refused("archive", "contents", "unpacks to more bytes than a bundle may have", f"{LARGEST} at most")
    return None


def _unpacked(archive: zipfile.ZipFile, into: Path) -> Finding | None:
    left = LARGEST
    for info in archive.infolist():
        target = into / info.filename
        if info.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(info) as packed, target.open("wb") as file:
            while piece := packed.read(_PIECE):
                left -= len(piece)
                if left < 0:
                    return refused("archive", info.filename, "unpacks to more than it says", f"{LARGEST} bytes at most")
                file.write(piece)
    return None
