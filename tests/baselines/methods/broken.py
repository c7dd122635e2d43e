"""Methods that are wrong on purpose, each in one way, and four that end badly."""

from dataclasses import dataclass

import torch
from torch import nn

from baselines.map import MAP, PointPredictor
from baselines.train import train


class TrainMode(PointPredictor):
    def logits(self, x):
        self.model.train()
        return super().logits(x)


@dataclass(frozen=True)
class NormalizesByTheBatch(MAP):
    """Predicts with normalization layers in train mode."""

    def predictor(self, problem):
        return TrainMode(problem.new_model())


class Jitter(PointPredictor):
    def logits(self, x):
        y = super().logits(x)
        return y + torch.randn_like(y)


@dataclass(frozen=True)
class DrawsAnew(MAP):
    """Draws noise at every call."""

    def predictor(self, problem):
        return Jitter(problem.new_model())


@dataclass(frozen=True)
class FreezesNormalization(MAP):
    """Trains all but the normalization layers, like a discarded result would."""

    def fit(self, problem):
        predictor = self.predictor(problem)
        frozen = [p for m in predictor.modules() if isinstance(m, nn.BatchNorm1d) for p in m.parameters()]
        for p in frozen:
            p.requires_grad_(False)
        train(predictor.model, problem)
        for p in frozen:
            p.requires_grad_(True)
        return predictor


class Forgetful(PointPredictor):
    def state_dict(self, *args, **kwargs):
        return {name: value for name, value in super().state_dict(*args, **kwargs).items() if "fc.bias" not in name}

    def load_state_dict(self, state, *args, **kwargs):
        return super().load_state_dict(state, strict=False)


@dataclass(frozen=True)
class SavesHalf(MAP):
    """Its state lacks a bias."""

    def predictor(self, problem):
        return Forgetful(problem.new_model())


class Averaged(PointPredictor):
    def logits(self, x):
        return self.model(x)


@dataclass(frozen=True)
class NoMembers(MAP):
    """Returns [batch, classes]."""

    def predictor(self, problem):
        return Averaged(problem.new_model())


@dataclass(frozen=True)
class SeedsItself(MAP):
    """Starts from weights that no seed decides."""

    def fit(self, problem):
        predictor = self.predictor(problem)
        with torch.no_grad():
            for p in predictor.parameters():
                p.add_(torch.randn_like(p), alpha=0.1)
        train(predictor.model, problem)
        return predictor


@dataclass(frozen=True)
class NotQuiteMAP(MAP):
    """Claims to be MAP but trains on another loss."""

    map_equivalent = {"member": 0}

    def fit(self, problem):
        predictor = self.predictor(problem)
        train(predictor.model, problem, objective=lambda net, x, y: 2 * nn.functional.cross_entropy(net(x), y))
        return predictor


@dataclass(frozen=True)
class Raises(MAP):
    """Raises while fitting."""

    def fit(self, problem):
        raise RuntimeError("the flux capacitor is empty")


@dataclass(frozen=True)
class Diverges(MAP):
    """Its loss becomes NaN."""

    def fit(self, problem):
        predictor = self.predictor(problem)
        train(predictor.model, problem, objective=lambda net, x, y: net(x).sum() * float("nan"))
        return predictor


@dataclass(frozen=True)
class KillsItself(MAP):
    """Its process vanishes."""

    def fit(self, problem):
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class CannotDoThis(MAP):
    """Refuses the problem."""

    def fit(self, problem):
        from baselines.protocol import Unsupported

        raise Unsupported("needs a graph network")
