"""SNGP's uncertainty is that of an exact Gaussian process, and its layers' norms stay in bounds."""

import pytest
import torch
from problems import problem
from torch import nn

from baselines.likelihood import Categorical, Gaussian
from baselines.map import MAP
from baselines.random_features import RandomFeatureGP
from baselines.sngp import SNGP
from baselines.spectral import SpectralBound
from ivi.layers import KINDS


def kernel(a, b, length):
    """The squared-exponential kernel in units of the root of the size."""
    return torch.exp(-(torch.cdist(a, b) ** 2) / (2 * length**2 * a.shape[1]))


@pytest.mark.parametrize(("likelihood", "noise"), [(Gaussian(), 1.0), (Categorical(2), 4.0)], ids=["number", "classes"])
def test_the_variance_approaches_that_of_the_exact_gaussian_process_as_features_grow(likelihood, noise):
    torch.manual_seed(0)
    x, new, ridge, errors = torch.randn(30, 3).double(), 2 * torch.randn(20, 3).double(), 0.5, []
    cross, inner = kernel(new, x, 0.6) / ridge, kernel(x, x, 0.6) / ridge
    exact = 1 / ridge - torch.einsum("ij,jk,ik->i", cross, (inner + noise * torch.eye(30)).inverse(), cross)
    for count in (32, 256, 2048):
        gp = RandomFeatureGP(nn.Linear(3, 2).double(), count, 0.6, seed=0)
        gp.fit((gp.features(part) for part in x.split(7)), likelihood, ridge)
        errors.append(float((gp.variance(gp.features(new)) - exact).abs().mean()))
    assert errors[2] < 0.05 * exact.mean() and errors[2] < errors[1] < errors[0], errors


def test_draws_have_the_covariance_of_the_closed_form():
    gp = RandomFeatureGP(nn.Linear(3, 2).double(), 40, 1.0, seed=0)
    phi = gp.features(torch.randn(25, 3).double())
    gp.fit([phi], Gaussian(), 1.0)
    drawn = phi[:5] @ gp.deviations(20_000, seed=1).mT
    assert torch.allclose(drawn.var(0), gp.variance(phi[:5])[:, None].expand(5, 2), rtol=0.1)


@pytest.mark.parametrize("kind", ["categorical", "gaussian"])
def test_inputs_far_from_the_training_data_are_less_certain(kind):
    fitted = SNGP(features=128, bound=2.0).fit(problem(kind, epochs=3))
    known, foreign = problem(kind).train.x, 5 * torch.randn(60, 1, 8, 8)
    with torch.no_grad():
        assert fitted.gp.variance(fitted.phi(foreign)).mean() > fitted.gp.variance(fitted.phi(known)).mean()


def exact_norm(layer, size):
    """The largest singular value of a layer's linear map, written out."""
    bare = type(layer).__new__(type(layer))
    bare.__dict__ = {**layer.__dict__, "_parameters": {**layer._parameters, "bias": None}}
    inputs = torch.eye(size.numel()).view(-1, *size)
    return torch.linalg.matrix_norm(bare(inputs).flatten(1), 2).item()


@pytest.mark.parametrize("network", ["dense", "conv", "conv_bn", "vit"])
def test_spectral_norms_are_bounded_where_they_would_not_be(network):
    given = problem(network=network)
    free, held = MAP().fit(given).model, SNGP(bound=0.5, features=64).fit(given).model
    seen = {}
    layers = {name: layer for name, layer in held.named_modules() if isinstance(layer, KINDS)}
    for name, layer in layers.items():
        layer.register_forward_pre_hook(lambda module, inputs, name=name: seen.update({name: inputs[0].shape}))
    held(given.example)
    assert layers.keys() == seen.keys()
    unbounded = []
    for name, layer in layers.items():
        size = seen[name][-1:] if isinstance(layer, nn.Linear) else seen[name][1:]
        assert exact_norm(layer, size) <= 0.5 * 1.03, name
        unbounded.append(exact_norm(free.get_submodule(name), size))
    assert max(unbounded) > 0.6


def test_the_norm_of_a_convolution_with_stride_and_groups_is_that_of_its_linear_map():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), nn.Flatten(), nn.Linear(54, 3))
    bound = SpectralBound(model, torch.zeros(1, 4, 6, 6), model[2], 1.0, seed=0)
    assert bound.norm(model[0], 200).item() == pytest.approx(exact_norm(model[0], torch.Size([4, 6, 6])), rel=1e-3)
    assert list(bound.vectors) == [model[0]]


def test_a_bound_that_nothing_reaches_changes_nothing():
    given = problem(max_steps=20)
    one, other = (SNGP(bound=bound, features=64).fit(given).state_dict() for bound in (1e6, 1e9))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
