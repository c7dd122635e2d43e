"""The theory of linear models: closed forms against runs."""

import json
import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ivi.linear import Classification, Posterior, Regression, descend, wasserstein2
from ivi.theory import run_theory

SGD, ADAM = torch.optim.SGD, torch.optim.Adam


def randn(*shape, generator):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def random_regression(num_examples, num_weights, rank, seed):
    """A problem whose singular values lie in [1, 1.4], so that linear convergence takes few steps."""
    generator = torch.Generator().manual_seed(seed)
    left = torch.linalg.qr(randn(num_examples, num_examples, generator=generator))[0]
    right = torch.linalg.qr(randn(num_weights, num_examples, generator=generator))[0]
    values = 1 + 0.4 * torch.rand(num_examples, generator=generator, dtype=torch.float64)
    problem = Regression(left * values @ right.T, randn(num_examples, generator=generator))
    factor = randn(num_weights, rank, generator=generator) / math.sqrt(rank)
    return problem, Posterior(randn(num_weights, generator=generator), factor), generator


@st.composite
def regressions(draw):
    num_examples = draw(st.integers(1, 6))
    num_weights = draw(st.integers(num_examples + 1, 16))
    return random_regression(num_examples, num_weights, draw(st.integers(1, num_weights)), draw(st.integers(0, 2**31)))


def error(q, limit):
    return max((q.mean - limit.mean).norm().item(), (q.factor - limit.factor).norm().item())


@settings(max_examples=100, deadline=None)
@given(regressions())
def test_gradient_descent_and_momentum_reach_the_closed_form(case):
    problem, prior, _ = case
    limit = problem.limit(prior)
    for momentum, steps in ((0.0, 120), (0.9, 500)):
        q = descend(problem.gradient, prior, partial(SGD, lr=problem.stable_lr(), momentum=momentum), steps)
        assert error(q, limit) < 1e-9
        assert abs(wasserstein2(q, prior) - problem.least_wasserstein2(prior)) < 1e-9
    assert problem.expected_loss(limit) < 1e-20


@settings(max_examples=100, deadline=None)
@given(regressions())
def test_minibatch_sgd_with_one_draw_reaches_the_closed_form(case):
    problem, prior, generator = case
    batch_size = (len(problem.x) + 1) // 2
    gradient = problem.one_draw_gradient(batch_size, generator)
    # A draw multiplies the squared gradient by up to |z|² + 1, a minibatch by up to N / batch_size.
    slowdown = (prior.factor.shape[1] + 3) * len(problem.x) / batch_size
    q, limit = prior, problem.limit(prior)
    for _ in range(8):
        q = descend(gradient, q, partial(SGD, lr=problem.stable_lr() / slowdown), int(50 * slowdown))
        if error(q, limit) < 1e-10:
            break
    assert error(q, limit) < 1e-9
    assert abs(wasserstein2(q, prior) - problem.least_wasserstein2(prior)) < 1e-9


@settings(max_examples=20, deadline=None)
@given(regressions())
def test_every_other_q_of_zero_loss_is_farther_from_the_prior(case):
    problem, prior, generator = case
    limit, least = problem.limit(prior), problem.least_wasserstein2(prior)
    projection = torch.eye(problem.x.shape[1], dtype=torch.float64) - torch.linalg.pinv(problem.x) @ problem.x
    for _ in range(50):
        size = 10 ** (3 * torch.rand((), generator=generator, dtype=torch.float64) - 2)
        mean = limit.mean + size * projection @ randn(*prior.mean.shape, generator=generator)
        factor = limit.factor + size * projection @ randn(*prior.factor.shape, generator=generator)
        other = Posterior(mean, factor)
        assert problem.expected_loss(other) < 1e-20 * (1 + size) ** 2 * 100
        assert wasserstein2(other, prior) > least


def test_from_an_isotropic_prior_it_predicts_as_bayesian_linear_regression_without_noise():
    problem, _, generator = random_regression(5, 12, 1, seed=7)
    start, scale, noise = randn(12, generator=generator), 0.7, 1e-6
    prior = Posterior(start, scale * torch.eye(12, dtype=torch.float64))
    q = descend(problem.gradient, prior, partial(SGD, lr=problem.stable_lr()), 200)

    kernel = scale**2 * problem.x @ problem.x.T + noise**2 * torch.eye(5, dtype=torch.float64)
    gain = scale**2 * problem.x.T @ kernel.inverse()
    mean = start + gain @ (problem.y - problem.x @ start)
    covariance = scale**2 * (torch.eye(12, dtype=torch.float64) - gain @ problem.x)
    new = randn(6, 12, generator=generator)
    torch.testing.assert_close(new @ q.mean, new @ mean, atol=1e-6, rtol=1e-6)
    variance = torch.einsum("bi,ij,bj->b", new, covariance, new)
    torch.testing.assert_close((new @ q.factor).square().sum(1), variance, atol=1e-6, rtol=1e-6)


