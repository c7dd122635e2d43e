"""A review with all that it needs from this checkout: what is published, and our own code's hash. No torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path, PurePath
from typing import Any

from baselines.names import UserError
from baselines.registry import known_methods, read_class
from baselines.spec import spec_in
from benchmarks.machine import cores
from benchmarks.measure.environment import ROOT, code_hash
from leaderboard.plan import OUR_PACKAGE
from leaderboard.shelf import read_all
from leaderboard.submission import Finding, Verdict, review
from leaderboard.submission.findings import refused
from leaderboard.submission.manifest import MANIFEST, SOURCE, Manifest, read_manifest
from leaderboard.submission.manifest import RECORDS as RECORD_FOLDER
from leaderboard.submission.rivals import Published

RECORDS = ROOT / "leaderboard" / "records"
SUBMISSIONS = ROOT / "leaderboard" / "submissions"


def published(folder: Path | None = None, without: Sequence[Path] = ()) -> Published:
    """What is on the board: our own records, and those of every submission but the bundles ``without``."""
    left_out = {path.resolve() for path in without}
    bundles = [path for path in sorted(SUBMISSIONS.glob("*/*/")) if path.resolve() not in left_out]
    return Published.of(folder or RECORDS, [path / RECORD_FOLDER for path in bundles])


def reviewed(bundle: Path, board: Published, *, incoming: bool = True) -> Verdict:
    """The verdict on a bundle by its files alone; its source is read, and not run."""
    verdict = review(bundle, published=board, incoming=incoming, codes=[code_hash()])
    if verdict.state == "refused":
        return verdict
    return Verdict.of([*verdict.findings, *_declared(bundle, read_manifest(bundle))], "recomputed")


def reviewed_all(bundles: Sequence[Path], folder: Path | None, *, incoming: bool) -> list[Verdict]:
    """What `reviewed` says of each, on all cores where there are several; ``folder``: as `published` takes it.

    Raises:
        UserError: a process that reviewed was killed.
    """
    if len(bundles) < 2:
        board = published(folder, without=bundles)
        return [reviewed(bundle, board, incoming=incoming) for bundle in bundles]
    try:
        # Arrays here are small: threads inside of an operation would wait for each other. New processes read this.
        with (
            _variable("OPENBLAS_NUM_THREADS", "1"),
            ProcessPoolExecutor(
                min(cores(), len(bundles)), get_context("spawn"), _begin, (folder, tuple(bundles))
            ) as pool,
        ):
            return list(pool.map(partial(_next, incoming=incoming), bundles))
    except BrokenProcessPool:
        raise UserError("a process that reviewed was killed, for its memory perhaps: name fewer bundles") from None


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name)
        os.environ |= {} if before is None else {name: before}


_BOARD: list[Published] = []
"""Of a process that reviews several bundles: what they are held against, read once."""


def _begin(folder: Path | None, without: Sequence[Path]) -> None:
    _BOARD.append(published(folder, without))


def _next(bundle: Path, incoming: bool) -> Verdict:
    return reviewed(bundle, _BOARD[0], incoming=incoming)


def _declared(bundle: Path, manifest: Manifest) -> Iterator[Finding]:
    """Whether the hyperparameters in the records are those that the label means, by the source of the snapshot."""
    method = manifest.method
    module, _, name = method.entry.rpartition(":")
    mend = "submit again with 'ivi submit'"
    try:
        cls = read_class(bundle / SOURCE, module, name, method.name, method.package, method.version)
        spec = spec_in(cls, method.label)
    except UserError as error:
        what = str(error).replace(str(bundle), "").partition("\n")[0][:300]
        yield refused("source", f"{SOURCE}/{module}", what, mend)
        return
    if method.name in known_methods() and known_methods()[method.name].package == OUR_PACKAGE:
        yield refused("source", MANIFEST, f"calls its method {method.name}, which is built in", "rename the class")
    if spec.text != method.label:
        yield refused("source", MANIFEST, f"labels the row {method.label}, which is written {spec.text}", mend)
    for record in read_all(bundle / RECORD_FOLDER).records:
        found = record.identity.method
        if found.name == method.name and found.resolved != spec.resolved:
            what = f"seed {record.identity.seed} has other hyperparameters than {method.label} means"
            yield refused("source", f"{RECORD_FOLDER}/{record.identity.task.name}", what, mend)


def with_rerun(bundle: Path, verdict: Verdict, say: Callable[[str], None]) -> tuple[Verdict, dict[str, Any]]:
    """The verdict with that of a blind re-run, and what the re-run saw.

    A re-run that agrees settles what was only too good, or too fast, to be believed, or too like another run, by files
    alone. Runs that are like another are made again whatever else is.
    """
    from benchmarks.rerun import rerun

    suspects = {_run_id(one) for one in verdict.findings if one.check in ("copied", "like map")}
    findings, report = rerun(bundle, progress=say, suspects=suspects)
    passed = bool(report.get("complete")) and not any(one.level in ("refuse", "doubt") for one in findings)
    again = {one["run_id"]: one for task in report["tasks"].values() for one in task.get("again", ())}
    before = [replace(one, level="note") if passed and _is_settled(one, again) else one for one in verdict.findings]
    return Verdict.of([*before, *findings], "rerun" if passed else "recomputed"), report


def _run_id(finding: Finding) -> str:
    """Of the run whose record a finding is about."""
    return PurePath(finding.where).name.partition(".")[0].rpartition("-")[2]


def _is_settled(finding: Finding, again: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether runs that were made again, by run id, answer a doubt by files alone."""
    if finding.check in ("copied", "like map"):
        one = again.get(_run_id(finding), {})
        borne_out = (
            one.get("like_map") if finding.check == "like map" else one.get("machines_differ_in") and one.get("near")
        )
        return bool(one.get("equal_to_the_bit") or borne_out)
    return finding.check in ("too good", "pace")
