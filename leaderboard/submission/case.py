"""What a review holds in its hands: the records of a bundle with their predictions, and the truth about their tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from leaderboard.history import OldRecord
from leaderboard.predictions import AnyPredictions, parse_predictions
from leaderboard.record import Record
from leaderboard.shelf import PREDICTIONS, Shelf, beside, latest, read_all
from leaderboard.submission.findings import Finding, refused
from leaderboard.submission.manifest import RECORDS, Manifest
from leaderboard.submission.truth import Truth, required

Sets = Mapping[str, AnyPredictions]


@dataclass(frozen=True)
class Entry:
    """One record of a bundle.

    Attributes:
        path: its file; ``where``: the same from the bundle's folder, for people.
        record: itself.
        sets: its predictions; empty where there are none, or none that can be read.
    """

    path: Path
    where: str
    record: Record
    sets: Sets = field(default_factory=dict)

    @property
    def is_map(self) -> bool:
        """Whether it calls itself MAP; `identities` asks whether it is."""
        return self.record.identity.method.name == "map"

    @property
    def run(self) -> str:
        """The run, for people."""
        identity = self.record.identity
        return f"{identity.task.name} {self.record.label} seed {identity.seed}"


@dataclass(frozen=True)
class Case:
    """A bundle under review.

    Attributes:
        entries: every record, each attempt; ``counting``: those that count, by run id.
        truths: task -> its table, of the tasks of the bundle's suite; ``seeds``: task -> the seeds that it must have.
    """

    bundle: Path
    manifest: Manifest
    entries: tuple[Entry, ...]
    counting: Mapping[str, Entry]
    truths: Mapping[str, Truth]
    seeds: Mapping[str, tuple[int, ...]]

    def of(self, task: str, *, is_map: bool) -> dict[int, Entry]:
        """Seed -> what counts of it, of the method or of MAP beside it."""
        chosen = [one for one in self.counting.values() if one.is_map == is_map]
        return {one.record.identity.seed: one for one in chosen if one.record.identity.task.name == task}

    def ok(self, task: str, *, is_map: bool) -> dict[int, Entry]:
        """Of those the ones that succeeded and can be read."""
        found = self.of(task, is_map=is_map)
        return {seed: one for seed, one in sorted(found.items()) if one.record.status == "ok" and one.sets}


def case_of(bundle: Path, manifest: Manifest, truths: Mapping[str, Truth]) -> tuple[list[Finding], Case]:
    """What of the bundle cannot be read, and everything that can."""
    shelf = read_all(bundle / RECORDS)
    findings = list(_unread(bundle, shelf))
    seeds = required(truths, manifest.suite)
    if not seeds:
        what = f"names the suite {manifest.suite}, of which there is no table of truth"
        findings.append(refused("suite", "manifest.json", what, "submit to a suite of 'ivi list suites'"))
    entries = []
    for path, record in zip(shelf.paths, shelf.records, strict=True):
        sets, found = _predictions(bundle, path, record)
        findings += found
        entries.append(Entry(path, path.relative_to(bundle).as_posix(), record, sets))
    mine = {name: truths[name] for name in seeds}
    return findings, Case(bundle, manifest, tuple(entries), _latest(entries), mine, seeds)


def _unread(bundle: Path, shelf: Shelf) -> Iterator[Finding]:
    old: list[tuple[Path, OldRecord]] = shelf.history
    for path, _ in old:
        where = path.relative_to(bundle).as_posix()
        yield refused("record", where, "is a record of the first edition", "run the suite again and submit that")
    for found in shelf.findings:
        where = found.path.relative_to(bundle).as_posix()
        yield refused("record", where, found.problem, "leave records as 'ivi run' writes them")


def _predictions(bundle: Path, path: Path, record: Record) -> tuple[Sets, list[Finding]]:
    file = beside(path, PREDICTIONS)
    where, mend = file.relative_to(bundle).as_posix(), "submit what 'ivi run' wrote"
    if record.predictions is None:
        there = file.exists()
        return {}, [refused("predictions", where, "belongs to a run that is not ok", mend)] if there else []
    if not file.is_file():
        return {}, [refused("predictions", where, "is not there", "a bundle holds its predictions")]
    data = file.read_bytes()
    if hashlib.sha256(data).hexdigest() != record.predictions.sha256 or len(data) != record.predictions.bytes:
        return {}, [refused("predictions", where, "is not the file that the record names", mend)]
    try:
        return parse_predictions(data, where), []
    except (ValueError, MemoryError, OverflowError) as error:
        what = str(error).removeprefix(f"{where}: ").partition("\n")[0][:300]
        return {}, [refused("predictions", where, what, mend)]


def _latest(entries: list[Entry]) -> dict[str, Entry]:
    by_record = {id(entry.record): entry for entry in entries}
    return {run: by_record[id(record)] for run, record in latest([e.record for e in entries]).items()}
