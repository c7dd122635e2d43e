"""From a method and its results to a bundle that others can review. Torch is imported where costs are measured."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

from baselines.names import UserError
from baselines.spec import MethodSpec
from benchmarks.measure.environment import Stack
from benchmarks.results import is_stale, planned
from benchmarks.runs import Run
from leaderboard.identity import digest
from leaderboard.plan import OUR_PACKAGE, write_plan
from leaderboard.record import Origin, Record, RecordError
from leaderboard.shelf import LOG as RUN_LOG
from leaderboard.shelf import PREDICTIONS, SCORES, beside, latest, read_all
from leaderboard.store import path_of, write_once
from leaderboard.submission.manifest import COST, LOG, RECORDS, SOURCE, Manifest, Method, Source, write_manifest

INHERITED = "inherited"
"""Folder of a snapshot for files that a method inherits from and that are of another package."""


@dataclass(frozen=True)
class Words:
    """What an author says of a method."""

    author: str
    licence: str
    tuning: str
    citation: str = ""
    link: str = ""
    version: str = "1"


@dataclass(frozen=True)
class Snapshot:
    """A method's source: file below ``source/`` -> its bytes; the entry, and the files that make its hash."""

    files: dict[str, bytes]
    entry: str
    classes: tuple[str, ...]


def snapshot(spec: MethodSpec) -> Snapshot:
    """The source of a method: its file; of an installed one every Python file of its top-level package.

    Raises:
        UserError: it is a built-in method, or a file changed while it was read.
    """
    if spec.package == OUR_PACKAGE:
        raise UserError(f"{spec.name} is built in: its rows are the board's own; submit a method of yours")
    cls = spec.cls
    if cls.source_sha256 != spec.source_sha256:
        raise UserError(f"{cls.source} has changed since it was read: start again")
    module, _, name = cls.target.rpartition(":")
    if spec.package is None:
        paths = {cls.source.name: cls.source}
        entry = f"{cls.source.name}:{name}"
    else:
        paths, entry = dict(_package(cls.source)), f"{module}:{name}"
    names = {path.resolve(): name for name, path in paths.items()}
    classes = []
    for i, path in enumerate(cls.files):
        name = names.setdefault(path.resolve(), f"{INHERITED}/{i}_{path.name}")
        paths.setdefault(name, path)
        classes.append(name)
    return Snapshot({name: path.read_bytes() for name, path in sorted(paths.items())}, entry, tuple(classes))


def _package(source: Path) -> Iterator[tuple[str, Path]]:
    """Every Python file of the top-level package that ``source`` is in, or that module alone."""
    top = source
    while (top.parent / "__init__.py").is_file():
        top = top.parent
    for path in sorted(top.rglob("*.py")) if top.is_dir() else [top]:
        yield path.relative_to(top.parent).as_posix(), path


def missing(runs: Sequence[Run], folder: Path) -> list[Run]:
    """Those of ``runs`` that have no record in ``folder``.

    Raises:
        UserError: a record was made with other code or packages than there are now.
    """
    found, stack = latest(read_all(folder).records), Stack.now()
    for run in runs:
        record = found.get(run.run_id)
        if record is not None and is_stale(record, stack):
            how = "make it again with 'ivi run ... --stale'"
            raise UserError(f"{run.title} was made with other code or packages than there are now: {how}")
    return [run for run in runs if run.run_id not in found]


@dataclass(frozen=True)
class Draft:
    """Everything that a bundle is made of but for its costs.

    Attributes:
        suite: its name; ``description`` of it.
        runs: of the method and of MAP.
        results: the folder of their records.
    """

    spec: MethodSpec
    suite: str
    description: str
    runs: Sequence[Run]
    results: Path
    words: Words


def make_bundle(draft: Draft, into: Path, measure: Callable[[Path], None], log: Callable[[], str]) -> Path:
    """Make the bundle below ``into``, whole or not at all, and return its folder.

    Args:
        draft: what goes in.
        into: the folder of submissions.
        measure: puts cost records into the folder that it is given.
        log: what was said until now.

    Raises:
        UserError: there is such a version already, or a record is missing.
    """
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".submit-", dir=into) as folder:
        part = Path(folder)
        manifest = _filled(draft, part)
        target = into / manifest.method.folder
        if target.exists():
            raise UserError(f"{target} is there already: name another version with --version, or remove the folder")
        measure(part / COST)
        write_once(part / LOG, (log() or "nothing was said\n").encode(errors="backslashreplace")[-(2**19) :])
        write_manifest(part, manifest)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(part, target)
    return target


