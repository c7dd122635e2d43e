"""Short ideas from papers, as anybody might submit them: honest bundles for `false_alarms.py`."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from baselines.heads import features_and_outputs, find_head
from baselines.map import MAP, PointPredictor
from baselines.train import train


@dataclass(frozen=True)
class OwnEma:
    """Predict with an exponential moving average of the weights."""

    decay: float = 0.95

    def predictor(self, problem):
        return PointPredictor(problem.new_model().eval())

    def fit(self, problem):
        net = self.predictor(problem)
        weights = list(net.model.parameters())
        means = [p.detach().clone() for p in weights]

        def after_step(done, total):
            for mean, p in zip(means, weights, strict=True):
                mean.lerp_(p.detach(), 1 - self.decay)

        train(net.model, problem, after_step=after_step)
        with torch.no_grad():
            for mean, p in zip(means, weights, strict=True):
                p.copy_(mean)
        return net


@dataclass(frozen=True)
class SoftLabels:
    """Label smoothing (Szegedy et al. 2016)."""

    amount: float = 0.03

    map_equivalent = {"amount": 0.0}

    def predictor(self, problem):
        return PointPredictor(problem.new_model().eval())

    def fit(self, problem):
        net = self.predictor(problem)

        def loss(model, x, y):
            outputs = model(x)
            plain = problem.likelihood.loss(outputs, y)
            if problem.likelihood.kind != "categorical":
                return plain
            return (1 - self.amount) * plain - self.amount * outputs.log_softmax(-1).mean()

        train(net.model, problem, loss=loss)
        return net


@dataclass(frozen=True)
class InputNoise:
    """Gaussian noise on every input while training (Bishop 1995)."""

    scale: float = 0.2

    map_equivalent = {"scale": 0.0}

    def predictor(self, problem):
        return PointPredictor(problem.new_model().eval())

    def fit(self, problem):
        net = self.predictor(problem)
        train(
            net.model,
            problem,
            loss=lambda model, x, y: problem.likelihood.loss(model(x + self.scale * torch.randn_like(x)), y),
        )
        return net


class Heads(nn.Module):
    """One trunk, several last layers."""

    def __init__(self, model, head, count):
        super().__init__()
        self.model, self.first = model, [head]
        self.others = nn.ModuleList(nn.Linear(head.in_features, head.out_features) for _ in range(count - 1))

    def outputs(self, x):
        features, first = features_and_outputs(self.model, self.first[0], x)
        return torch.stack([first, *(head(features) for head in self.others)])


@dataclass(frozen=True)
class ManyHeads:
    """Eight last layers on one trunk."""

    heads: int = 8

    map_equivalent = {"heads": 1}

    def predictor(self, problem):
        model = problem.new_model().eval()
        torch.manual_seed(problem.seeds.noise("heads"))
        return Heads(model, find_head(model, problem.example), self.heads).to(problem.device)

    def fit(self, problem):
        def loss(net, x, y):
            return sum(problem.likelihood.loss(outputs, y) for outputs in net.outputs(x)) / self.heads

        net = self.predictor(problem)
        train(net, problem, loss=loss)
        return net


class Votes(nn.Module):
    """One network and fixed shifts of its inputs."""

    def __init__(self, inner, example, count, scale, seed):
        super().__init__()
        self.inner = inner
        generator = torch.Generator().manual_seed(seed)
        self.register_buffer("shifts", scale * torch.randn(count, *example.shape[1:], generator=generator))

    def outputs(self, x):
        return torch.cat([self.inner.outputs(x + shift) for shift in self.shifts])


@dataclass(frozen=True)
class NoisyVotes:
    """MAP asked eight times about inputs with noise that is fixed once."""

    votes: int = 8
    scale: float = 0.1

    uses = ((MAP(), 0),)

    def _around(self, inner, problem):
        return Votes(inner, problem.example, self.votes, self.scale, problem.seeds.noise("shifts")).to(problem.device)

    def predictor(self, problem):
        return self._around(MAP().predictor(problem), problem)

    def fit(self, problem):
        return self._around(problem.fit(MAP()), problem)


class Scaled(nn.Module):
    """Logits over a temperature; of a number, its variance times one."""

    def __init__(self, inner, kind):
        super().__init__()
        self.inner, self.kind = inner, kind
        self.register_buffer("log", torch.zeros(()))

    def outputs(self, x):
        outputs = self.inner.outputs(x)
        if self.kind == "categorical":
            return outputs / self.log.exp()
        mean, variance = outputs.unbind(-1)
        return torch.stack([mean, variance + self.log], -1)


@dataclass(frozen=True)
class WarmAnswers:
    """Temperature scaling (Guo et al. 2017) by a grid."""

    points: int = 61

    uses = ((MAP(), 0),)

    def predictor(self, problem):
        return Scaled(MAP().predictor(problem), problem.likelihood.kind).to(problem.device)

    def fit(self, problem):
        net = Scaled(problem.fit(MAP()), problem.likelihood.kind).to(problem.device)
        best, at = float("inf"), 0.0
        with torch.no_grad():
            for point in torch.linspace(-1.5, 1.5, self.points).tolist():
                net.log.fill_(point)
                pairs = [(net.outputs(x)[0], y) for x, y in problem.validation.ordered(256)]
                value = sum(float(problem.likelihood.loss(o, y)) * len(y) for o, y in pairs)
                if value < best:
                    best, at = value, point
            net.log.fill_(at)
        return net


@dataclass(frozen=True)
class TwiceDropped:
    """A loss on inputs of which a part is dropped, twice, with a penalty for the difference."""

    rate: float = 0.1
    weight: float = 0.5

    def predictor(self, problem):
        return PointPredictor(problem.new_model().eval())

    def fit(self, problem):
        net = self.predictor(problem)

        def loss(model, x, y):
            a, b = (model(functional.dropout(x, self.rate)) for _ in range(2))
            both = problem.likelihood.loss(a, y) + problem.likelihood.loss(b, y)
            return both / 2 + self.weight * (a - b).square().mean()

        train(net.model, problem, loss=loss)
        return net
