"""Which job comes next: a fit that others build on is made once, a run is predicted when its fit is there. No torch."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace

from benchmarks.executors.chosen import JobExecutor
from benchmarks.fits import Fit, FitStore, Spent, job_of, spent_of
from benchmarks.measure.jobs import Answers, Failure, Fitted, Job, PredictJob
from benchmarks.measure.run import measure
from benchmarks.runs import Run

PATIENCE = 0.2
"""Seconds between two looks at how far the jobs are."""


@dataclass(frozen=True)
class Made:
    """A run that came to its end: fitted and answered, or not. ``shared``: title -> SHA-256 of each fit taken over."""

    run: Run
    fit: Fit
    fitted: Fitted | None = None
    spent: Spent | None = None
    answers: Answers | None = None
    failure: Failure | None = None
    shared: dict[str, str] = field(default_factory=dict)


@dataclass
class Schedule:
    """Runs to be made, and the fits that they are made of.

    Attributes:
        runs: in the order in which they are best made.
        fits: every node, by its key.
        own: run id -> the key of the run's own fit.
        store: where states are kept.
        waiting: runs that have not come to their end, by their ids.
        users: key of a fit -> places of the runs that are made of it.
        open: heap of the places of runs of which something may begin; a run that only waits for others is not in it.
        failed: keys of fits that have failed and whose runs have not been told.
        begun, sought: keys and run ids of what was sent; keys of fits that were looked for among those kept.
    """

    runs: Sequence[Run]
    fits: dict[str, Fit]
    own: dict[str, str]
    store: FitStore
    waiting: dict[str, Run] = field(init=False)
    users: dict[str, list[int]] = field(init=False)
    open: list[int] = field(init=False)
    failed: list[str] = field(default_factory=list)
    begun: set[str] = field(default_factory=set)
    sought: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.waiting = {run.run_id: run for run in self.runs}
        self.users = {key: [] for key in self.fits}
        for place, run in enumerate(self.runs):
            for fit in self._below(self.fits[self.own[run.run_id]]):
                self.users[fit.key].append(place)
        self.open = list(range(len(self.runs)))

    def make(self, executor: JobExecutor, at_once: int, look: Callable[[], None] = lambda: None) -> Iterator[Made]:
        """Make every run, ``at_once`` jobs at a time; yield each as it ends. ``look`` is called now and then."""
        busy: dict[Future, Fit | Run] = {}
        while self.waiting:
            while len(busy) < at_once and (found := self._next()) is not None:
                item, job = found
                busy[executor.submit(measure, job)] = item
            yield from self._hopeless()
            done, _ = wait(busy, PATIENCE, FIRST_COMPLETED) if busy else ((), ())
            look()
            for future in done:
                yield from self._taken(busy.pop(future), future.result())

    def _next(self) -> tuple[Fit | Run, Job] | None:
        """A run whose fit is there, else a fit whose needs are there; the earliest in the plan."""
        while self.open:
            run = self.runs[self.open[0]]
            own = self.fits[self.own[run.run_id]]
            ready = [fit for fit in self._below(own) if self._ready(fit)]  # some may be found to be there already
            items = [run] if own.sha256 else ready
            for item in items if run.run_id in self.waiting else ():
                name = item.key if isinstance(item, Fit) else item.run_id
                job = None if name in self.begun else self._job(item)
                if job is not None:
                    self.begun.add(name)
                    return item, job
            heapq.heappop(self.open)
        return None

    def _reopen(self, key: str) -> None:
        """Something has become of a fit: look again at the runs that are made of it."""
        for place in self.users[key]:
            heapq.heappush(self.open, place)

    def _below(self, fit: Fit) -> Iterator[Fit]:
        for key in fit.needs.values():
            yield from self._below(self.fits[key])
        yield fit

    def _ready(self, fit: Fit) -> bool:
        if fit.key not in self.sought:  # it may have been made before this suite was interrupted
            self.sought.add(fit.key)
            fit.sha256 = self.store.known[fit.key] if self.store.get(fit.key) else ""
        return not (fit.sha256 or fit.failure) and all(self.fits[key].sha256 for key in fit.needs.values())

    def _job(self, item: Fit | Run) -> Job | None:
        """The job; None if a state that it needs is no longer what was kept, and has to be made again."""
        keys = list(item.needs.values()) if isinstance(item, Fit) else [self.own[item.run_id]]
        found = {key: self.store.get(key) for key in keys}
        for key in (key for key in keys if found[key] is None):
            self._lost(key)
        states = {key: one[0].state for key, one in found.items() if one is not None}
        if len(states) < len(keys):
            return None
        if isinstance(item, Fit):
            return job_of(item, states)
        fit = self.fits[keys[0]]
        return PredictJob(fit.setting, states[keys[0]])

    def _lost(self, key: str) -> None:
        """What lies there is no longer what was kept: have it made again."""
        self.fits[key].sha256 = ""
        self.begun.discard(key)
        self._reopen(key)
        self.store.forget(key)

    def _taken(self, item: Fit | Run, outcome: Fitted | Answers | Failure) -> Iterator[Made]:
        if isinstance(item, Run):
            yield from self._answered(item, outcome)
        elif isinstance(outcome, Fitted):
            others = {local: found[1] for local, key in item.needs.items() if (found := self.store.get(key))}
            item.sha256 = self.store.put(item.key, outcome, spent_of(outcome, others))
            self._reopen(item.key)
        else:
            assert isinstance(outcome, Failure)
            item.failure = outcome
            self.failed.append(item.key)

    def _answered(self, run: Run, outcome: Fitted | Answers | Failure) -> Iterator[Made]:
        fit = self.fits[self.own[run.run_id]]
        found = self.store.get(fit.key)
        if found is None:
            self._lost(fit.key)
            self.begun.discard(run.run_id)
            return
        fitted, spent = found
        answers = outcome if isinstance(outcome, Answers) else None
        failure = outcome if isinstance(outcome, Failure) else None
        needs = {local: self.fits[key] for local, key in fit.needs.items() if local in fitted.taken}
        shared = {one.title: one.sha256 for one in needs.values()}
        del self.waiting[run.run_id]
        yield Made(run, fit, fitted, spent, answers, failure, shared)

    def _hopeless(self) -> Iterator[Made]:
        """Runs whose fit failed, or one that it builds on."""
        places = sorted({place for key in self.failed for place in self.users[key]})
        self.failed.clear()
        for run in (self.runs[place] for place in places if self.runs[place].run_id in self.waiting):
            own = self.fits[self.own[run.run_id]]
            bad = next((fit for fit in self._below(own) if fit.failure), None)
            if bad is None or bad.failure is None:
                continue
            failure = bad.failure
            if bad is not own:
                reason = f"{bad.title}, which it builds on: {failure.status}: {failure.reason}"
                status = "killed" if failure.status == "killed" else "failed"
                failure = replace(failure, status=status, reason=reason)
            del self.waiting[run.run_id]
            yield Made(run, own, failure=failure)
