"""Measure one job: from outside the process that does it, with the clock, touching no shared folder. No torch."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from baselines.spec import parse
from benchmarks.measure.jobs import (
    Answers,
    Failure,
    FitJob,
    Fitted,
    Found,
    Job,
    PredictJob,
    SearchJob,
    Use,
    Uses,
    UsesJob,
    clean,
)
from benchmarks.measure.process import Child, Enter, Gone, Lazily, TimedOut, child

Report = Callable[[str, int, int], None]
"""(phase, done, total): how far a job is."""
FAILURES = ("skipped", "diverged", "out_of_memory", "killed", "failed")
"""What a process may say of its own end."""
Outcome = Fitted | Answers | Uses | Found | Failure


def measure(job: Job, report: Report = lambda phase, done, total: None, enter: Enter | None = None) -> Outcome:
    """Do one job in a process of its own and say what came of it. Whatever happens in there, this returns.

    Args:
        job: what is to be done.
        report: told how far it is.
        enter: what its process does first (`process.child`).
    """
    target, listen = _KINDS[type(job)]
    with child(Lazily(target), job, job.setting.limit, enter) as process:
        try:
            outcome = listen(process, report)
        except TimedOut as error:
            outcome = Failure("timed_out", f"the process of this run {error}")
        except Gone as error:
            killed = error.signal in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
            outcome = Failure("killed" if killed else "crashed", f"the process of this run {error}")
        except _Failed as error:
            outcome = error.failure
        except (KeyError, TypeError, ValueError):
            outcome = Failure("crashed", "the process of this run sent what is no message")
        printed = clean(process.printed(), 2**16)
    return outcome if isinstance(outcome, Uses | Found) else replace(outcome, printed=printed)


class _Failed(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


def _fitted(process: Child, report: Report) -> Fitted:
    _next(process, "ready", report, "start")
    start = time.perf_counter()
    process.go()
    values, state = _next(process, "fitted", report, "fit")
    seconds = time.perf_counter() - start
    report("look closer", 0, 1)
    looked, _ = _next(process, "looked", report, "look closer")
    return Fitted(
        state=state,
        seconds=seconds,
        steps=int(values["steps"]),
        memory=values["memory"],
        taken=tuple(map(str, values["taken"])),
        looked=looked["looked"],
        machine=looked["machine"],
    )


def _answered(process: Child, report: Report) -> Answers:
    _next(process, "ready", report, "start")
    start = time.perf_counter()
    process.go()
    values, _ = _next(process, "answered", report, "predict")
    seconds = time.perf_counter() - start
    _, arrays = _next(process, "arrays", report, "predict")
    return Answers(arrays=arrays, seconds=seconds, memory=values["memory"])


def _used(process: Child, report: Report) -> Uses:
    values, _ = _next(process, "uses", report, "plan")
    return Uses(values["key"], tuple(map(_use, values["uses"])))


def _found(process: Child, report: Report) -> Found:
    values, _ = _next(process, "found", report, "search")
    return Found(int(values["count"]))


def _use(values: dict[str, Any]) -> Use:
    return Use(parse(values["method"]), int(values["member"]), str(values["key"]), tuple(map(_use, values["uses"])))


def _next(process: Child, kind: str, report: Report, phase: str) -> tuple[dict[str, Any], bytes]:
    """The next message of ``kind``; progress on the way is reported.

    Raises:
        _Failed: the process says that it failed.
    """
    while True:
        values, data = process.receive()
        if values["kind"] == kind:
            return values, data
        if values["kind"] == "failed":
            reason = clean(str(values["reason"]), 2_000).replace("\n", " ")
            status = values["status"] if values["status"] in FAILURES else "failed"
            raise _Failed(Failure(status, reason, clean(str(values["traceback"]))))
        if values["kind"] != "progress":
            raise Gone("sent what is no message")
        report(phase, int(values["done"]), int(values["total"]))


_KINDS: dict[type, tuple[str, Callable[[Child, Report], Any]]] = {
    FitJob: ("benchmarks.measure.fitting:fit", _fitted),
    PredictJob: ("benchmarks.measure.predicting:predict", _answered),
    UsesJob: ("benchmarks.measure.fitting:uses", _used),
    SearchJob: ("benchmarks.measure.search:search", _found),
}
