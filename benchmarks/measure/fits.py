"""Fits that several runs need: made once, kept on disk, their cost charged to everyone who uses them."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save

from baselines.protocol import Method, Predictor, Problem
from baselines.spec import spec_of
from benchmarks.measure.clock import Clock, Reading
from benchmarks.problem import TaskData, make_problem
from benchmarks.suite import Run
from leaderboard.record import write_once


@dataclass(frozen=True)
class Fits:
    """The fits of one process.

    Attributes:
        folder: where fits are kept; files are named by run and ``code``, so that an edit makes old ones unreachable.
        code: hash of this program.
        run: the run that is being executed; others differ from it in the method.
        task_data: the task's images.
        clock: what is charged.
        progress: (steps done, steps in all) of the fit that is going on.
    """

    folder: Path
    code: str
    run: Run
    task_data: TaskData
    clock: Clock
    progress: Callable[[int, int], None]

    def fit(self, method: Method, run: Run) -> tuple[Predictor, Problem, Reading]:
        """The fitted ``method`` of ``run``, made now or taken from where it lies, with what it cost."""
        problem = make_problem(run, self.task_data, method, self._reuse, self.progress)
        path = self.folder / f"{run.run_id}-{self.code[:8]}.safetensors"
        with _locked(path):
            stored = path.exists()
            with self.clock() as reading:
                predictor = self._load(method, problem, path) if stored else method.fit(problem)
            if not stored:
                _save(path, predictor, reading)
        return predictor, problem, reading

    def _reuse(self, method: Method, problem: Problem) -> Predictor:
        spec = spec_of(method)
        if spec is None:
            return method.fit(problem)
        mark = self.clock.mark()
        predictor, _, cost = self.fit(method, self.run.model_copy(update={"method": spec}))
        self.clock.charge(mark, cost, shared=cost.seconds)
        return predictor

    def _load(self, method: Method, problem: Problem, path: Path) -> Predictor:
        mark = self.clock.mark()
        predictor = method.predictor(problem)
        with safe_open(path, framework="pt", device=str(problem.device)) as file:
            predictor.load_state_dict({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118 (not a dict)
            cost = Reading(**json.loads(file.metadata()["reading"]))
        self.clock.charge(mark, cost, shared=cost.shared)
        return predictor


def _save(path: Path, predictor: Predictor, reading: Reading) -> None:
    state = {key: value.detach().contiguous().clone() for key, value in predictor.state_dict().items()}
    write_once(path, save(state, metadata={"reading": json.dumps(asdict(reading))}), replace=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Only one process at a time makes the fit at ``path``; the lock goes with the process, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
