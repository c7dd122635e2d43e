"""One network trained by several processes, each on a device of its own and on its part of every batch.

Each process (rank) fits the same method with the same seeds. Where `baselines.train.train` trains a network, it takes
its part of each batch of the one order that there is, and gradients are averaged before every step
(`torch.nn.parallel.DistributedDataParallel`): all ranks hold the same weights after it, those of one process that sees
whole batches but for the order in which numbers are added. Everything else a rank does for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.parallel import DistributedDataParallel
from torch.overrides import TorchFunctionMode

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


class WholeBatches(TorchFunctionMode):
    """Within it, batch normalization in training takes mean and variance over the parts of all ranks."""

    def __torch_function__(self, func: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        return (_batch_norm if func is F.batch_norm else func)(*args, **kwargs)


class _Sum(torch.autograd.Function):
    """The sum over ranks, whose gradient is the sum of the ranks' gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _Sum.forward(ctx, gradient.contiguous())


def _sum(x: Tensor) -> Tensor:
    return _Sum.apply(x)  # type: ignore[return-value]  # the stubs say Any or None


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """`torch.nn.functional.batch_norm` of a batch that lies in equal parts on several ranks."""
    if not training:
        return F.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    over, ranks = [0, *range(2, input.dim())], distributed.get_world_size()
    shape = [1, -1, *[1] * (input.dim() - 2)]
    x = input if input.itemsize > 2 else input.float()
    mean = _sum(x.mean(over)) / ranks
    var = _sum((x - mean.view(shape)).square().mean(over)) / ranks
    if running_mean is not None and running_var is not None:
        number = ranks * input.numel() // input.shape[1]
        running_mean.lerp_(mean.detach().to(running_mean), momentum)
        running_var.lerp_((var.detach() * number / (number - 1)).to(running_var), momentum)
    scale = (var + eps).rsqrt() * (1 if weight is None else weight)
    shift = (0 if bias is None else bias) - mean * scale
    return (x * scale.view(shape) + shift.view(shape)).to(input.dtype)


class SharedOut:
    """The likelihood's loss of a rank's part of a batch, whose gradient is the average over ranks.

    Called as a `baselines.train.Loss`; its value is the loss of the whole batch, the same on every rank.

    Raises:
        Unsupported: parts of a batch would train another network than the whole of it.
    """

    def __init__(self, model: nn.Module, problem: Problem) -> None:
        name = type(model).__name__
        for place, module in model.named_modules():
            if isinstance(module, _NormBase) and not isinstance(module, _BatchNorm) and module.track_running_stats:
                raise Unsupported(f"{name}'s {place} keeps statistics of batches, of which each device sees a part")
        self.problem, self.ranks, self.rank = problem, distributed.get_world_size(), distributed.get_rank()
        self._name, self._tried = name, False
        devices = [problem.device] if problem.device.type == "cuda" else None
        self._net = DistributedDataParallel(model, devices)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """The loss of the batch, nats; its gradient is that of this rank's part until ranks have been averaged."""
        if len(x) % self.ranks:
            raise Unsupported(f"a batch of {len(x)} has no {self.ranks} equal parts, one for each device")
        before = None if self._tried else self._noise()
        part, labels = (whole.chunk(self.ranks)[self.rank] for whole in (x, y))
        with WholeBatches():
            loss = self.problem.likelihood.loss(self._net(part), labels)
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
