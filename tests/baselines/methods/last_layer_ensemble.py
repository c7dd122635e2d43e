"""A newcomer's method in a file of its own: several last layers on one trunk. Imports nothing of the harness."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


class Heads(nn.Module):
    """One trunk, several last layers."""

    def __init__(self, model, heads):
        super().__init__()
        self.trunk, head = model, model.get_classifier()
        self.heads = nn.ModuleList(nn.Linear(head.in_features, head.out_features) for _ in range(heads))
        self.trunk.fc = nn.Identity()

    def logits(self, x):
        """Logits [heads, batch, classes]."""
        features = self.trunk(x)
        return torch.stack([head(features) for head in self.heads])


@dataclass(frozen=True)
class LastLayerEnsemble:
    """Several last layers on one trunk, trained on the sum of their losses."""

    heads: int = 4

    def predictor(self, problem):
        torch.manual_seed(problem.seeds.init)
        return Heads(problem.new_model(), self.heads).to(problem.device).eval()

    def fit(self, problem):
        net, recipe = self.predictor(problem), problem.recipe
        optimizer = torch.optim.SGD(net.parameters(), lr=recipe.lr, momentum=recipe.momentum)
        net.train()
        for epoch in range(recipe.epochs):
            for x, y in problem.train.shuffled(recipe.batch_size, problem.seeds.order + epoch):
                loss = sum(F.cross_entropy(logits, y) for logits in net.logits(x))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return net.eval()
