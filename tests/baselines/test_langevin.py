"""Langevin dynamics have the stationary law that they should, and SGLD and SGHMC keep the samples that they say."""

from dataclasses import replace

import pytest
import torch
from problems import problem
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from baselines.langevin import Langevin, plain_rate
from baselines.protocol import Unsupported
from baselines.recipe import Recipe
from baselines.sghmc import SGHMC
from baselines.sgld import SGLD

HESSIAN = torch.tensor([[2.0, 0.6], [0.6, 0.5]]).double()
CENTRE = torch.tensor([1.0, -2.0]).double()
SIZE, CHAINS = 40, 4_000


def chains(steps, lr, decay=0.0, **options):
    """Ends of many chains on one Gaussian, exp(-N (w - c)ᵀ H (w - c) / 2)."""
    torch.manual_seed(0)
    w = nn.Parameter(torch.zeros(CHAINS, 2).double())
    optimizer = Langevin([w], lr, SIZE, decay, **options)

    def closure():
        optimizer.zero_grad()
        loss = ((w - CENTRE) @ HESSIAN * (w - CENTRE)).sum() / 2
        loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)
    return w.detach()


def exact(lr, friction, decay, temperature):
    """Mean and covariance of the stationary law of so long steps, in closed form along each eigenvector."""
    hessian = HESSIAN + decay * torch.eye(2).double()
    values, vectors = torch.linalg.eigh(hessian)
    variance = temperature / SIZE / values / (1 - lr * values / (2 * (2 - friction)))
    return torch.linalg.solve(hessian, HESSIAN @ CENTRE), vectors @ variance.diag() @ vectors.T


@pytest.mark.parametrize(
    ("friction", "steps", "lr"), [(1.0, 400, 0.05), (1.0, 60, 0.5), (0.1, 400, 0.02), (0.1, 300, 0.3), (0.5, 200, 0.1)]
)
@pytest.mark.parametrize(("decay", "temperature"), [(0.0, 1.0), (0.3, 0.25)])
def test_the_stationary_law_is_that_of_steps_of_this_length(friction, steps, lr, decay, temperature):
    w = chains(steps, lr, decay, friction=friction, temperature=temperature)
    mean, covariance = exact(lr, friction, decay, temperature)
    scale = covariance.diagonal().sqrt()
    assert ((w.mean(0) - mean).abs() < 4.5 * scale / CHAINS**0.5).all()
    assert ((w.T.cov() - covariance).abs() < 6 * torch.outer(scale, scale) / CHAINS**0.5).all()


@pytest.mark.parametrize("friction", [1.0, 0.2])
def test_of_short_steps_the_stationary_law_is_the_posterior(friction):
    w = chains(1500, 0.01, 0.3, friction=friction)
    precision = SIZE * (HESSIAN + 0.3 * torch.eye(2).double())
    mean, covariance = precision.inverse() @ (SIZE * HESSIAN @ CENTRE), precision.inverse()
    scale = covariance.diagonal().sqrt()
    assert ((w.mean(0) - mean).abs() < 4.5 * scale / CHAINS**0.5).all()
    assert (
        (w.T.cov() - covariance).abs()
        < 0.01 * covariance.diagonal().max() + 6 * torch.outer(scale, scale) / CHAINS**0.5
    ).all()


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_without_noise_it_is_sgd_with_momentum(decay):
    torch.manual_seed(0)
    models = [nn.Linear(3, 2).double() for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    langevin = Langevin(models[0].parameters(), 0.05, 10, decay, friction=0.1, temperature=0.0)
    sgd = torch.optim.SGD(models[1].parameters(), 0.05, momentum=0.9, weight_decay=decay)
    x, y = torch.randn(20, 3).double(), torch.randn(20, 2).double()
    for _ in range(30):
        for model, optimizer in zip(models, (langevin, sgd), strict=True):

            def closure(model=model, optimizer=optimizer):
                optimizer.zero_grad()
                loss = nn.functional.mse_loss(model(x), y)
                loss.backward()
                return loss

            optimizer.step(closure)
    assert torch.allclose(models[0].weight, models[1].weight, rtol=1e-12)


def watched(method, **recipe):
    """A fit, and of each step its learning rate, its temperature and the weights after it."""
    given, seen = problem(method=method, **recipe), []

    def note(optimizer, args, kwargs):
        group = optimizer.param_groups[0]
        seen.append((group["lr"], group["temperature"], group["params"][0].detach().clone()))

    hook = register_optimizer_step_post_hook(note)
    try:
        return method.fit(given), seen
    finally:
        hook.remove()


def test_sghmc_adds_noise_and_takes_samples_in_the_last_part_of_each_cycle():
    method = SGHMC(cycles=2, samples=2, exploration=0.6, temperature=0.5)
    fitted, seen = watched(method, max_steps=40, warmup=0.0)
    assert [temperature for _, temperature, _ in seen] == 2 * (12 * [0.0] + 8 * [0.5])
    assert (
        [lr for lr, _, _ in seen[:20]]
        == [lr for lr, _, _ in seen[20:]]
        == sorted((s[0] for s in seen[:20]), reverse=True)
    )
    assert seen[0][0] == pytest.approx(0.05) and seen[10][0] == pytest.approx(0.025)
    kept = [fitted.snapshot(i)["hidden.1.weight"] for i in range(4)]
    assert all(torch.equal(a, seen[done - 1][2]) for a, done in zip(kept, (16, 20, 36, 40), strict=True))


def test_sgld_takes_samples_at_equal_distances_after_burning_in():
    method = SGLD(samples=4, burn_in=0.5, decay=0.5, final=0.1)
    fitted, seen = watched(method, max_steps=40, warmup=0.0)
    kept = [fitted.snapshot(i)["hidden.1.weight"] for i in range(4)]
    assert all(torch.equal(a, seen[done - 1][2]) for a, done in zip(kept, (25, 30, 35, 40), strict=True))
    rates = [lr for lr, _, _ in seen]
    assert rates[0] == pytest.approx(0.5) and rates[-1] == pytest.approx(0.05)
    assert rates[13] == pytest.approx(0.5 * (1 + 13 / 39 * 99) ** -0.5)


def test_the_rate_of_a_plain_step_is_what_momentum_makes_of_the_recipes():
    assert plain_rate("recipe", Recipe(epochs=1, batch_size=1, lr=0.05, momentum=0.9)) == pytest.approx(0.5)
    assert plain_rate(0.3, Recipe(epochs=1, batch_size=1, lr=0.05)) == 0.3


@pytest.mark.parametrize("method", [SGLD(), SGHMC()])
def test_a_rate_of_adam_is_refused_until_a_rate_is_given(method):
    given = replace(problem(), recipe=Recipe(epochs=1, batch_size=16, lr=1e-3, optimizer="adamw"))
    with pytest.raises(Unsupported, match="give it lr="):
        given.fit(method)
    assert given.fit(replace(method, lr=0.1)).outputs(given.validation.x).shape == (12, 96, 4)
