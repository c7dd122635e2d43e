"""One network trained by several processes, each on a device of its own and on its part of every batch.

Each process (rank) fits the same method with the same seeds. Where `baselines.train.train` trains a network, it takes
its part of each batch of the one order that there is, and gradients are averaged before every step
(`torch.nn.parallel.DistributedDataParallel`): all ranks hold the same weights after it, those of one process that sees
whole batches but for the order in which numbers are added. Everything else a rank does for itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parallel import DistributedDataParallel

from baselines.protocol import Problem, Unsupported


def count() -> int:
    """How many ranks fit this together; 1 where nobody has said."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


@contextmanager
def joined(meeting: Path, rank: int, ranks: int, device: torch.device, limit: float) -> Iterator[None]:
    """For the block this process is rank ``rank`` of ``ranks``.

    Args:
        meeting: a file that no other group has used, on a disk that all see.
        rank: from 0.
        ranks: at least 1; alone, a process joins nobody.
        device: of this rank.
        limit: seconds after which a rank that nobody answers gives up.
    """
    if ranks == 1:
        yield
        return
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.set_device(device)
    distributed.init_process_group(
        "nccl" if cuda else "gloo",
        init_method=f"file://{meeting}",
        rank=rank,
        world_size=ranks,
        timeout=timedelta(seconds=min(limit, 10**6)),
    )
    try:
        yield
    finally:
        distributed.destroy_process_group()


class SharedOut:
    """The likelihood's loss of a rank's part of a batch, whose gradient is the average over ranks.

    Called as a `baselines.train.Loss`; its value is the loss of the whole batch, the same on every rank.

    Raises:
        Unsupported: parts of a batch would train another network than the whole of it.
    """

    def __init__(self, model: nn.Module, problem: Problem) -> None:
        name = type(model).__name__
        for place, module in model.named_modules():
            if isinstance(module, _NormBase):
                raise Unsupported(
                    f"{name} normalizes over batches in {place}: parts of a batch on several devices are not the batch"
                )
        self.problem, self.ranks, self.rank = problem, distributed.get_world_size(), distributed.get_rank()
        self._name, self._tried = name, False
        self._net = DistributedDataParallel(model, [problem.device] if problem.device.type == "cuda" else None)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """The loss of the batch, nats; its gradient is that of this rank's part until ranks have been averaged."""
        if len(x) % self.ranks:
            raise Unsupported(f"a batch of {len(x)} has no {self.ranks} equal parts, one for each device")
        before = None if self._tried else self._noise()
        loss = self.problem.likelihood.loss(self._net(x.chunk(self.ranks)[self.rank]), y.chunk(self.ranks)[self.rank])
        if before is not None and not torch.equal(before, self._noise()):
            raise Unsupported(
                f"{self._name} draws random numbers while it is trained: parts of a batch would share them"
            )
        self._tried = True
        whole = loss.detach().clone()
        distributed.all_reduce(whole)
        return loss + (whole / self.ranks - loss.detach())

    def _noise(self) -> Tensor:
        """The state of the generator that the network would draw from."""
        cuda = self.problem.device.type == "cuda"
        return torch.cuda.get_rng_state(self.problem.device) if cuda else torch.get_rng_state()
