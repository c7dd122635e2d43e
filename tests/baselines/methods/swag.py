"""A method that trains on after MAP and says so: SWAG (Maddox et al. 2019, arXiv 1902.02476), its diagonal form."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.func import functional_call

from baselines.map import MAP
from baselines.train import train


class Swag(nn.Module):
    """A network, the moments of its weights along a path, and noise that is drawn once."""

    def __init__(self, model, draws, seed):
        super().__init__()
        self.model, self.draws, self.seed = model, draws, seed
        for moment in ("first", "second"):
            for name, p in model.named_parameters():
                self.register_buffer(
                    f"{moment} {name}".replace(".", "/"), p.detach().clone() ** (2 - (moment == "first"))
                )

    def moments(self, name):
        """First and second moment of a parameter."""
        return (self.get_buffer(f"{moment} {name}".replace(".", "/")) for moment in ("first", "second"))

    def collect(self, count):
        """Take the present weights into the moments of ``count`` points before."""
        for name, p in self.model.named_parameters():
            first, second = self.moments(name)
            first.lerp_(p.detach(), 1 / (count + 1))
            second.lerp_(p.detach() ** 2, 1 / (count + 1))

    def outputs(self, x):
        """Outputs [draws, batch, outputs]."""
        generator, out = torch.Generator().manual_seed(self.seed), []
        for _ in range(self.draws):
            weights = {}
            for name, p in self.model.named_parameters():
                first, second = self.moments(name)
                noise = torch.randn(p.shape, generator=generator).to(first)
                weights[name] = first + (second - first**2).clamp(min=0).sqrt() * noise
            out.append(functional_call(self.model, weights, (x,)))
        return torch.stack(out)


@dataclass(frozen=True)
class SWAG:
    """A Gaussian around the mean of the weights along a path of constant rate that starts at MAP."""

    draws: int = 16

    # Its own training, on top of MAP's, which has the task's recipe. Both stand in the record and in its cost.
    recipe_changes = {"epochs": 4, "schedule": "constant", "warmup": 0.0}
    uses = ((MAP(), 0),)

    def predictor(self, problem):
        return Swag(problem.new_model().eval(), self.draws, problem.seeds.noise("draws"))

    def fit(self, problem):
        every = problem.recipe.steps_per_epoch(problem.train.num_examples)
        predictor = self.predictor(problem)
        predictor.model.load_state_dict(problem.fit(MAP()).model.state_dict())
        collected = 0

        def after_step(done, total):
            nonlocal collected
            if done % every == 0:
                predictor.collect(collected)
                collected += 1

        train(predictor.model, problem, after_step=after_step)
        return predictor
