"""The life of one run: `execute` reads top to bottom."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from baselines.protocol import Predictor, Unsupported
from baselines.train import Diverged
from benchmarks.measure.audit import audit, count_parameters, state_bytes
from benchmarks.measure.clock import Clock, Reading
from benchmarks.measure.environment import begin, code_hash
from benchmarks.measure.evaluate import BATCH_SIZE, predict
from benchmarks.measure.fits import Fits
from benchmarks.measure.probe import probe
from benchmarks.problem import load_task_data, make_problem, recipe_changes, warm_up
from benchmarks.suite import Run
from leaderboard.predictions import save_predictions
from leaderboard.record import Cost, Error, PredictionsInfo, Record, Status, path_of, write
from leaderboard.scoring import score

Report = Callable[[str, int, int], None]
"""(phase, done, total): what a run is doing."""


def execute(run: Run, folder: Path, attempt: int, threads: int, report: Report) -> Record:
    """Fit, predict, score, and write the record below ``folder``. Whatever happens, there is a record.

    Predictions are written first: a record that names a predictions file never waits for it.
    """
    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic = True
    cuda = run.device.startswith("cuda")
    record = begin(run, attempt, threads, torch.cuda.get_device_name(run.device) if cuda else "")
    try:
        record = _measure(run, record, folder, report)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".strip().partition("\n")[0]
        failure = Error(reason=reason, traceback=traceback.format_exc())
        record = record.model_copy(update={"status": _status(error), "error": failure})
    write(folder, record)
    return record


def _measure(run: Run, record: Record, folder: Path, report: Report) -> Record:
    device = torch.device(run.device)
    method = run.method.create()
    clock = Clock(device)
    task_data = load_task_data(run.task, run.device)
    record = _with(record, "method", recipe_changes=recipe_changes(method))
    warm_up(make_problem(run, task_data, method, _no_reuse, _no_progress))

    progress = _progress(report)
    fits = Fits(folder / ".fits", code_hash(), run, task_data, clock, progress)
    predictor, problem, fitting = fits.fit(method, run)

    sets, fingerprints, predicting, examples = {}, {"train": task_data.fitting["train"].fingerprint}, Reading(), 0
    for done, (name, load) in enumerate(task_data.evaluation.items()):
        report("predict", done, len(task_data.evaluation))
        images = load()
        fingerprints[name], examples = images.fingerprint, examples + len(images)
        with clock() as reading:
            sets[name] = predict(predictor, task_data.source(images, device), labelled=images.labels is not None)
        predicting.add(reading)
    record = _with(record, "task", fingerprints=fingerprints)

    report("look closer", 0, 1)
    alone = make_problem(run, task_data, method, lambda other, given: other.fit(given), _no_progress)
    x, _ = next(task_data.source(task_data.fitting["validation"], device).ordered(BATCH_SIZE))
    seen = probe(method, alone, predictor, x)

    report("score", 0, 1)
    metrics = score(sets)
    predictions = path_of(folder, record).with_suffix(".safetensors")
    predictions.parent.mkdir(parents=True, exist_ok=True)
    digest = save_predictions(predictions, sets)
    cost = Cost(
        fit_s=fitting.seconds,
        shared_s=fitting.shared,
        predict_s=predicting.seconds,
        predict_examples=examples,
        steps=fitting.steps,
        peak_memory_fit=fitting.peak_memory,
        peak_memory_predict=predicting.peak_memory,
        parameters=count_parameters(predictor),
        state_bytes=state_bytes(predictor),
        fit_flops=seen.fit_flops,
        predict_flops=seen.predict_flops,
    )
    return record.model_copy(
        update={
            "status": "ok",
            "metrics": metrics,
            "cost": cost,
            "audit": audit(method.predictor(problem), predictor, seen.random),
            "predictions": PredictionsInfo(sha256=digest, sets=sorted(sets)),
        }
    )


def _status(error: Exception) -> Status:
    if isinstance(error, Unsupported):
        return "skipped"
    if isinstance(error, Diverged):
        return "diverged"
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return "out_of_memory"
    return "failed"


def _with(record: Record, part: str, **values: Any) -> Record:
    return record.model_copy(update={part: getattr(record, part).model_copy(update=values)})


def _progress(report: Report) -> Callable[[int, int], None]:
    return lambda done, total: report("fit", done, total)


def _no_progress(done: int, total: int) -> None:
    pass


def _no_reuse(method: Any, problem: Any) -> Predictor:
    raise AssertionError("nothing is fitted while warming up")
