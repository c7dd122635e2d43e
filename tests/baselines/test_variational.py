"""Implicit VI and KL-VI as baselines: their objectives, their noise, and what they hold in memory."""

import gc
from dataclasses import replace

import pytest
import torch
from problems import problem

import ivi
from baselines.implicit_vi import ImplicitVI
from baselines.kl_vi import KLVI


def distance(method, given):
    start = ivi.prior(method.predictor(given).net)
    return ivi.wasserstein2(method.fit(given).net, start).item()


def test_a_weight_on_the_wasserstein_distance_keeps_the_posterior_nearer_to_the_prior():
    given = problem()
    free, held = distance(ImplicitVI(), given), distance(ImplicitVI(w2_weight=100.0), given)
    assert 0 < held < 0.9 * free


def test_rank_and_draws_do_not_change_what_a_seed_starts_from():
    nets = [replace(ImplicitVI(), rank=rank, draws=2).predictor(problem()).net for rank in (1, 10)]
    first, second = (dict(net.named_parameters()) for net in nets)
    assert all((first[name] == second[name]).all() for name in first if not name.endswith("_factor"))


@pytest.mark.parametrize("kind", ["categorical", "gaussian"])
def test_more_weight_on_the_kl_keeps_the_posterior_nearer_to_the_prior(kind):
    given = problem(kind)
    kls = []
    for weight in (0.0, 1.0):
        method = KLVI(kl_weight=weight)
        start = ivi.prior(method.predictor(given).net)
        kls.append(ivi.kl(method.fit(given.of(method)).net, start).item())
    assert 0 < kls[1] < kls[0]


@pytest.mark.parametrize("network", ["conv", "dense"])
@pytest.mark.parametrize("kind", ["categorical", "gaussian"])
@pytest.mark.parametrize(
    "method", [KLVI(family="low_rank", draws=2), KLVI(draws=2), ImplicitVI(w2_weight=1.0, draws=2)]
)
def test_training_in_half_precision_stays_finite(method, kind, network):
    given = problem(kind, network, method, max_steps=20, precision="bfloat16")
    fitted = method.fit(given)
    assert all(p.isfinite().all() and p.dtype == torch.float32 for p in fitted.parameters())
    assert fitted.outputs(given.validation.x).isfinite().all()


@pytest.mark.parametrize("method", [KLVI(draws=32), ImplicitVI(draws=32)])
def test_no_prediction_draws_are_held_while_training_nor_after(method):
    fitted = method.fit(problem(max_steps=2))
    fitted.outputs(problem().validation.x[:2])
    held = {id(tensor) for tensor in [*fitted.parameters(), *fitted.buffers()]}
    tensors = [thing for thing in gc.get_objects() if type(thing) is torch.Tensor]
    found = [tensor for tensor in tensors if tensor.shape[:1] == (32,) and id(tensor) not in held]
    assert isinstance(fitted.draws, ivi.SeededDraws) and not found


@pytest.mark.parametrize("unit", ["own", "published"])
def test_the_published_form_draws_the_means_of_random_layers_anew(unit):
    given = problem(network="conv")
    net, plain = ImplicitVI(unit=unit).predictor(given).net, given.new_model()
    for layer, kept in (("conv1", unit == "own"), ("conv2", True), ("fc", unit == "own")):
        same = torch.equal(net.get_submodule(layer).weight, plain.get_submodule(layer).weight)
        assert same == kept, layer
    std = net.fc.weight.std().item()
    assert unit == "own" or std == pytest.approx(net.fc.in_features**-0.5, rel=0.1)


def test_under_maximal_update_the_published_form_keeps_the_means_and_has_its_std():
    given = problem(network="conv", parametrization="maximal_update")
    method = ImplicitVI(rank=400, scale=1.0, unit="published", noise="shared")
    net, plain = method.predictor(given).net, given.new_model()
    for name, value in plain.state_dict().items():
        assert torch.equal(net.state_dict()[name], value), name
    inputs = {"conv1": net.conv1.weight[0].numel() ** -0.5, "fc": 1 / net.fc.in_features}
    for layer, std in inputs.items():
        factors = net.get_submodule(layer).factors
        for name, expected in (("weight_factor", std), ("bias_factor", 1.0)):  # [rank, numbers]
            marginal = factors[name].square().sum(0).mean().sqrt().item()
            assert marginal == pytest.approx(expected, rel=0.1), (layer, name)


def test_a_larger_scale_starts_from_a_wider_prior():
    narrow, wide = (ImplicitVI(scale=scale).predictor(problem()).net for scale in (0.1, 1.0))
    for name, p in narrow.named_parameters():
        if name.endswith("_factor"):
            assert torch.allclose(10 * p, wide.get_parameter(name), rtol=1e-5)
