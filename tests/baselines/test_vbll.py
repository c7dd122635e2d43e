"""VBLL's bounds are those of the authors' package, and its predictions those of its posterior."""

import math
import warnings
from dataclasses import replace

import pytest
import torch
from problems import problem

from baselines.protocol import Unsupported
from baselines.vbll import VBLL

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    package = pytest.importorskip("vbll", reason="the authors' package vbll is not installed")

KINDS = ["categorical", "gaussian"]


def stirred(method, kind):
    """A predictor whose posterior has no number left where it began."""
    net = method.predictor(problem(kind, method=method))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in (net.head.log_std, net.head.lower, net.log_noise):
            if p is not None:
                p += 0.3 * torch.randn(p.shape, generator=generator)
    return net.double()


def theirs(net, method, kind, weight):
    """The package's layer with the same numbers; a bias is a feature of ones."""
    head, (outputs, inputs) = net.head, net.head.mean.shape
    layer = package.DiscClassification if kind == "categorical" else package.Regression
    structure = {"full": "dense", "diag": "diagonal"}[method.structure]
    options = {"prior_scale": method.prior_scale, "wishart_scale": method.wishart_scale, "dof": method.dof}
    made = layer(inputs, outputs, weight, structure, **options).double()
    with torch.no_grad():
        made.W_mean.copy_(head.mean)
        made.W_logdiag.copy_(head.log_std)
        made.noise_logdiag.copy_(net.log_noise)
        if head.lower is not None:
            made.W_offdiag.copy_(head.log_std.exp()[:, :, None] * head.lower)
    return made


@pytest.mark.parametrize("structure", ["diag", "full"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_and_its_gradient_are_those_of_the_package(kind, structure):
    method = VBLL(structure=structure, prior_scale=1.7, wishart_scale=0.3, dof=2.0)
    net, weight = stirred(method, kind), 1 / 160
    reference = theirs(net, method, kind, weight)
    x, y = problem(kind).train.x.double(), problem(kind).train.y
    features = net.head.augmented(net.model(x)).detach().requires_grad_()
    ours = net.loss(x, y, weight)
    other = reference(features).train_loss_fn(y if kind == "categorical" else y.double()[:, None])
    constant = 0.5 * weight * net.head.mean.numel()  # the package leaves it out of the KL
    assert ours.item() == pytest.approx(other.item() - constant, rel=1e-9)
    ours.backward()
    other.backward()
    assert torch.allclose(net.head.mean.grad, reference.W_mean.grad, rtol=1e-6, atol=1e-10)
    assert torch.allclose(net.log_noise.grad, reference.noise_logdiag.grad, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_the_defaults_are_those_of_the_package(kind):
    net, given = stirred(VBLL(), kind), problem(kind)
    layer = package.DiscClassification if kind == "categorical" else package.Regression
    head, x, y = net.head, given.train.x.double(), given.train.y
    untouched = layer(head.mean.shape[1], len(head.mean), 1 / 160, "dense").double()
    untouched.load_state_dict(theirs(net, replace(VBLL(), wishart_scale=7.0), kind, 1 / 160).state_dict())
    other = untouched(head.augmented(net.model(x))).train_loss_fn(y if kind == "categorical" else y.double()[:, None])
    constant = 0.5 / 160 * head.mean.numel()
    assert net.loss(x, y, 1 / 160).item() == pytest.approx(other.item() - constant, rel=1e-9)


def test_the_prediction_of_a_number_is_that_of_the_package():
    method = VBLL(wishart_scale=0.01)
    net = stirred(method, "gaussian")
    x = problem("gaussian").validation.x.double()
    expected = theirs(net, method, "gaussian", 1.0).predictive(net.head.augmented(net.model(x)))
    outputs = net.outputs(x)[0]
    assert torch.allclose(outputs[:, 0], expected.mean[:, 0]) and torch.allclose(
        outputs[:, 1].exp(), expected.scale[:, 0] ** 2
    )


@pytest.mark.parametrize("structure", ["diag", "full"])
def test_logits_are_drawn_from_posterior_and_noise(structure):
    net = stirred(VBLL(draws=8000, structure=structure), "categorical")
    x = problem().validation.x[:9].double()
    with torch.no_grad():
        outputs, (mean, variance) = net.outputs(x), net.moments(x)
    total = variance + net.log_noise.mul(2).exp()
    assert torch.allclose(outputs.mean(0), mean, atol=0.1 * math.sqrt(total.max().item()))
    assert torch.allclose(outputs.var(0), total, rtol=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_the_posterior_leaves_where_it_began(kind):
    start = VBLL().predictor(problem(kind))
    fitted = VBLL().fit(problem(kind))
    assert (fitted.head.log_std - start.head.log_std).abs().mean() > 0.5
    assert fitted.head.lower.tril(-1).abs().max() > 0.01


def test_full_covariances_that_would_not_fit_are_refused():
    from torch import nn

    from baselines.gaussian_head import GaussianHead

    with torch.device("meta"), pytest.raises(Unsupported, match="structure=diag"):
        GaussianHead(nn.Linear(2048, 1000), 1000, "full", 0.1)
