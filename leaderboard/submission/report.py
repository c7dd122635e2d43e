"""A verdict for people, for pull requests and for programs. What strangers wrote is shown, never obeyed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from leaderboard.submission.findings import Finding, Verdict
from leaderboard.views.markdown import escaped
from leaderboard.views.text import plain

MEANING = {
    "refused": "cannot be taken in",
    "claimed": "well-formed; its numbers are its author's word",
    "recomputed": "every metric was computed again from the stored predictions, on our labels",
    "rerun": "fitted and predicted again here, blind, and it agrees",
}
_SIGNS = {"refuse": "refused", "doubt": "doubt", "note": "note"}


def lines(verdict: Verdict) -> list[str]:
    """For a terminal: the state, then each finding with its mend."""
    said = [f"{verdict.state}: {MEANING[verdict.state]}"]
    for one in folded(verdict.findings):
        said.append(plain(f"  {_SIGNS[one.level]} ({one.check}) {one.where}: {one.what}"))
        said.append(plain(f"    {one.mend}"))
    return said


def folded(findings: Sequence[Finding]) -> list[Finding]:
    """Findings that differ in nothing but where they are, as of ten seeds, said once: at the first place of so many."""
    places: dict[Finding, list[str]] = {}
    for one in findings:
        places.setdefault(replace(one, where=""), []).append(one.where)
    return [
        replace(one, where=where[0] + (f" and {len(where) - 1} more" if len(where) > 1 else ""))
        for one, where in places.items()
    ]


def as_markdown(name: str, verdict: Verdict, extra: Mapping[str, Any] | None = None) -> str:
    """For a pull request: a heading, and a table of findings."""
    text = [f"### {escaped(name)}: {verdict.state}", "", MEANING[verdict.state] + "."]
    if verdict.findings:
        text += ["", "| | check | where | what | mend |", "| :-- | :-- | :-- | :-- | :-- |"]
    for one in folded(verdict.findings):
        cells = [_SIGNS[one.level], *(escaped(part) for part in (one.check, one.where, one.what, one.mend))]
        text.append(f"| {' | '.join(cells)} |")
    if extra:
        text += ["", "What the re-run saw:", ""]
        text += [f"- {escaped(str(key))}: {escaped(_short(value))}" for key, value in extra.items()]
    return "\n".join(text) + "\n"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 400 else text[:400] + " ..."


def as_json(name: str, verdict: Verdict, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """For programs."""
    return {
        "bundle": name,
        "state": verdict.state,
        "findings": [vars(one) for one in verdict.findings],
        "rerun": dict(extra) if extra is not None else None,
    }
