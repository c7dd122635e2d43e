"""The other processes of a fit that several devices make together."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from baselines.ranks import joined
from benchmarks.measure.arithmetic import settle
from benchmarks.measure.jobs import FitJob


@contextmanager
def followers(job: FitJob, fit: Callable[[FitJob], None]) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Fork a process for each further rank of ``job``, which does ``fit(job)``; all are gone when the block ends.

    The block must begin before this process touches a device, or takes its first gradient: neither survives a fork.

    Yields:
        What makes this process the first rank for a block; the others join when they have loaded their data.
    """
    with tempfile.TemporaryDirectory(prefix="ivi-ranks-") as folder:
        meeting, context = Path(folder) / "meeting", multiprocessing.get_context("fork")
        ranks = range(1, len(job.ranks))
        others = [context.Process(target=_rank, args=(job, rank, meeting, fit)) for rank in ranks]
        for one in others:
            one.start()
        try:
            yield lambda: _joined(job, 0, meeting)
        finally:
            for one in others:
                one.kill()
                one.join()


def _rank(job: FitJob, rank: int, meeting: Path, fit: Callable[[FitJob], None]) -> None:
    settle(job.setting.threads)
    with _joined(job, rank, meeting):
        fit(replace(job, setting=replace(job.setting, device=job.ranks[rank])))


def _joined(job: FitJob, rank: int, meeting: Path) -> AbstractContextManager[None]:
    ranks = max(1, len(job.ranks))
    return joined(
        meeting, rank, ranks, torch.device(job.ranks[rank] if job.ranks else job.setting.device), job.setting.limit
    )
