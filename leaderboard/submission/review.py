"""Is a bundle what it says it is? Its shape and its truth, without running a line of its method. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from leaderboard.submission.case import case_of
from leaderboard.submission.findings import Finding, Verdict, refused, worst
from leaderboard.submission.identities import identities
from leaderboard.submission.numbers import numbers
from leaderboard.submission.plausible import costs
from leaderboard.submission.rivals import Published, rivals
from leaderboard.submission.shape import shape
from leaderboard.submission.truth import Truth, read_truths

T = TypeVar("T")
MOST = 200
"""Findings that a report holds: a bundle that is wrong in every line need not be told each."""


def review(
    bundle: Path,
    truth: Mapping[str, Truth] | None = None,
    published: Published | None = None,
    *,
    incoming: bool = True,
    codes: Iterable[str] = (),
) -> Verdict:
    """What may be said of a bundle without running its method: refused, claimed, or recomputed.

    Args:
        bundle: its folder, ``.../<method>/<version>``.
        truth: tables of truth by task; None: those that come with the program.
        published: what is on the board; None: nothing, so that no MAP row can be held against ours.
        incoming: whether it comes from outside, and so has no reviews yet.
        codes: hashes of our own code that are known, beside those of published rows.
    """
    findings, manifest = _guarded(lambda: shape(bundle, incoming=incoming), bundle)
    if manifest is None:
        return _verdict(findings)
    truth, published = read_truths() if truth is None else truth, published or Published()
    found, case = _guarded(lambda: case_of(bundle, manifest, truth), bundle)
    findings += found
    if case is None:
        return _verdict(findings)
    known = frozenset({*published.codes, *codes})
    findings += _guarded(lambda: (list(identities(case, published.map_sources, known)), None), bundle)[0]
    with np.errstate(all="ignore"):  # a stranger's numbers; what comes of them is looked at
        more, metrics = _guarded(lambda: numbers(case), bundle)
        findings += more
        if not any(one.level == "refuse" for one in findings):  # numbers of what is refused are compared with nobody's
            findings += _guarded(lambda: (list(costs(case)), None), bundle)[0]
            findings += _guarded(lambda: (list(rivals(case, metrics or {}, published)), None), bundle)[0]
    return _verdict(findings)


def _guarded(step: Callable[[], tuple[list[Finding], T]], bundle: Path) -> tuple[list[Finding], T | None]:
    """What a step found. What strangers write may be wrong in ways that nobody has thought of: then it is refused."""
    try:
        return step()
    except Exception as error:  # noqa: BLE001 - as above
        what = f"could not be examined: {type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
        return [refused("review", bundle.name, what, "submit what 'ivi submit' made; if it is that, tell us")], None


def _verdict(findings: Iterable[Finding]) -> Verdict:
    found = list(dict.fromkeys(worst(list(findings))))
    return Verdict.of(found[:MOST], "recomputed")
