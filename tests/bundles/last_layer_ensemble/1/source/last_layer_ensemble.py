"""A newcomer's method in a file of its own: several last layers on one trunk."""

from dataclasses import dataclass

import torch
from torch import nn

from baselines.heads import features_and_outputs, find_head
from baselines.train import train


class Heads(nn.Module):
    """One trunk, several last layers."""

    def __init__(self, model, head, count):
        super().__init__()
        self.model, self.first = model, [head]  # in a list: it is registered once, as the model's
        self.others = nn.ModuleList(nn.Linear(head.in_features, head.out_features) for _ in range(count - 1))

    def outputs(self, x):
        """Outputs [heads, batch, outputs]."""
        features, first = features_and_outputs(self.model, self.first[0], x)
        return torch.stack([first, *(head(features) for head in self.others)])


@dataclass(frozen=True)
class LastLayerEnsemble:
    """Several last layers on one trunk, trained on the mean of their losses."""

    heads: int = 4

    map_equivalent = {"heads": 1}

    def predictor(self, problem):
        model = problem.new_model().eval()
        torch.manual_seed(problem.seeds.noise("heads"))
        return Heads(model, find_head(model, problem.example), self.heads).to(problem.device)

    def fit(self, problem):
        def loss(net, x, y):
            return sum(problem.likelihood.loss(outputs, y) for outputs in net.outputs(x)) / self.heads

        net = self.predictor(problem)
        train(net, problem, loss=loss)  # the recipe's optimizer, schedule, decay, clipping and precision
        return net
