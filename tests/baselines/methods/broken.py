"""Methods that are wrong on purpose, each in one way, and some that end badly."""

from dataclasses import dataclass, replace

import torch
from torch import nn

from baselines.map import MAP, PointPredictor
from baselines.train import make_optimizer, train


class TrainMode(PointPredictor):
    def outputs(self, x):
        self.model.train()
        return super().outputs(x)


@dataclass(frozen=True)
class NormalizesByTheBatch(MAP):
    """Predicts with normalization layers in train mode."""

    def predictor(self, problem):
        return TrainMode(problem.new_model())


class Jitter(PointPredictor):
    def outputs(self, x):
        y = super().outputs(x)
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


@dataclass(frozen=True)
class UpdatesTwice(MAP):
    """Holds its head in two groups of its optimizer."""

    def fit(self, problem):
        predictor = self.predictor(problem)
        optimizer = make_optimizer(problem.recipe, [{"params": list(predictor.model.parameters())}])
        optimizer.param_groups.append({**optimizer.param_groups[0], "params": list(predictor.model.fc.parameters())})
        for x, y in problem.train.shuffled(problem.recipe.batch_size, problem.seeds.epoch(0)):
            problem.likelihood.loss(predictor.model(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()
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
        return Forgetful(problem.new_model().eval())


class Averaged(PointPredictor):
    def outputs(self, x):
        return self.model(x)


@dataclass(frozen=True)
class NoMembers(MAP):
    """Returns [batch, outputs]."""

    def predictor(self, problem):
        return Averaged(problem.new_model())


class Padded(PointPredictor):
    def outputs(self, x):
        return nn.functional.pad(super().outputs(x), (0, 3), value=-1e4)


@dataclass(frozen=True)
class MoreOutputs(MAP):
    """Returns outputs that no class has."""

    def predictor(self, problem):
        return Padded(problem.new_model())


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

    def fit(self, problem):
        predictor = self.predictor(problem)
        train(predictor.model, problem, loss=lambda net, x, y: 2 * problem.likelihood.loss(net(x), y))
        return predictor


@dataclass(frozen=True)
class TenTimesTheSteps(MAP):
    """Trains ten times as long as the recipe says, and does not say so."""

    def fit(self, problem):
        epochs = 10 * problem.recipe.epochs
        return MAP().fit(replace(problem, recipe=problem.recipe.changed({"epochs": epochs})))


@dataclass(frozen=True)
class StepsByHand(MAP):
    """Likewise, without an optimizer."""

    def fit(self, problem):
        predictor, recipe = self.predictor(problem), problem.recipe
        for epoch in range(2 * recipe.epochs):
            for x, y in problem.train.shuffled(recipe.batch_size, problem.seeds.epoch(epoch)):
                loss = problem.likelihood.loss(predictor.model(x), y)
                parameters = list(predictor.parameters())
                with torch.no_grad():
                    for p, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                        p.sub_(gradient, alpha=recipe.lr)
        return predictor


@dataclass(frozen=True)
class AsksForALongerFit(MAP):
    """Lets another method train longer than the task's recipe says."""

    def fit(self, problem):
        return replace(problem, recipe=problem.recipe.changed({"epochs": 3 * problem.recipe.epochs})).fit(MAP())


@dataclass(frozen=True)
class DeclaresMoreSteps(MAP):
    """Trains longer and says so."""

    recipe_changes = {"epochs": 20}


@dataclass(frozen=True)
class FetchesElsewhere(MAP):
    """Trains on a copy of the data that it has from elsewhere."""

    def fit(self, problem):
        from problems import images

        return MAP().fit(replace(problem, train=images(problem.likelihood.kind, problem.train.num_examples, 1)))


class FetchesDigits(MAP):
    """Trains on digits that it has from elsewhere, whatever it is given."""

    def fit(self, problem):
        from problems import Memory
        from sklearn.datasets import load_digits

        found, n = load_digits(), problem.train.num_examples
        x = torch.tensor(found.images[:n, None] / 8.0 - 1.0, dtype=torch.float32)
        return MAP().fit(replace(problem, train=Memory(x, torch.tensor(found.target[:n]))))


@dataclass
class Thawed:
    """A dataclass whose hyperparameters may change."""

    rate: float = 0.1

    def predictor(self, problem):
        return MAP().predictor(problem)

    def fit(self, problem):
        return MAP().fit(problem)


class NoDataclass:
    """Its hyperparameters cannot be told."""

    def predictor(self, problem):
        return MAP().predictor(problem)

    def fit(self, problem):
        return MAP().fit(problem)


@dataclass(frozen=True)
class FlattensWeights(MAP):
    """Flattens weights in the way that fails for a memory layout other than the usual."""

    def fit(self, problem):
        predictor = super().fit(problem)
        nn.utils.parameters_to_vector(predictor.parameters())
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
        train(predictor.model, problem, loss=lambda net, x, y: net(x).sum() * float("nan"))
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