def test_the_limit_is_the_law_of_an_ensemble_trained_from_prior_draws():
    problem, prior, generator = random_regression(4, 9, 3, seed=3)
    z = randn(3, generator=generator)
    start = Posterior(prior.mean + prior.factor @ z, torch.zeros(9, 1, dtype=torch.float64))
    member = descend(problem.gradient, start, partial(SGD, lr=problem.stable_lr()), 150).mean
    limit = problem.limit(prior)
    torch.testing.assert_close(member, limit.mean + limit.factor @ z, atol=1e-12, rtol=0)


def test_adam_fits_but_is_not_the_projection():
    problem, prior, _ = random_regression(5, 14, 4, seed=0)
    q = descend(problem.gradient, prior, partial(ADAM, lr=0.01), 5000)
    assert problem.expected_loss(q) < 1e-4
    assert wasserstein2(q, prior) > 1.1 * problem.least_wasserstein2(prior)
    assert error(q, problem.limit(prior)) > 0.1


def test_the_one_draw_gradient_is_unbiased():
    problem, prior, generator = random_regression(4, 8, 2, seed=1)
    estimate = problem.one_draw_gradient(2, generator)
    draws = [estimate(*prior) for _ in range(20_000)]
    for exact, samples in zip(problem.gradient(*prior), zip(*draws, strict=True), strict=True):
        stacked = torch.stack(samples)
        z_scores = (stacked.mean(0) - exact) / (stacked.std(0) / math.sqrt(len(draws)))
        assert z_scores.abs().max() < 5


def test_gradients_are_those_of_the_expected_losses():
    problem, prior, generator = random_regression(4, 8, 2, seed=2)
    labels = torch.tensor([1.0, -1.0, 1.0, 1.0], dtype=torch.float64)
    classification = Classification(problem.x, labels)
    for loss, gradient in (
        (problem.expected_loss, problem.gradient),
        (classification.log_expected_loss, classification.gradient),
    ):
        mean, factor = (part.clone().requires_grad_() for part in prior)
        automatic = torch.autograd.grad(loss(Posterior(mean, factor)), [mean, factor])
        for one, other in zip(automatic, gradient(*prior), strict=True):
            torch.testing.assert_close(one, other, atol=1e-12, rtol=0)
    # The expected losses themselves, against draws.
    z = randn(2, 200_000, generator=generator) * 1.0
    weights = prior.mean.unsqueeze(1) + prior.factor @ z
    sampled = 0.5 * (problem.x @ weights - problem.y.unsqueeze(1)).square().sum(0)
    assert abs(sampled.mean() - problem.expected_loss(prior)) < 5 * sampled.std() / math.sqrt(200_000)
    small = Posterior(prior.mean, 0.3 * prior.factor)
    losses = (-labels.unsqueeze(1) * (problem.x @ (small.mean.unsqueeze(1) + small.factor @ z))).exp().sum(0)
    exact = classification.log_expected_loss(small).exp()
    assert abs(losses.mean() - exact) < 5 * losses.std() / math.sqrt(200_000)


def test_the_max_margin_direction_satisfies_the_optimality_conditions():
    generator = torch.Generator().manual_seed(5)
    for _ in range(30):
        x = randn(7, 9, generator=generator)
        labels = randn(7, generator=generator).sign()
        direction = Classification(x, labels).max_margin_direction()
        margins = labels * (x @ direction)
        # Optimal exactly if the direction is a nonnegative combination of the examples at the least margin.
        support = margins < margins.min() * (1 + 1e-9)
        signed = (x * labels.unsqueeze(1))[support]
        weights = torch.linalg.lstsq(signed.T, direction.unsqueeze(1)).solution
        torch.testing.assert_close(signed.T @ weights, direction.unsqueeze(1), atol=1e-9, rtol=0)
        assert weights.min() > -1e-9


def test_inseparable_classes_are_refused():
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    with pytest.raises(ValueError, match="separates"):
        Classification(x, torch.ones(3, dtype=torch.float64)).max_margin_direction()


@pytest.fixture(scope="module")
def theory(tmp_path_factory):
    out = tmp_path_factory.mktemp("theory")
    return run_theory(out), out


def test_classification_approaches_the_max_margin_and_leaves_the_null_space_alone(theory):
    rows = theory[0]["classification"]
    errors = [row["direction_error"] for row in rows]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-3
    assert max(row["null_mean_drift"] for row in rows) < 1e-12
    assert max(row["null_factor_drift"] for row in rows) < 1e-12
    # The covariance dies where the gradient lives for ever: at the support vectors, not in all of the data's span.
    assert rows[-1]["std_at_support"] < 1e-12
    assert rows[-1]["std_at_others"] > 0.1


def test_theory_writes_its_numbers_and_a_figure(theory):
    result, out = theory
    assert json.loads((out / "theory.json").read_text()) == result
    assert all((out / name).stat().st_size > 10_000 for name in result["figures"])
    optimizers = result["regression"]["optimizers"]
    least = result["regression"]["least_wasserstein2"]
    for name in ("GD", "GD + momentum", "SGD, one draw"):
        assert max(optimizers[name]["mean_error"], optimizers[name]["factor_error"]) < 1e-9
        assert abs(optimizers[name]["wasserstein2"] - least) < 1e-9
    assert optimizers["Adam"]["wasserstein2"] > 1.5 * least
