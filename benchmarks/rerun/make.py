"""Runs made again, as a suite makes them: the same schedule and the same jobs, by another executor. No torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from benchmarks.executors.sandboxed import SandboxedExecutor
from benchmarks.executors.usage import Usage
from benchmarks.fits import FitStore
from benchmarks.machine import cores
from benchmarks.measure.environment import Stack
from benchmarks.measure.jobs import FitJob, PredictJob
from benchmarks.nodes import scheduled
from benchmarks.outcome import outcome_of, sets_of
from benchmarks.rerun.claims import columns_of
from benchmarks.runs import Run
from benchmarks.schedule import Made
from leaderboard.predictions import AnyPredictions
from leaderboard.record import Record

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Again:
    """A run made here.

    Attributes:
        run, record: what it was, and its record; its data may be a copy that nobody else has.
        data: bytes of its predictions; None where it is not ok.
        state: of the fit.
        steps, allowed: of the method's own fit, and those of the recipe that it declares.
        usages: what its own fit and predictions took, seen from outside.
    """

    run: Run
    record: Record
    sets: dict[str, AnyPredictions] = field(repr=False)
    data: bytes | None = field(repr=False)
    state: bytes = field(repr=False)
    steps: int
    usages: tuple[Usage, ...]

    @property
    def is_ok(self) -> bool:
        """Whether there are predictions."""
        return self.record.status == "ok"

    @cached_property
    def values(self) -> dict[tuple[str, str], float]:
        """Its columns."""
        return columns_of(self.sets)

    @property
    def size(self) -> int:
        """How many test examples there are."""
        labels = self.sets["test"].labels
        return 1 if labels is None else len(labels)

    @property
    def cpu(self) -> float:
        """Seconds of processor time."""
        return sum(one.cpu for one in self.usages)

    @property
    def memory(self) -> int:
        """Bytes, of the larger of fitting and predicting."""
        return max((one.memory for one in self.usages), default=0)


@dataclass
class Workshop:
    """Where runs are made again.

    Attributes:
        executor: of their jobs.
        folder: for states of fits; nobody else's.
        stack: code and packages.
        limit: seconds that one fit, or all predictions of one run, may take.
        progress: told in words what has been made.
    """

    executor: SandboxedExecutor
    folder: Path
    stack: Stack
    limit: float
    progress: Progress

    def make(self, runs: Sequence[Run], threads: int) -> dict[str, Again]:
        """Every run of ``runs``, by run id; one that fails has a record that says why."""
        if not runs:
            return {}
        fits = FitStore(self.folder / "fits")
        schedule = scheduled(runs, self.executor, fits, self.stack, threads, self.limit)
        found: dict[str, Again] = {}
        for made in schedule.make(self.executor, cores()):
            found[made.run.run_id] = self._again(made)
            self.progress(f"{made.run.title}: {found[made.run.run_id].record.status}")
        return found

    def _again(self, made: Made) -> Again:
        outcome = outcome_of(made, 1, self.stack)
        answered = outcome.record.status == "ok" and made.answers is not None
        sets = sets_of(made.run, made.answers) if answered and made.answers else {}
        return Again(
            run=made.run,
            record=outcome.record,
            sets=sets,
            data=outcome.predictions,
            state=made.fitted.state if made.fitted else b"",
            steps=made.fitted.steps if made.fitted else 0,
            usages=tuple(self._usages(made)),
        )

    def _usages(self, made: Made) -> list[Usage]:
        own = made.fit.setting
        return [
            usage
            for job, usage in self.executor.usages
            if isinstance(job, FitJob | PredictJob)
            and (job.setting.data, job.setting.seed, job.setting.method) == (own.data, own.seed, own.method)
            and getattr(job, "member", 0) == made.fit.member
        ]
