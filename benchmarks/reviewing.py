"""A review with all that it needs from this checkout: what is published, and our own code's hash. No torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.measure.environment import ROOT, code_hash
from leaderboard.submission import Verdict, review
from leaderboard.submission.rivals import Published

SETTLED = ("too good",)
"""Checks whose doubts a re-run that agrees settles."""
RECORDS = ROOT / "leaderboard" / "records"
SUBMISSIONS = ROOT / "leaderboard" / "submissions"


def published(folder: Path | None = None, without: Sequence[Path] = ()) -> Published:
    """What is on the board: our own records, and those of every submission but the bundles ``without``."""
    left_out = {path.resolve() for path in without}
    bundles = [path for path in sorted(SUBMISSIONS.glob("*/*/")) if path.resolve() not in left_out]
    return Published.of(folder or RECORDS, *(path / "records" for path in bundles))


def reviewed(bundle: Path, board: Published, *, incoming: bool = True) -> Verdict:
    """The verdict on a bundle by its files alone."""
    return review(bundle, published=board, incoming=incoming, codes=[code_hash()])


def with_rerun(bundle: Path, verdict: Verdict, say: Callable[[str], None]) -> tuple[Verdict, dict[str, Any]]:
    """The verdict with that of a blind re-run, and what the re-run saw.

    A re-run that agrees settles what was only too good to be believed by files alone.
    """
    from benchmarks.rerun import rerun

    findings, report = rerun(bundle, progress=say)
    passed = not any(one.level in ("refuse", "doubt") for one in findings)
    before = [replace(one, level="note") if passed and one.check in SETTLED else one for one in verdict.findings]
    return Verdict.of([*before, *findings], "rerun"), report
