"""The numbers of a bundle: predictions of our sets with our labels, and each metric made anew from them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from leaderboard.checks import differences
from leaderboard.identity import array_sha256
from leaderboard.predictions import AnyPredictions, Categorical
from leaderboard.record import SetInfo
from leaderboard.scores import Scores, ScoresError, read_scores, scores_path
from leaderboard.scoring import score
from leaderboard.submission.case import Case, Entry
from leaderboard.submission.findings import Finding, doubted, refused
from leaderboard.submission.truth import Truth

AGAIN = "submit what 'ivi run' wrote"
_SLACK = 1e-3
"""Nats that rounding to half precision may add to an entropy."""
Metrics = Mapping[str, Mapping[str, float]]
_COMPUTED: dict[str, Metrics] = {}
"""SHA-256 of predictions -> metrics that this process has made of them: bundles of one machine share their MAP runs."""


def numbers(case: Case) -> tuple[list[Finding], dict[str, Metrics]]:
    """What is wrong with the numbers; and run id -> metrics as they are computed here, of the runs that count."""
    metrics: dict[str, Metrics] = {}
    findings: list[Finding] = []
    for entry in case.entries:
        truth = case.truths.get(entry.record.identity.task.name)
        if truth is None or entry.record.status != "ok":
            continue
        findings += _sets(entry, truth)
        if entry.sets:
            found = list(_predictions(entry, truth))
            findings += found
            computed, more = _metrics(entry) if not found else ({}, [])
            findings += more
            if case.counting[entry.record.run_id] is entry:
                metrics[entry.record.run_id] = computed
    return findings, metrics


def _sets(entry: Entry, truth: Truth) -> Iterator[Finding]:
    """The sets that the record names are those of the task."""
    mine = entry.record.sets
    for name in sorted(mine.keys() | truth.sets.keys()):
        if name not in mine:
            yield refused("sets", entry.where, f"has not the set {name}", "a run predicts every set of its task")
        elif name not in truth.sets:
            yield refused("sets", entry.where, f"has a set {name}, which the task has not", AGAIN)
        elif mine[name] != truth.sets[name]:
            yield refused(
                "sets", entry.where, f"{name}: its {_unlike(mine[name], truth.sets[name])} not the task's", AGAIN
            )


def _unlike(mine: SetInfo, ours: SetInfo) -> str:
    if mine.n != ours.n:
        return f"{mine.n} items are"
    return "inputs are" if mine.inputs != ours.inputs else "labels are"


def _predictions(entry: Entry, truth: Truth) -> Iterator[Finding]:
    expected = {name: info for name, info in truth.sets.items() if name != "train"}
    where = entry.where
    if entry.sets.keys() != expected.keys():
        unlike = ", ".join(sorted(entry.sets.keys() ^ expected.keys()))
        yield refused("predictions", where, f"predicts other sets than the task has: {unlike}"[:300], AGAIN)
        return
    for name, one in entry.sets.items():
        info, length = expected[name], len(next(iter(vars(one).values())))
        if one.kind != truth.task.likelihood:
            yield refused("predictions", where, f"{name}: of a {one.kind} task, it is {truth.task.likelihood}", AGAIN)
        elif length != info.n:
            yield refused("predictions", where, f"{name}: {length} predictions of {info.n} items", AGAIN)
        elif isinstance(one, Categorical) and one.log_probs.shape[1] != truth.task.outputs:
            what = f"{name}: predictions of {one.log_probs.shape[1]} classes, the task has {truth.task.outputs}"
            yield refused("predictions", where, what, AGAIN)
        elif (None if one.labels is None else array_sha256(one.labels)) != info.labels:
            yield refused("labels", where, f"{name}: its labels are not the task's", "labels are ours: leave them")
        else:
            yield from _possible(where, name, one)


def _possible(where: str, name: str, one: AnyPredictions) -> Iterator[Finding]:
    """Whether a method can have predicted this; sums and signs were looked at when the file was read."""
    arrays = {key: array for key, array in vars(one).items() if key != "labels" and array is not None}
    for key, array in arrays.items():
        finite = array[np.isfinite(array)] if key == "log_probs" else array
        if not np.isfinite(finite).all():
            yield refused("predictions", where, f"{name}: {key} is not finite in some row", "predict finite numbers")
    if isinstance(one, Categorical):
        if np.isposinf(one.log_probs).any() or np.isnan(one.log_probs).any():
            yield refused("predictions", where, f"{name}: log_probs hold what is no logarithm", AGAIN)
        if float(one.expected_entropy.max()) > math.log(one.log_probs.shape[1]) + _SLACK:
            what = f"{name}: an expected entropy above the logarithm of the number of classes"
            yield refused("predictions", where, what, AGAIN)


def _metrics(entry: Entry) -> tuple[Metrics, list[Finding]]:
    """Every metric, and where what was stored is another number."""
    assert entry.record.predictions is not None
    sha = entry.record.predictions.sha256  # of these very bytes, or there were no sets
    try:
        computed = _COMPUTED[sha] if sha in _COMPUTED else score(entry.sets)
    except ValueError as error:
        what = f"cannot be scored: {str(error).partition(chr(10))[0][:200]}"
        return {}, [refused("metrics", entry.where, what, AGAIN)]
    _COMPUTED[sha] = computed
    findings = list(_against(entry, computed))
    infinite = [
        f"{name} {key}" for name, row in computed.items() for key, value in row.items() if not math.isfinite(value)
    ]
    if any(place.startswith(("test ", "validation ")) for place in infinite):
        what = f"{infinite[0]} is not finite"
        findings.append(doubted("metrics", entry.where, what, "a method gives every class some probability"))
    return computed, findings


def _against(entry: Entry, computed: Metrics) -> Iterator[Finding]:
    where, mend = entry.where.removesuffix(".json") + ".scores.json", "make them with 'ivi score'"
    stored: Scores | None = None
    try:
        stored = read_scores(entry.path)
    except (ScoresError, OSError) as error:
        yield refused("metrics", where, str(error).removeprefix(f"{scores_path(entry.path)}: ")[:300], mend)
        return
    if stored is None:
        yield refused("metrics", where, "are not there", mend)
    elif entry.record.predictions is None or stored.predictions != entry.record.predictions.sha256:
        yield refused("metrics", where, "are scores of other predictions than the record's", mend)
    elif stored.kind != entry.record.identity.task.likelihood:
        yield refused("metrics", where, f"are of a {stored.kind} task", mend)
    else:
        if stored.is_old:
            yield doubted("metrics", where, "were made by an older version of the metrics", mend)
        for line in differences(stored.sets, computed, is_whole=not stored.is_old, sets=entry.sets)[:5]:
            yield refused("metrics", where, line, mend)
