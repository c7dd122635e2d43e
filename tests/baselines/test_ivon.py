"""IVON takes the steps of the package ivon-opt, and predicts with the Gaussian that it has found."""

from dataclasses import replace

import pytest
import torch
from problems import problem
from torch import nn

from baselines.ivon import IVON
from baselines.natural_gradient import GaussianWeights, VariationalOnlineNewton
from baselines.protocol import Unsupported
from baselines.recipe import Recipe

DECAY, SIZE = 1e-3, 200


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)).double()


def batches(count):
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        x = torch.randn(20, 5, generator=generator, dtype=torch.float64)
        yield x, (x[:, 0] > 0).long() + (x[:, 1] > 0.5).long()


def vector(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def loss_at(model, optimizer, x, y):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    return loss


@pytest.mark.parametrize("decay", [0.0, DECAY])
@pytest.mark.parametrize("beta2", [0.99999, 0.9])
def test_its_trajectory_is_that_of_the_package_of_its_authors(beta2, decay):
    ivon = pytest.importorskip("ivon", reason="ivon-opt, the authors' package, is not installed")
    options = {"lr": 0.3, "weight_decay": decay, "hess_init": 0.5, "beta2": beta2}
    theirs, ours = network(), network()
    reference = ivon.IVON(theirs.parameters(), ess=SIZE, **options)
    optimizer = VariationalOnlineNewton(ours.parameters(), num_examples=SIZE, **options)
    for step, (x, y) in enumerate(batches(60)):
        for group in (*reference.param_groups, *optimizer.param_groups):
            group["lr"] = 0.3 * (1 - step / 60)  # a schedule
        torch.manual_seed(step)
        with reference.sampled_params(train=True):
            expected = loss_at(theirs, reference, x, y)
        reference.step()
        torch.manual_seed(step)
        found = optimizer.step(lambda x=x, y=y: loss_at(ours, optimizer, x, y))
        assert torch.allclose(found, expected, rtol=1e-10)
    assert torch.allclose(vector(ours), vector(theirs), rtol=1e-9, atol=1e-12)
    hessian = torch.cat([optimizer.state[p]["hessian"].flatten() for p in ours.parameters()])
    assert torch.allclose(hessian, reference.param_groups[0]["hess"], rtol=1e-9, atol=1e-12)
    assert not torch.allclose(vector(ours), vector(network()), atol=0.1)


def test_of_a_quadratic_loss_the_gaussian_is_the_posterior():
    curvature, target, decay = torch.tensor([0.5, 2.0, 8.0]).double(), torch.tensor([1.0, -1.0, 2.0]).double(), 0.25
    mean = nn.Parameter(torch.zeros(3).double())
    optimizer = VariationalOnlineNewton([mean], 0.05, 50, decay, hess_init=1.0, beta2=0.99)

    def closure():
        optimizer.zero_grad()
        loss = (curvature * (mean - target) ** 2).sum() / 2
        loss.backward()
        return loss

    torch.manual_seed(0)
    means, precisions = [], []
    for step in range(3_000):
        optimizer.step(closure)
        if step > 500:
            means.append(mean.detach().clone())
            precisions.append(optimizer.precision(mean).clone())
    assert torch.allclose(torch.stack(means).mean(0), curvature * target / (curvature + decay), atol=0.02)
    assert torch.allclose(torch.stack(precisions).mean(0), 50 * (curvature + decay), rtol=0.12)


def test_draws_have_the_mean_and_the_precision_that_training_found():
    model = nn.Linear(3, 2)
    weights = GaussianWeights(model, 6_000, seed=0, precision=1.0)
    weights.set_precision([torch.full((2, 3), 4.0), torch.tensor([25.0, 100.0])])
    drawn = list(weights.each())
    weight, bias = (torch.stack([values[name] for values in drawn]) for name in ("weight", "bias"))
    assert torch.allclose(weight.mean(0), model.weight, atol=0.04) and torch.allclose(
        bias.mean(0), model.bias, atol=0.02
    )
    assert torch.allclose(weight.std(0), torch.full((2, 3), 0.5), rtol=0.06)
    assert torch.allclose(bias.std(0), torch.tensor([0.2, 0.1]), rtol=0.06)


def test_a_fit_keeps_the_precision_of_its_optimizer():
    given = problem(method=IVON(beta2=0.9), max_steps=8)
    fitted = IVON(beta2=0.9).fit(given)
    start = given.train.num_examples * (1 + given.recipe.weight_decay)
    first = IVON(beta2=0.9).predictor(given)
    assert torch.allclose(first.precision_0, torch.tensor(start)) and not torch.equal(
        fitted.precision_0, first.precision_0
    )
    assert (fitted.precision_0 > 0).all()


def test_a_rate_of_adam_is_refused_until_a_rate_is_given():
    adam = Recipe(epochs=1, batch_size=16, lr=1e-3, optimizer="adamw")
    given = replace(problem(), recipe=adam)
    with pytest.raises(Unsupported, match="give it lr="):
        given.fit(IVON())
    assert given.fit(IVON(lr=0.1, draws=2)).outputs(given.validation.x).shape == (2, 96, 4)
