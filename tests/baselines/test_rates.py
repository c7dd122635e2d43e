"""Maximal update: the rates of a network's layers are those of the published table, for every method alike."""

import pytest
import torch
from problems import problem
from torch import nn

import ivi
from baselines.batch_ensemble import BatchEnsemble
from baselines.implicit_vi import ImplicitVI
from baselines.kl_vi import KLVI
from baselines.map import MAP
from baselines.mc_dropout import MCDropout
from baselines.protocol import Unsupported
from baselines.rates import rated
from baselines.recipe import Recipe
from baselines.sgld import SGLD
from baselines.train import make_optimizer

STEP = {"max_steps": 1, "epochs": None, "warmup": 0.0, "momentum": 0.0, "weight_decay": 0.0, "clip_norm": None}


def moved(method, network="conv", **recipe):
    """How far each parameter goes in one step of plain gradient descent."""
    given = problem(network=network, **STEP, lr=1e-3, **recipe)
    before = method.predictor(given.of(method)).state_dict()
    after = given.fit(method).state_dict()
    return {name: after[name] - before[name] for name in before if before[name].is_floating_point()}


def table(net, example):
    """Multipliers of the rates of weights and biases, written out for a network of Linear and Conv2d layers."""
    layers = [one for one in net.modules() if isinstance(one, nn.Linear | nn.Conv2d)]
    found = {}
    for layer in layers:
        fan_in, fan_out = layer.weight[0].numel(), layer.weight.numel() / layer.weight.shape[1]
        place = {id(layers[0]): fan_out, id(layers[-1]): 1 / fan_in}
        found |= {id(layer.weight): place.get(id(layer), 1.0), id(layer.bias): fan_out}
    return found


def test_a_step_of_map_is_longer_by_the_factors_of_the_table():
    plain, maximal = moved(MAP()), moved(MAP(), parametrization="maximal_update")
    given = problem(network="conv")
    net = given.new_model()
    factors = table(net, given.example)
    names = {name: factors[id(p)] for name, p in net.named_parameters() if id(p) in factors}
    assert len(names) == 6 and len(set(names.values())) >= 5
    for name, factor in names.items():
        torch.testing.assert_close(maximal[f"model.{name}"], factor * plain[f"model.{name}"], atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize(
    "method", [ImplicitVI(draws=1), KLVI(draws=1, family="low_rank")], ids=lambda one: type(one).__name__
)
def test_factors_of_a_covariance_go_as_far_as_the_library_says(method):
    given = problem(network="conv", lr=0.01, parametrization="maximal_update")
    net = method.predictor(given).net
    for maximal in (False, True):
        parametrization = ivi.MaximalUpdate() if maximal else ivi.Standard()
        groups = ivi.param_groups(net, 0.01, parametrization, example=given.example)
        wanted = {id(p): group["lr"] for group in groups for p in group["params"]}
        recipe = given.recipe if maximal else given.recipe.changed({"parametrization": "standard"})
        plain = ivi.param_groups(net, 0.01)
        found = rated([{"params": g["params"], "lr": g["lr"]} for g in plain], net, recipe, given.example)
        rates = {id(p): group["lr"] * group.get("rate", 1.0) for group in found for p in group["params"]}
        assert rates == pytest.approx(wanted)


@pytest.mark.parametrize(
    "method",
    [MCDropout(passes=2), ImplicitVI(draws=2), SGLD(samples=1, burn_in=0.0)],
    ids=lambda one: type(one).__name__,
)
def test_every_method_heeds_it(method):
    standard, maximal = moved(method), moved(method, parametrization="maximal_update")
    first = next(name for name in standard if name.endswith("conv1.weight"))
    assert maximal[first].norm() > 5 * standard[first].norm()


def test_with_a_rate_of_the_trunk_both_factors_count():
    recipe = Recipe(epochs=1, batch_size=1, lr=1.0, trunk_rate=0.5, parametrization="maximal_update")

    class Named(nn.Sequential):
        def get_classifier(self):
            return self[-1]

    net = Named(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    groups = rated([{"params": list(net.parameters())}], net, recipe, torch.zeros(1, 4))
    rates = {id(p): group["rate"] for group in groups for p in group["params"]}
    assert [rates[id(p)] for p in net.parameters()] == pytest.approx([0.5 * 6, 0.5 * 6, 1 / 6, 3.0])
    assert sum(len(group["params"]) for group in make_optimizer(recipe, groups).param_groups) == 4


def test_what_cannot_be_followed_from_its_input_to_its_output_is_unsupported():
    with pytest.raises(Unsupported, match="maximal update: no pass through"):
        problem(network="conv", parametrization="maximal_update", **STEP).fit(BatchEnsemble(members=2))


def test_the_standard_parametrization_stands_in_no_identity():
    assert "parametrization" not in Recipe(epochs=1, batch_size=1, lr=1.0).model_dump()
