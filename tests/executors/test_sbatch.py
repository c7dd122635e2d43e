"""A controller of Slurm that is slow, busy or gone ends no suite; one that refuses a job for good does."""

import os
import time

import pytest

from baselines.names import UserError
from benchmarks.executors import sbatch
from benchmarks.executors.chosen import Place
from benchmarks.executors.sbatch import JobOptions, NotNow, cancel, send, states_of
from benchmarks.executors.slurm import BARREN, SlurmExecutor

BUSY = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"
GONE = "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)"
WRONG = "sbatch: error: invalid partition specified: none"


@pytest.fixture
def says(tmp_path, monkeypatch):
    """Put a program into the PATH that is these lines of shell."""
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")

    def program(name, lines):
        (place / name).write_text(f"#!/bin/sh\n{lines}\n")
        (place / name).chmod(0o755)

    return program


def test_a_controller_that_does_not_answer_holds_nobody_up(says, tmp_path, monkeypatch):
    monkeypatch.setattr(sbatch, "ANSWER", 0.2)
    for name in ("scancel", "squeue"):
        says(name, "exec sleep 30")
    began = time.monotonic()
    cancel(tmp_path)
    assert states_of(tmp_path) is None and time.monotonic() - began < 20


@pytest.mark.parametrize(("said", "error"), [(BUSY, NotNow), (GONE, NotNow), (WRONG, UserError)])
def test_what_sbatch_says_tells_later_from_never(says, tmp_path, said, error):
    pytest.importorskip("submitit")
    says("sbatch", f"echo '{said}' >&2; exit 1")
    with pytest.raises(error):
        send(JobOptions(), "cpu", tmp_path, 2)


def test_arrays_that_a_busy_controller_did_not_take_are_none_that_ended_without_a_job(says, tmp_path):
    pytest.importorskip("submitit")
    executor = SlurmExecutor(JobOptions(), Place(tmp_path))
    says("squeue", "exit 0")
    says("sbatch", f"echo '{BUSY}' >&2; exit 1")
    for _ in range(BARREN + 1):
        executor._send(1)
    says("sbatch", "echo Submitted batch job 7")
    for _ in range(BARREN):
        executor._send(1)
    with pytest.raises(UserError, match="ended before one took a job"):
        executor._send(1)