def _filled(draft: Draft, part: Path) -> Manifest:
    source = snapshot(draft.spec)
    for name, data in source.files.items():
        write_once(part / SOURCE / name, data)
    records = _records(draft, part / RECORDS)
    write_plan(part / RECORDS, planned(draft.suite, draft.description, draft.runs))
    lock = dict(sorted(_installed()))
    for record in records:
        lock |= record.environment.packages
    return manifest_of(draft, source, lock)


def manifest_of(draft: Draft, source: Snapshot, lock: dict[str, str]) -> Manifest:
    """The manifest of a bundle.

    Raises:
        UserError: something that its author said cannot stand in it; one line.
    """
    from pydantic import ValidationError

    from leaderboard.shelf import first_of

    spec, words = draft.spec, draft.words
    hashes = {name: _sha(data) for name, data in source.files.items()}
    try:
        return Manifest(
            method=Method(
                name=spec.name,
                package=spec.package,
                version=spec.package_version or words.version,
                entry=source.entry,
                classes=source.classes,
                label=spec.label,
            ),
            author=words.author,
            licence=words.licence,
            citation=words.citation,
            link=words.link,
            suite=draft.suite,
            source=Source(files=hashes, sha256=digest(hashes)),
            packages=lock,
            tuning=words.tuning,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
    except ValidationError as error:
        raise UserError(f"the manifest cannot be made: {first_of(error)}") from None


def _records(draft: Draft, folder: Path) -> list[Record]:
    """Copy every attempt of the runs, with all that lies beside it, signed by the author."""
    wanted = {run.run_id: run for run in draft.runs}
    shelf, kept = read_all(draft.results), []
    for path, record in zip(shelf.paths, shelf.records, strict=True):
        if record.run_id not in wanted:
            continue
        signed = record.model_copy(update={"origin": Origin(who=draft.words.author, state="claimed")})
        target = path_of(folder, signed)
        for suffix in (PREDICTIONS, SCORES, RUN_LOG):
            if beside(path, suffix).is_file():
                write_once(beside(target, suffix), beside(path, suffix).read_bytes())
        write_once(target, signed.model_dump_json(indent=1).encode() + b"\n")
        kept.append(signed)
    without = wanted.keys() - {record.run_id for record in kept}
    if without:
        raise UserError(f"{wanted[min(without)].title} has no record in {draft.results}: make it with 'ivi run'")
    return kept


def _installed() -> Iterator[tuple[str, str]]:
    """Everything that is installed, by its normalized name."""
    for one in distributions():
        try:
            name, version = re.sub(r"[-_.]+", "-", str(one.metadata["Name"])).lower(), str(one.version)
        except Exception:  # noqa: BLE001, S112 - metadata that cannot be read names nothing
            continue
        if re.fullmatch(r"[a-z0-9-]{1,100}", name) and re.fullmatch(r"[!-~]{1,100}", version):
            yield name, version


def _sha(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def submissions_folder() -> Path:
    """Where bundles go: into this program's checkout, else into ``submissions`` of the folder one is in."""
    from benchmarks.measure.environment import ROOT

    inside = ROOT / "leaderboard" / "submissions"
    return inside if (ROOT / ".git").exists() and os.access(ROOT / "leaderboard", os.W_OK) else Path("submissions")


def measured(runs: Sequence[Run], spec: MethodSpec, rounds: int, steps: int, folder: Path) -> None:
    """Measure the method in turns with MAP on every task of ``runs``, and write the records into ``folder``."""
    from baselines.spec import parse
    from benchmarks.measure.cost import costs_of
    from benchmarks.measure.energy import energy_counter
    from leaderboard.cost import write_cost

    for run in {run.task.name: run for run in runs}.values():
        joules = energy_counter(run.device)
        quiet: Callable[[int, int], None] = lambda done, total: None  # noqa: E731
        pair = [parse("map"), spec]
        record = costs_of(run.task, run.data, pair, run.device, 1, rounds, steps, quiet, joules)
        try:
            write_cost(folder, record)
        except OSError as error:
            raise RecordError(f"{folder}: cannot be written: {error.strerror}") from None
