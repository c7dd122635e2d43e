"""Implicit VI as its authors' own library trains it (inferno-torch), as a row to read ours against."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn

from baselines.protocol import Unsupported
from baselines.train import train

if TYPE_CHECKING:
    from baselines.protocol import Problem
    from baselines.rates import Groups


class Draws(nn.Module):
    """Their network, asked with the same ``draws`` of its weights whatever the input.

    Its buffer ``seed``: of the generator that the draws come from.
    """

    def __init__(self, net: Any, draws: int, seed: int) -> None:
        super().__init__()
        self.net, self.draws = net, draws
        self.register_buffer("seed", torch.tensor(seed, dtype=torch.int64))

    def outputs(self, x: Tensor) -> Tensor:
        """Logits of every draw, [draws, batch, classes]."""
        generator = torch.Generator(x.device).manual_seed(int(self.get_buffer("seed")))
        return self.net(x, sample_shape=torch.Size([self.draws]), generator=generator)


@dataclass(frozen=True)
class Inferno:
    """Implicit VI of LeNet-5 by inferno-torch (Wenger et al. 2025, arXiv 2505.20235): its layers, initial weights,
    covariances and learning rates of each parameter, within this recipe's batches and schedule.

    Ours is ``implicit_vi_published`` on a task with ``parametrization = "maximal_update"``. Weight decay acts on means
    alone, as there.

    Attributes:
        rank: of the covariance of the first and of the last layer.
        draws: weight draws to predict with.
        lr: the base learning rate, or ``recipe``: the task's.
    """

    rank: Annotated[int, Ge(1)] = 10
    draws: Annotated[int, Ge(1)] = 32
    lr: Annotated[float, Gt(0)] | Literal["recipe"] = "recipe"

    @property
    def recipe_changes(self) -> dict[str, Any]:
        """The rate, if it is not the task's."""
        return {} if self.lr == "recipe" else {"lr": self.lr}

    def predictor(self, problem: Problem) -> Draws:
        """A network with the initial weights that their code draws."""
        try:
            from inferno import models  # pyright: ignore[reportMissingImports]
            from inferno.bnn.params import LowRankCovariance, MaximalUpdate  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise Unsupported("inferno-torch is not installed: pip install 'ivi-bench[parity]'") from None
        ours, sizes = problem.new_model(), (1, 28, 28)
        if problem.recipe.parametrization != "maximal_update" or problem.recipe.optimizer != "sgd":
            raise Unsupported("under maximal update and SGD alone do the two libraries mean the same rates")
        if type(getattr(ours, "net", ours)).__name__ != "LeNet5" or tuple(problem.example.shape[1:]) != sizes:
            raise Unsupported("their library has LeNet-5 for one channel of 28 x 28, and few other networks")
        with torch.random.fork_rng([]):
            torch.manual_seed(problem.seeds.weights)
            net = models.LeNet5(problem.likelihood.outputs, MaximalUpdate(), LowRankCovariance(self.rank))
        return Draws(net.to(problem.device).eval(), self.draws, problem.seeds.noise("draws"))

    def fit(self, problem: Problem) -> Draws:
        """Train on one draw of the weights a step, with their factors on the learning rate."""
        predictor = self.predictor(problem)
        noise = torch.Generator(problem.device).manual_seed(problem.seeds.noise("train"))

        def loss(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            return problem.likelihood.loss(net(x, generator=noise), y)

        recipe = problem.recipe.changed({"parametrization": "standard"})  # the factors are in the groups
        train(predictor.net, replace(problem, recipe=recipe), loss=loss, groups=groups_of(predictor.net, recipe.lr))
        return predictor


def groups_of(net: Any, lr: float) -> Groups:
    """Their groups of parameters with their rates, and no weight decay on factors of covariances."""
    groups = net.parameters_and_lrs(lr=lr, optimizer="SGD")
    return [
        {"params": one["params"], "lr": one["lr"]} | ({"weight_decay": 0.0} if ".cov." in one["name"] else {})
        for one in groups
        if any(p.requires_grad for p in one["params"])
    ]
