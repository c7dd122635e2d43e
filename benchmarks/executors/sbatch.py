"""What is said to Slurm, and what it says: options, arrays of workers, their states. No torch."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from baselines.names import UserError
from benchmarks.executors.chosen import Options
from benchmarks.executors.worker import LOGS, log_name, serve, slurm_worker

ALIVE = (
    *("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED"),
    *("REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESIZING", "STOPPED", "STAGE_OUT", "SIGNALING"),
)
ANSWER = 60.0
"""Seconds that a command of Slurm may take; a controller that has not answered by then does not answer."""
NOT_NOW = (
    "timed out",
    "temporarily",
    "Unable to contact slurm controller",
    "Zero Bytes were transmitted",
    "connection",
)
"""Parts of what sbatch says where nothing is wrong with the job: a controller that is busy, or is started anew."""


class NotNow(Exception):
    """The controller takes no jobs at the moment."""


class JobOptions(Options):
    """What may be said of a job of Slurm.

    Attributes:
        partition, account, qos, constraint: as sbatch has them.
        time: minutes that a worker may run; it takes one run after another.
        gpus, cpus: of each worker; gpus is 1 for ``--device cuda``.
        mem: of each worker, as sbatch has it.
        array: workers at a time.
        retries: how often a run is begun again whose worker was lost.
        idle: seconds after which a worker ends to which no driver gives work.
        every: seconds between two questions to Slurm.
        setup: lines of shell that each worker begins with: ``module load ...``.
        sbatch: any other option of sbatch, by its long name.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    time: int = Field(240, gt=0)
    gpus: int | None = Field(None, ge=0)
    cpus: int = Field(1, gt=0)
    mem: str | None = None
    array: int | None = Field(None, gt=0)
    retries: int = Field(2, ge=0)
    idle: float = Field(60.0, gt=0)
    every: float = Field(10.0, gt=0)
    setup: tuple[str, ...] = ()
    sbatch: dict[str, str | int | bool] = {}

    @field_validator("time", mode="before")
    @classmethod
    def _minutes(cls, value: Any) -> Any:
        """Minutes of what sbatch reads: ``90``, ``01:30:00``, ``2-00:00:00``."""
        found = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+)(?::(\d+))?", str(value))
        if found is None:
            return value
        days, first, second, third = found.groups()
        hours, minutes, seconds = (first, second, third) if third or days else ("0", first, second)
        return 1440 * int(days or 0) + 60 * int(hours) + int(minutes) + (int(seconds or 0) > 0)


def send(options: JobOptions, device: str, root: Path, count: int) -> str:
    """Submit an array of workers and give its number.

    Raises:
        NotNow: Slurm may take it later.
        UserError: Slurm does not take it.
    """
    import submitit
    from submitit.core.utils import FailedJobError

    os.environ["PYTHONSAFEPATH"] = "1"  # else a worker imports a folder `benchmarks` of wherever this was started
    executor = submitit.SlurmExecutor(folder=root / LOGS)
    gpus = options.gpus if options.gpus is not None else int(device.startswith("cuda"))
    named = {"partition": options.partition, "account": options.account, "qos": options.qos, "mem": options.mem}
    named |= {"constraint": options.constraint, "setup": list(options.setup) or None, "gpus_per_node": gpus or None}
    executor.update_parameters(
        **{key: value for key, value in named.items() if value is not None},
        **{"time": options.time, "cpus_per_task": options.cpus, "job_name": name_of(root), "stderr_to_stdout": True},
        **{"use_srun": False, "additional_parameters": dict(options.sbatch)},
    )
    work = partial(serve, worker=slurm_worker, idle=options.idle)
    try:
        job = executor.map_array(work, [str(root)] * count)[0]
    except FailedJobError as error:
        if any(words in str(error) for words in NOT_NOW):
            raise NotNow from None
        said = str(error).strip().splitlines()
        raise UserError(f"--on slurm: sbatch: {said[-1] if said else 'refused'}") from None
    return job.job_id.partition("_")[0]


def name_of(root: Path) -> str:
    """What the jobs of one folder of records are called in Slurm, so that whoever comes later finds them all."""
    return f"ivi-{hashlib.sha256(str(root).encode()).hexdigest()[:10]}"


def states_of(root: Path) -> dict[str, str] | None:
    """Element of an array -> its state in Slurm's words, of all workers; None if Slurm does not answer."""
    command = ["squeue", "--noheader", "--array", "--states=all", "--format=%i %T", f"--name={name_of(root)}", "--me"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=ANSWER)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode != 0:
        return None
    pairs = (line.split() for line in done.stdout.splitlines())
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def cancel(root: Path, *options: str) -> None:
    """End workers, or those of them that ``options`` of scancel choose, if the controller answers: they end anyhow."""
    command = ["scancel", "--quiet", f"--name={name_of(root)}", "--me", *options]
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(command, capture_output=True, check=False, timeout=ANSWER)


def base_of(worker: str) -> str:
    """The element of an array that a worker is, whatever how often it was restarted."""
    return worker.rpartition("r")[0]


def log_of(job: str, root: Path) -> Path:
    """What a worker has printed."""
    return root / LOGS / log_name(job)
