"""A review with all that it needs from this checkout: what is published, and our own code's hash. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from baselines.names import UserError
from baselines.registry import known_methods, read_class
from baselines.spec import spec_in
from benchmarks.measure.environment import ROOT, code_hash
from leaderboard.plan import OUR_PACKAGE
from leaderboard.shelf import read_all
from leaderboard.submission import Finding, Verdict, review
from leaderboard.submission.findings import refused
from leaderboard.submission.manifest import MANIFEST, SOURCE, Manifest, read_manifest
from leaderboard.submission.manifest import RECORDS as RECORD_FOLDER
from leaderboard.submission.rivals import Published

SETTLED = ("too good",)
"""Checks whose doubts a re-run that agrees settles."""
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

    A re-run that agrees settles what was only too good to be believed by files alone.
    """
    from benchmarks.rerun import rerun

    findings, report = rerun(bundle, progress=say)
    passed = bool(report.get("complete")) and not any(one.level in ("refuse", "doubt") for one in findings)
    before = [replace(one, level="note") if passed and one.check in SETTLED else one for one in verdict.findings]
    return Verdict.of([*before, *findings], "rerun" if passed else "recomputed"), report
