"""Bundles for tests: a method's records as `ivi run` leaves them, its source, its manifest."""

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path

from commands import ivi

from baselines.spec import parse
from leaderboard.identity import digest
from leaderboard.submission.manifest import RECORDS, SOURCE, Manifest, Method, Source, write_manifest

SUITE = """
name = "tiny"
description = "a suite for tests"
tasks = ["digits-mlp"]
methods = ["map"]
seeds = [0, 1, 2]
"""


def run_file(folder: Path, text: str, suite: str = SUITE, **options) -> Path:
    """The records of the method ``text`` (file.py:Class) and of MAP, made in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "suite.toml").write_text(suite)
    ivi("run", "suite.toml", "--method", text, cwd=folder, **options)
    return folder / "results"


def bundle_of(folder: Path, text: str, records: Path) -> Path:
    """A bundle in ``folder`` of the method ``text`` with a copy of ``records``."""
    spec = parse(text)
    file = Path(spec.target.rpartition(":")[0])
    (folder / SOURCE).mkdir(parents=True)
    shutil.copy(file, folder / SOURCE / file.name)
    shutil.copytree(records, folder / RECORDS, ignore=shutil.ignore_patterns(".*"))
    files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest()}
    method = Method(
        name=spec.name,
        package=None,
        version="1.0",
        entry=f"{file.name}:{spec.target.rpartition(':')[2]}",
        classes=(file.name,),
        label=spec.label,
    )
    manifest = Manifest(
        method=method,
        author="A. Author",
        licence="MIT",
        suite="tiny",
        source=Source(files=files, sha256=digest(files)),
        packages={"torch": "2"},
        tuning="nothing",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_manifest(folder, manifest)
    return folder
