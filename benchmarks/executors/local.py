"""Jobs on this machine: a thread for each watches over a process of its own, on the devices that it was given."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from queue import SimpleQueue
from types import TracebackType
from typing import Annotated, Any

from pydantic import Field

from baselines.names import UserError
from benchmarks.executors import chosen
from benchmarks.executors.chosen import Place
from benchmarks.executors.devices import AT_ONCE, Devices
from benchmarks.machine import cores, memory_of
from benchmarks.measure.jobs import Answers, Failure, FitJob, Fitted, PredictJob
from benchmarks.measure.process import end_all


class Options(chosen.Options):
    """What `ivi run --on local` takes.

    Attributes:
        per_device: most jobs beside each other on one GPU, where its memory allows.
        ranks: devices that train one network together, each on its part of every batch; on a CPU, processes.
    """

    per_device: Annotated[int, Field(ge=1)] = AT_ONCE
    ranks: Annotated[int, Field(ge=1)] = 1


def opened(options: Options, place: Place) -> LocalExecutor:
    """The executor: one job per core, and on GPUs not more than each may hold, unless the user says otherwise.

    Raises:
        UserError: one network is to be trained on more devices than there are.
    """
    devices = Devices(memory_of(place.device), options.per_device)
    most = max(1, cores() // options.ranks)
    if devices.free:
        if options.ranks > len(devices.free):
            raise UserError(f"--ranks {options.ranks}: --device {place.device} is {len(devices.free)} device(s) here")
        most = min(cores(), options.per_device * len(devices.free))
    return LocalExecutor(place.workers or most, devices, options.ranks, place.say)


class LocalExecutor(ThreadPoolExecutor):
    """Threads that hold no work of their own: what is submitted runs in processes, which all end with the executor.

    Args:
        workers: jobs at a time.
        devices: that they are shared out to; without any, jobs run where they say.
        ranks: devices, or processes on a CPU, that one fit is shared out to; a fit that cannot be is made on one.
        say: told which.

    Attributes:
        reports: (job, phase, done, total), put there while jobs go on.
        at_once, threads: `chosen.JobExecutor`.
    """

    def __init__(
        self,
        workers: int,
        devices: Devices | None = None,
        ranks: int = 1,
        say: Callable[[str], None] = lambda words: None,
    ) -> None:
        super().__init__(workers, thread_name_prefix="ivi")
        # Twice as many as work, so that none waits while the driver scores and keeps.
        self.at_once, self.threads = 2 * workers, cores()
        self.devices, self.ranks, self.say = devices or Devices({}), ranks, say
        self.reports: SimpleQueue[tuple[Any, str, int, int]] = SimpleQueue()

    def submit(self, function: Callable[..., Any], job: Any, /) -> Future:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Run ``function(job, report)``, a fit or a prediction on a device that has room for it."""
        return super().submit(self._placed, function, job, lambda *progress: self.reports.put((job, *progress)))

    def _placed(self, function: Callable[..., Any], job: Any, report: Callable[..., None]) -> Any:
        if not isinstance(job, FitJob | PredictJob):
            return function(job, report)
        ranks = self.ranks if isinstance(job, FitJob) else 1
        outcome = self._made(function, job, report, ranks)
        if ranks > 1 and isinstance(outcome, Failure) and outcome.status == "skipped":
            self.say(f"{job.setting.task.name} · {job.setting.method.label}, on one device: {outcome.reason}")
            return self._made(function, job, report, 1)
        return outcome

    def _made(self, function: Callable[..., Any], job: FitJob | PredictJob, report: Any, ranks: int) -> Any:
        if not self.devices.free:
            return function(on(job, (job.setting.device,) * ranks), report)
        kind = (type(job), job.setting.task.name, job.setting.method.label)
        while True:
            with self.devices.room(kind, ranks) as room:
                outcome = function(on(job, room.devices), report)
            if isinstance(outcome, Failure) and outcome.status == "out_of_memory" and not room.whole:
                self.devices.forget(kind)  # it may have been its neighbours: alone it is told apart
                continue
            if isinstance(outcome, Fitted | Answers) and outcome.memory is not None:
                self.devices.measured(kind, outcome.memory)
            if isinstance(outcome, Failure):
                index = int(room.devices[0].partition(":")[2] or 0)
                outcome = replace(outcome, machine=outcome.machine | {"device_index": index})
            return outcome

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.shutdown(wait=False, cancel_futures=True)
            end_all()
        self.shutdown(wait=True)


def on(job: FitJob | PredictJob, devices: tuple[str, ...]) -> FitJob | PredictJob:
    """``job`` on ``devices``, of which its own process has the first."""
    setting = replace(job.setting, device=devices[0])
    if isinstance(job, FitJob):
        return replace(job, setting=setting, ranks=devices if len(devices) > 1 else ())
    return replace(job, setting=setting)
