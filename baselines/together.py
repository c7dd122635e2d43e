"""Several networks of one shape, trained at once: one step of a stacked network is a step of each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from baselines.protocol import Problem, Unsupported
from baselines.train import train

SAME = ("likelihood", "recipe", "device")
"""What the problems of those that are trained together have in common; examples may differ, their number may not."""
_ROWS = 2
"""Rows of the batch that is tried first: layers that normalize over a batch refuse a single one."""


class Stacked(nn.Module):
    """Networks of one shape as one, whose parameters have a leading dimension for the network.

    Args:
        models: at least one; they are left alone until `write_back`.

    Raises:
        Unsupported: they are not of one shape, or hold buffers, which a network writes for itself alone.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        super().__init__()
        _check_alike(models)
        self._models = list(models)  # in a list of one's own: their parameters are not this network's
        stacked, _ = stack_module_state(self._models)
        self._places = {name: name.replace(".", "/") for name in stacked}
        for name, value in stacked.items():
            self.register_parameter(self._places[name], nn.Parameter(value.detach(), value.requires_grad))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [networks, batch, outputs] of inputs [networks, batch, ...], each network's own."""
        first = self._models[0]
        values = {name: self.get_parameter(place) for name, place in self._places.items()}
        return vmap(lambda own, part: functional_call(first, own, (part,)))(values, x)

    def train(self, mode: bool = True) -> Stacked:
        """Set the mode of the networks too."""
        for model in self._models:
            model.train(mode)
        return super().train(mode)

    @torch.no_grad()
    def write_back(self) -> None:
        """Give every network its own parameters."""
        for index, model in enumerate(self._models):
            for name, p in model.named_parameters():
                p.copy_(self.get_parameter(self._places[name])[index])

    def clip(self, norm: float) -> None:
        """Bound the norm of each network's gradient, as `torch.nn.utils.clip_grad_norm_` does of one."""
        gradients = [p.grad for p in self.parameters() if p.grad is not None]
        norms = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients]).norm(dim=0)
        factors = (norm / (norms + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factors.view(-1, *[1] * (gradient.dim() - 1)))


def train_together(models: Sequence[nn.Module], problems: Sequence[Problem]) -> None:
    """Train each model in place on its own problem, all at once, and leave them in eval mode.

    Each is, within the error of rounding, what `baselines.train.train` makes of it: its own batches in its own order,
    the recipe's optimizer, schedule and clipping. The sum of the losses is minimised, whose gradient by one network's
    parameters is that of its own loss alone.

    Args:
        models: networks of one shape, with parameters on the problems' device.
        problems: as many; they differ in seeds, and perhaps in examples, alone.

    Raises:
        Unsupported: it is not known to be the same: the message names what of a network or a problem is why.
        TrainingError, Diverged: as `baselines.train.train`; of any network.
    """
    first, stacked = problems[0], Stacked(models)
    for other in problems:
        for name in SAME:
            if getattr(other, name) != getattr(first, name):
                raise Unsupported(f"what is trained together must have one {name}")
        if other.train.num_examples != first.train.num_examples:
            raise Unsupported("what is trained together must have equally many examples")
    _try(stacked, first.example)
    each = vmap(first.likelihood.loss)

    def epoch(number: int) -> Iterator[tuple[Tensor, Tensor]]:
        size = first.recipe.batch_size
        sources = (problem.train.shuffled(size, problem.seeds.epoch(number)) for problem in problems)
        for parts in zip(*sources, strict=True):
            xs, ys = zip(*parts, strict=True)
            yield torch.stack(xs), torch.stack(ys)

    train(stacked, first, loss=lambda net, x, y: each(net(x), y).sum(), epoch=epoch, clip=stacked.clip)
    stacked.write_back()
    stacked.eval()


def _check_alike(models: Sequence[nn.Module]) -> None:
    shapes = [{name: (p.shape, p.requires_grad) for name, p in model.named_parameters()} for model in models]
    name = type(models[0]).__name__
    if any(type(model) is not type(models[0]) for model in models) or any(one != shapes[0] for one in shapes):
        raise Unsupported(f"what is trained together must have one shape, and {name} is not that of all")
    buffers = [place for place, _ in models[0].named_buffers()]
    if buffers:
        raise Unsupported(f"{name} has buffers, which are no parameters to be stacked: {', '.join(buffers[:3])}")


def _try(stacked: Stacked, example: Tensor) -> None:
    """Call the network once, as it will be called in training.

    Raises:
        Unsupported: it draws random numbers, which would not be those of its own stream, or does what vmap cannot.
    """
    x = example.expand(len(stacked._models), _ROWS, *example.shape[1:])
    try:
        with torch.no_grad():
            stacked.train()(x)
    except RuntimeError as error:
        name, reason = type(stacked._models[0]).__name__, str(error).partition("\n")[0]
        what = "draws random numbers while it is trained" if "random" in reason else f"vmap says: {reason}"
        raise Unsupported(f"{name} cannot be trained together with others: {what}") from None
