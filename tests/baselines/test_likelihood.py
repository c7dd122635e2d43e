"""A likelihood's Fisher information is the expected Hessian of its loss, and what it stores is the members' mixture."""

import math

import pytest
import torch
from torch import nn

from baselines.likelihood import LOG_VARIANCE, Categorical, Gaussian

torch.manual_seed(0)


def matrix(likelihood, outputs):
    """diag(a) - b bᵀ of one example."""
    a, b = (part[0] for part in likelihood.fisher(outputs[None]))
    return a.diag() - b.outer(b)


def test_the_fisher_information_of_logits_is_the_hessian_of_the_cross_entropy():
    outputs, likelihood = torch.randn(5).double(), Categorical(5)
    hessian = torch.autograd.functional.hessian(lambda out: likelihood.loss(out[None], torch.tensor([2])), outputs)
    assert torch.allclose(matrix(likelihood, outputs), hessian)


def test_the_fisher_information_of_mean_and_log_variance_is_the_expected_hessian_of_the_gaussians_loss():
    mean, log_variance = 0.3, -0.7
    outputs, likelihood = torch.tensor([mean, log_variance], dtype=torch.float64), Gaussian()
    root = math.sqrt(math.exp(log_variance))
    labels = torch.tensor([mean - root, mean + root], dtype=torch.float64)  # they have the Gaussian's first two moments
    hessian = torch.autograd.functional.hessian(lambda out: likelihood.loss(out.expand(2, 2), labels), outputs)
    assert torch.allclose(matrix(likelihood, outputs), hessian)


@pytest.mark.parametrize("bound", LOG_VARIANCE)
def test_a_log_variance_beyond_its_bounds_carries_no_information(bound):
    assert matrix(Gaussian(), torch.tensor([0.0, 2 * bound]))[1, 1] == 0


def test_the_losses_are_torchs_own():
    y = torch.randn(50)
    outputs = torch.randn(50, 2)
    expected = nn.GaussianNLLLoss(full=True)(outputs[:, 0], y, outputs[:, 1].exp())
    assert Gaussian().loss(outputs, y).item() == pytest.approx(expected.item(), rel=1e-5)


def test_what_is_stored_of_a_number_are_the_moments_of_draws_from_the_members():
    likelihood, outputs = Gaussian(target_mean=5.0, target_std=3.0), torch.randn(4, 1, 2)
    draws = 5 + 3 * (outputs[:, 0, :1] + outputs[:, 0, 1:].div(2).exp() * torch.randn(4, 500_000)).double()
    stored = {name: values.item() for name, values in likelihood.reduce(outputs).items()}
    assert stored["mean"] == pytest.approx(draws.mean().item(), abs=0.02)
    assert stored["variance"] == pytest.approx(draws.var().item(), rel=0.01)
    assert stored["expected_variance"] == pytest.approx(draws.var(1).mean().item(), rel=0.01)


def test_what_is_stored_of_a_class_is_the_mean_probability_and_never_the_mean_logit():
    outputs = torch.tensor([[[30.0, 0.0]], [[0.0, 30.0]]])
    stored = Categorical(2).reduce(outputs)
    assert stored["log_probs"][0].exp().tolist() == pytest.approx([0.5, 0.5], abs=1e-3)
    assert stored["expected_entropy"].item() == pytest.approx(0, abs=1e-3)
