"""The test inputs asked a second time, beside others and slightly disturbed: an honest answer stays. No torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.measure.jobs import Answers, PredictJob
from benchmarks.measure.run import measure
from benchmarks.nodes import setting_of
from benchmarks.outcome import sets_of
from benchmarks.prepare import Prepared
from benchmarks.rerun.copies import AGAIN, DISTURBED
from benchmarks.rerun.make import Again, Workshop
from benchmarks.runs import Run
from leaderboard.predictions import AnyPredictions, Categorical
from leaderboard.scoring import per_item
from leaderboard.submission.findings import Finding, doubted

MOVES = 2e-3
"""How far a probability, or a mean in parts of its deviation, may move when asked again."""
WORSE = 0.1
"""How much of its NLL a method may lose to one grey level of noise."""
ERRORS = 4.0
"""And in standard errors of the paired difference."""


def asked_again(copy: Prepared, made: Again, shop: Workshop, report: dict[str, Any]) -> list[Finding]:
    """Whether outputs depend on what stands beside an input, and whether the least noise costs what it must not."""
    run, where = made.run, made.run.task.name
    again = Run(run.task, copy, run.method, run.seed, run.device)
    setting = setting_of(again, shop.stack, made.record.environment.threads, shop.limit)
    outcome = shop.executor.submit(measure, PredictJob(setting, made.state)).result()
    if not isinstance(outcome, Answers):
        what = f"asked a second time it {outcome.status}: {outcome.reason}"
        return [doubted("asked-again", where, what, "the state must hold all that predictions depend on")]
    sets = sets_of(again, outcome)
    first, second, disturbed = made.sets["test"], sets[AGAIN], sets[DISTURBED]
    moved = float(np.max(_apart(first, second)))
    change = per_item("nll", disturbed) - per_item("nll", first)
    loss, error = float(np.mean(change)), float(np.std(change) / np.sqrt(len(change)))
    nll = float(np.mean(per_item("nll", first)))
    report["asked_again"] = {"moved": moved, "nll": nll, "nll_lost_to_noise": loss, "standard_error": error}
    findings = []
    if moved > MOVES:
        what = f"an answer moves by {moved:.2g} when its input stands beside others"
        mend = "the outputs of an example must depend neither on its batch nor on how often one asks"
        findings.append(doubted("asked-again", where, what, mend))
    if loss > max(WORSE * abs(nll), ERRORS * error):
        what = f"one grey level of noise takes its NLL from {nll:.3g} to {nll + loss:.3g}: it knows these very inputs"
        findings.append(doubted("disturbed", where, what, "learn from `problem` alone"))
    return findings


def _apart(a: AnyPredictions, b: AnyPredictions) -> np.ndarray:
    if isinstance(a, Categorical) and isinstance(b, Categorical):
        return np.abs(np.exp(a.log_probs) - np.exp(b.log_probs))
    assert not isinstance(a, Categorical) and not isinstance(b, Categorical)
    return np.abs(a.mean - b.mean) / np.sqrt(a.variance)
