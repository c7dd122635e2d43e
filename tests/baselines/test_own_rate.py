"""A method at its own learning rate is that method on a task with that rate."""

from dataclasses import replace

import pytest
import torch
from problems import problem

from baselines.deep_ensemble import DeepEnsemble
from baselines.implicit_vi import ImplicitVI
from baselines.kl_vi import KLVI
from baselines.laplace import Laplace
from baselines.map import MAP
from baselines.own_rate import OwnRate
from baselines.spec import parse
from baselines.swag import SWAG

METHODS = [
    MAP(),
    Laplace(),
    KLVI(draws=2),
    ImplicitVI(draws=2),
    SWAG(epochs=1, draws=2, rank=2),
    DeepEnsemble(members=2, of=SWAG(epochs=1, draws=2, rank=2)),
]


def outputs(method, given):
    return given.fit(method).outputs(given.validation.x)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_it_is_the_method_on_a_task_with_that_rate_to_the_bit(method):
    given = problem("categorical", max_steps=6)
    other = replace(given, recipe=given.recipe.changed({"lr": 0.003}))
    own = outputs(OwnRate(of=method, lr=0.003), given)
    assert torch.equal(own, outputs(method, other)) and not torch.equal(own, outputs(method, given))
    assert torch.equal(outputs(OwnRate(of=method), given), outputs(method, given))


def test_an_ensemble_of_it_is_it_of_an_ensemble():
    given = problem("gaussian", max_steps=6)
    inside, outside = (
        DeepEnsemble(2, OwnRate(ImplicitVI(draws=2), 0.003)),
        OwnRate(DeepEnsemble(2, ImplicitVI(draws=2)), 0.003),
    )
    assert torch.equal(outputs(inside, given), outputs(outside, given))


def test_it_declares_the_rate_and_what_the_method_changes():
    assert OwnRate(of=KLVI(), lr=0.02).recipe_changes == {"weight_decay": 0.0, "lr": 0.02}
    assert OwnRate().recipe_changes == {} and OwnRate() == OwnRate(of="map") == OwnRate(of=MAP())


def test_it_is_written_with_the_method_inside():
    spec = parse("own_rate(of=implicit_vi(noise=shared), lr=0.02)")
    assert spec.create() == OwnRate(of=ImplicitVI(noise="shared"), lr=0.02)


@pytest.mark.parametrize(
    ("values", "message"),
    [({"of": "mpa"}, "not the text 'mpa'"), ({"of": OwnRate(lr=0.1), "lr": 0.2}, "has one learning rate")],
)
def test_what_has_no_one_rate_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        OwnRate(**values)
