"""A method that trains on after MAP and says so: SWAG (Maddox et al. 2019, arXiv 1902.02476), its diagonal form."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.func import functional_call

from baselines.map import MAP
from baselines.train import train


class Swag(nn.Module):
    """A network, and the mean and mean square of its weights along a path."""

    def __init__(self, model, draws, seed):
        super().__init__()
        self.model, self.draws, self.seed = model, draws, seed
        for i, p in enumerate(model.parameters()):
            self.register_buffer(f"mean_{i}", p.detach().clone())
            self.register_buffer(f"square_{i}", p.detach() ** 2)

    def collect(self, points):
        """Take the present weights in, as the last of so many points."""
        for i, p in enumerate(self.model.parameters()):
            self.get_buffer(f"mean_{i}").lerp_(p.detach(), 1 / points)
            self.get_buffer(f"square_{i}").lerp_(p.detach() ** 2, 1 / points)

    def outputs(self, x):
        """Outputs [draws, batch, outputs]."""
        generator = torch.Generator().manual_seed(self.seed)  # the same draws whenever one asks
        return torch.stack([functional_call(self.model, self._weights(generator), (x,)) for _ in range(self.draws)])

    def _weights(self, generator):
        weights = {}
        for i, (name, p) in enumerate(self.model.named_parameters()):
            mean, square = self.get_buffer(f"mean_{i}"), self.get_buffer(f"square_{i}")
            noise = torch.randn(p.shape, generator=generator).to(mean)
            weights[name] = mean + (square - mean**2).clamp(min=0).sqrt() * noise
        return weights


@dataclass(frozen=True)
class DiagonalSWAG:
    """A Gaussian around the mean of the weights along a path of constant rate that starts at MAP."""

    draws: int = 16

    # The recipe of its own training. The MAP fit that it starts from is trained by the task's.
    recipe_changes = {"epochs": 4, "schedule": "constant", "warmup": 0.0}
    uses = ((MAP(), 0),)

    def predictor(self, problem):
        return Swag(problem.new_model().eval(), self.draws, problem.seeds.noise("draws"))

    def fit(self, problem):
        predictor = self.predictor(problem)
        predictor.model.load_state_dict(problem.fit(MAP()).model.state_dict())
        epoch = problem.recipe.steps_per_epoch(problem.train.num_examples)

        def after_step(done, total):
            if done % epoch == 0:
                predictor.collect(done // epoch)

        train(predictor.model, problem, after_step=after_step)
        return predictor
