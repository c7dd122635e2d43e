"""Jobs on a cluster that Ray runs: a task for each, made again elsewhere when its node is lost. No torch.

A node needs the same code and packages; what a job needs of a task's data is brought to it once, and what is true of
the evaluation sets never leaves the driver.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any

from filelock import FileLock
from pydantic import Field

from baselines.names import UserError
from benchmarks.data.truth import FIT, INPUTS, TRUTH
from benchmarks.executors.chosen import Options as Base
from benchmarks.executors.chosen import Place
from benchmarks.executors.worker import bare_main, placed
from benchmarks.machine import cache_folder
from benchmarks.measure.jobs import Failure, FitJob, Job, PredictJob, SearchJob
from benchmarks.measure.run import Outcome
from leaderboard.identity import digest
from leaderboard.store import write_once

NEEDED = {FitJob: (FIT,), PredictJob: (INPUTS,), SearchJob: (FIT, INPUTS)}
"""Which sealed files a job opens."""
QUEUED = 64
"""Tasks that wait or run at a time, at least: they hold fitted states in Ray's memory."""


class Options(Base):
    """What may be said of tasks of Ray.

    Attributes:
        address: of the cluster, ``HOST:PORT``, ``ray://HOST:PORT`` or ``auto``; without it one is started here.
        cpus, gpus: that each task holds; gpus is 1 for ``--device cuda``.
        resources: other resources that each task holds, in a profile.
        retries: how often a run is begun again whose node was lost.
    """

    address: str | None = None
    cpus: float = Field(1, gt=0)
    gpus: float | None = Field(None, ge=0)
    resources: dict[str, float] = {}
    retries: int = Field(3, ge=0)


@dataclass(frozen=True)
class Data:
    """A task's sealed data, for nodes: the files' contents as objects of Ray, by name, and a hash of all."""

    key: str
    manifest: bytes
    files: dict[str, Any]


def opened(options: Options, place: Place) -> RayExecutor:
    """The executor.

    Raises:
        UserError: Ray is not here, or there is no cluster at the address.
    """
    try:
        import ray
    except ImportError:
        raise UserError("--on ray needs Ray: pip install 'ivi-bench[ray]'") from None
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_worker_niceness"):  # without: reports to its makers; stands back
        os.environ.setdefault(name, "0")
    here = {} if options.address else {"num_cpus": place.workers, "include_dashboard": False}
    try:
        ray.init(address=options.address, log_to_driver=False, logging_level=logging.ERROR, **here)
    except (ConnectionError, ValueError, RuntimeError) as error:
        said = str(error).strip().partition("\n")[0]
        raise UserError(f"--on ray: no cluster at {options.address or 'this machine'}: {said}") from None
    return RayExecutor(options, place)


class RayExecutor(Executor):
    """Tasks of Ray, and threads that wait for them.

    Attributes:
        reports: nothing is put there: how far a run is, stays on its node.
        at_once, threads: `chosen.JobExecutor`.
    """

    def __init__(self, options: Options, place: Place) -> None:
        import ray

        self.reports: SimpleQueue[tuple[Any, str, int, int]] = SimpleQueue()
        slots = int(ray.cluster_resources().get("CPU", 1) / options.cpus)
        self.at_once, self.threads = place.workers or max(QUEUED, 2 * slots), max(1, int(options.cpus))
        gpus = options.gpus if options.gpus is not None else float(place.device.startswith("cuda"))
        self._task = ray.remote(
            num_cpus=options.cpus,
            num_gpus=gpus,
            resources=options.resources,
            max_retries=options.retries,
        )(on_node)
        self._data: dict[Path, Data] = {}

    def __enter__(self) -> RayExecutor:
        return self

    def submit(self, function: Any, job: Any, /) -> Future:  # pyright: ignore[reportIncompatibleMethodOverride]
        """``function(job)`` on some node, which must be able to import it."""
        folder = job.setting.data
        if folder not in self._data:
            self._data[folder] = sealed(folder)
        future: Future = Future()
        task = self._task.remote(function, job, self._data[folder])
        task.future().add_done_callback(lambda ended: self._ended(future, ended))
        return future

    def _ended(self, future: Future, ended: Any) -> None:
        from ray.exceptions import RayError

        try:
            future.set_result(ended.result())
        except RayError as error:
            said = str(error).strip()
            future.set_result(Failure("killed", f"Ray: {type(error).__name__}: {said.partition(chr(10))[0]}", said))
        except BaseException as error:
            future.set_exception(error)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the cluster; what still runs there ends."""
        import ray

        ray.shutdown()


def sealed(folder: Path) -> Data:
    """Sealed data as nodes may have them: without what is true, and without the hashes that the mixed order is from."""
    import ray

    manifest = json.loads((folder / "manifest.json").read_bytes())
    files = {name: (folder / name).read_bytes() for name in (FIT, INPUTS) if (folder / name).is_file()}
    words = json.dumps(manifest | {"sets": {}}).encode()
    key = digest([folder.name, manifest["sets"], manifest["spec"]])[:32]
    return Data(key, words, {name: ray.put(data) for name, data in files.items()})


def on_node(function: Callable[[Job], Outcome], job: Job, data: Data) -> Outcome:
    """``function(job)`` on the node that this is called on."""
    import ray

    bare_main()
    folder = cache_folder() / "nodes" / data.key
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        for name in (FIT, INPUTS, TRUTH):
            (folder / name).touch()
        for name in NEEDED[type(job)]:
            if name in data.files and not (folder / name).stat().st_size:
                write_once(folder / name, ray.get(data.files[name]), replace=True)
        write_once(folder / "manifest.json", data.manifest, replace=True)
    there = replace(job, setting=replace(job.setting, data=folder))
    node = ray.get_runtime_context().get_node_id()[:8]
    return placed(function(there), f"Ray node {node}")
