"""Submitted rows on the board: read beside the records of a suite, each with its state and its own machine's MAP."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from leaderboard.record import RecordError
from leaderboard.results import Result, load_results
from leaderboard.shelf import Finding, latest
from leaderboard.submission.manifest import CHALLENGES, MANIFEST, RECORDS, Manifest, read_manifest
from leaderboard.submission.standing import Standing, notes, standing, standing_notes

FOLDER = "submissions"
WORDS = {
    "claimed": "claimed",
    "recomputed": "recomputed from its predictions, not yet re-run",
    "challenged": "challenged",
    "withdrawn": "withdrawn",
}


def bundles_beside(records: Path) -> list[Path]:
    """Bundles beside a folder of records: of ``leaderboard/records/quick`` those in ``leaderboard/submissions``."""
    absolute = records.absolute()
    for folder in (absolute, absolute.parent):
        if folder.name == "records" and (folder.parent / FOLDER).is_dir():
            return sorted(path.parent for path in (folder.parent / FOLDER).glob(f"*/*/{MANIFEST}"))
    return []


def challenges_of(records: Path) -> Path | None:
    """Where challenges of our own rows lie: of ``leaderboard/records/quick`` in ``leaderboard/challenges/quick``."""
    absolute = records.absolute()
    is_board = absolute.parent.name == "records"
    return absolute.parent.parent / CHALLENGES / absolute.name if is_board else None


def with_submissions(results: Sequence[Result], records: Path) -> tuple[list[Result], list[Finding]]:
    """``results`` of a folder of records, and those of every bundle beside it; what cannot be read is named."""
    findings: list[Finding] = []
    whole = shown_with(_challenged(results, records, findings), bundles_beside(records), findings)
    return whole, findings


def _challenged(results: Sequence[Result], records: Path, findings: list[Finding]) -> list[Result]:
    """``results`` with those challenged that a note beside the records is about."""
    folder = challenges_of(records)
    try:
        found = notes(folder) if folder is not None else {}
    except RecordError as error:
        findings.append(Finding(folder or records, "unreadable", str(error)))
        found = {}
    against: dict[str, Standing] = {}
    for row in {note.row for note in found.values() if note.row}:
        about = standing_notes({name: note for name, note in found.items() if row == note.row or note.answers})
        against |= {row: about} if about else {}
    return [
        replace(one, state=against[one.row].state, doubt=f"{against[one.row].state}: {against[one.row].why}")
        if one.row in against
        else one
        for one in results
    ]


def shown_with(
    results: Sequence[Result], bundles: Iterable[Path], findings: list[Finding] | None = None, *, alone: bool = False
) -> list[Result]:
    """``results`` and those of ``bundles`` whose tasks are among them, history apart. A run that is there is not added.

    Args:
        results: those of our own.
        bundles: folders of submissions.
        findings: takes what is wrong with a bundle.
        alone: there are none of our own: MAP of the bundles stands in.
    """
    whole, tasks = list(results), {one.task for one in results if not one.is_history}
    known = {one.run_id for one in results}
    codes = {one.setting: one.code for one in results if one.is_base}
    for bundle in bundles:
        try:
            manifest, where = read_manifest(bundle), standing(bundle)
        except RecordError as error:
            if findings is not None:
                findings.append(Finding(bundle / MANIFEST, "unreadable", str(error)))
            continue
        found = load_results(bundle / RECORDS)
        if findings is not None:
            findings += found.findings
        counting = list(latest(found.results).values())
        base = [one for one in counting if one.is_base]
        added = [
            _submitted(one, manifest, where, base, codes)
            for one in found.results
            if not one.is_base and one.run_id not in known and (alone or one.task in tasks)
        ]
        known |= {one.run_id for one in added}
        whole += added
        if alone:
            whole += base
    return whole


def _submitted(
    one: Result, manifest: Manifest, where: Standing, base: Sequence[Result], codes: dict[str, str]
) -> Result:
    state, why = where.state, where.why
    code = codes.get(one.setting)
    is_stale = state in ("recomputed", "rerun") and code is not None and where.code not in (None, code)
    if is_stale:
        state, why = "stale", "reviewed under other code than the board's: review it again"
    doubt = "" if state == "rerun" else f"{WORDS.get(state, state)}: {why}"
    by = f"submitted by {manifest.author} ({manifest.licence}), version {manifest.method.version}"
    said = f"{by}; {'re-run here blind, ' + why if state == 'rerun' else why}"
    beside = {other.seed: other for other in base if other.task == one.task}
    return replace(
        one,
        state=state,
        doubt=one.doubt if one.status != "ok" else doubt,
        beside=beside,
        notes=(*one.notes, said, *where.notes),
    )
