"""Scores that are missing, old or of other predictions, made anew from the predictions that are at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from leaderboard.elsewhere import bytes_at_hand
from leaderboard.record import Record
from leaderboard.scores import ScoresError, read_scores, score_bytes, write_scores
from leaderboard.shelf import PREDICTIONS, Finding, beside, read_all


class Rescored(NamedTuple):
    """Files of scores that were written, records whose predictions are not here, and what could not be scored."""

    written: list[Path]
    absent: list[Path]
    findings: list[Finding]


def rescore(
    folder: Path, *, everything: bool = False, progress: Callable[[int, int], None] = lambda done, total: None
) -> Rescored:
    """Score every ok record below ``folder`` whose scores are not those of its predictions and of our metrics.

    Args:
        folder: of records of schema 2; those of schema 1 hold their metrics.
        everything: also those that are as they should be.
        progress: (records looked at, records in all).
    """
    shelf, done = read_all(folder), Rescored([], [], [])
    done.findings.extend(shelf.findings)
    pairs = [(path, record) for path, record in zip(shelf.paths, shelf.records, strict=True) if record.predictions]
    for i, (path, record) in enumerate(pairs, 1):
        if everything or not is_scored(path, record):
            _score(path, record, done)
        progress(i, len(pairs))
    return done


def is_scored(path: Path, record: Record) -> bool:
    """Whether the scores beside the record at ``path`` are of its predictions and by our metrics."""
    try:
        scores = read_scores(path)
    except (ScoresError, OSError):
        return False
    if scores is None or record.predictions is None:
        return False
    return scores.predictions == record.predictions.sha256 and not scores.is_old


def _score(path: Path, record: Record, done: Rescored) -> None:
    file = beside(path, PREDICTIONS)
    try:
        data = bytes_at_hand(path)
        if data is None:
            done.absent.append(path)
            return
        scores = score_bytes(data, str(file))
    except (ValueError, OSError) as error:
        done.findings.append(Finding(file, "damaged", str(error).removeprefix(f"{file}: ")))
        return
    if record.predictions is None or scores.predictions != record.predictions.sha256:
        done.findings.append(Finding(file, "damaged", "these are not the predictions that the record names"))
        return
    done.written.append(write_scores(path, scores))
