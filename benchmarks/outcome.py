"""From what came back of a run to its record and predictions: here alone labels are put to answers. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from safetensors.numpy import load

from benchmarks.data.truth import read_truth
from benchmarks.measure.environment import Stack, environment
from benchmarks.measure.jobs import Answers
from benchmarks.runs import Run
from benchmarks.schedule import Made
from leaderboard.predictions import AnyPredictions, from_arrays, to_bytes
from leaderboard.record import Audit, Cost, Error, PredictionsInfo, Record, Status
from leaderboard.scores import Scores, score_bytes


@dataclass(frozen=True)
class Outcome:
    """What is kept of a run: its record, and if it is ok its predictions and their scores."""

    record: Record
    predictions: bytes | None = None
    scores: Scores | None = None
    log: str = ""


def outcome_of(made: Made, attempt: int, stack: Stack) -> Outcome:
    """The record of a run that came to its end, good or bad."""
    machine = made.fitted.machine if made.fitted else made.failure.machine if made.failure else {}
    log = "".join(part.printed for part in (made.fitted, made.answers, made.failure) if part and part.printed)
    if made.failure is None:
        assert made.fitted is not None and made.answers is not None
        try:
            data = to_bytes(sets_of(made.run, made.answers))
            scores = score_bytes(data, made.run.title)
        except ValueError as error:
            return Outcome(_record(made, attempt, stack, machine, "failed", f"its predictions: {error}"), log=log)
        record = _ok(made, _record(made, attempt, stack, machine, "crashed"), scores.predictions, len(data))
        return Outcome(record, data, scores, log)
    failure = made.failure
    record = _record(made, attempt, stack, machine, failure.status, failure.reason, failure.traceback)
    return Outcome(record, log=log)


def sets_of(run: Run, answers: Answers) -> dict[str, AnyPredictions]:
    """The answers of each evaluation set, with its labels."""
    arrays, kind = load(answers.arrays), run.data.likelihood.kind
    return {
        name: from_arrays(kind, {key: array[places] for key, array in arrays.items()}, labels)
        for name, (places, labels) in read_truth(run.data.folder).items()
    }


def _ok(made: Made, record: Record, sha256: str, size: int) -> Record:
    assert made.fitted is not None and made.answers is not None and made.spent is not None
    looked, spent = made.fitted.looked, made.spent
    cost = Cost(
        fit_s=spent.seconds,
        shared_s=spent.shared,
        predict_s=made.answers.seconds,
        predict_examples=sum(one.n for one in made.run.data.evaluation.values()),
        steps=spent.steps,
        peak_memory_fit=spent.memory,
        peak_memory_predict=made.answers.memory,
        **{name: looked[name] for name in ("parameters", "state_bytes", "fit_flops", "predict_flops")},
    )
    audit = Audit(**looked["audit"], recipe_changes=looked["recipe_changes"], state=made.fit.sha256, shared=made.shared)
    info = PredictionsInfo(sha256=sha256, bytes=size)
    values = {"status": "ok", "cost": cost, "audit": audit, "predictions": info, "sets": made.run.data.manifest.sets}
    return Record.model_validate(record.model_dump() | {k: _plain(v) for k, v in values.items()} | {"error": None})


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return value.model_dump() if hasattr(value, "model_dump") else value


def _record(
    made: Made, attempt: int, stack: Stack, machine: dict[str, Any], status: Status, reason: str = "", trace: str = ""
) -> Record:
    run, setting = made.run, made.fit.setting
    where = environment(
        stack,
        machine.get("device_name", ""),
        setting.threads,
        machine.get("capability", ""),
        machine.get("device_index"),
    )
    there = {key: machine[key] for key in ("cpu", "python", "ranks") if key in machine}  # perhaps of another node
    there |= {"device_name": there["cpu"]} if "cpu" in there and not machine.get("device_name") else {}
    where = where.model_copy(update={"packages": where.packages | machine.get("packages", {})} | there)
    return Record(
        run_id=run.run_id,
        identity=run.identity,
        label=run.method.label,
        attempt=attempt,
        status=status,
        environment=where,
        error=Error(reason=reason, traceback=trace) if reason else None,
    )
