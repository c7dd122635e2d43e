"""An ensemble of anything is that thing, several times."""

import pytest
import torch
from problems import problem

from baselines.deep_ensemble import DeepEnsemble
from baselines.implicit_vi import ImplicitVI
from baselines.kl_vi import KLVI
from baselines.laplace import Laplace
from baselines.map import MAP
from baselines.mc_dropout import MCDropout

SHORT = {"max_steps": 6}


@pytest.mark.parametrize("kind", ["categorical", "gaussian"])
@pytest.mark.parametrize(
    "method", [MAP(), MCDropout(passes=2), Laplace(link="mc", draws=2), KLVI(draws=2), ImplicitVI(draws=2)]
)
def test_its_members_are_the_methods_own_fits_of_each_member_of_the_problem(method, kind):
    given = problem(kind, **SHORT)
    whole = given.fit(DeepEnsemble(members=3, of=method)).outputs(given.validation.x)
    parts = [given.member(i).fit(method).outputs(given.validation.x) for i in range(3)]
    assert torch.equal(whole, torch.cat(parts)) and not torch.equal(parts[0], parts[1])


def test_an_ensemble_of_map_is_the_default_and_may_be_written_as_a_word():
    assert DeepEnsemble() == DeepEnsemble(of="map") == DeepEnsemble(of=MAP())


def test_it_declares_what_its_members_change_in_the_recipe():
    assert DeepEnsemble(of=KLVI()).recipe_changes == {"weight_decay": 0.0} and DeepEnsemble().recipe_changes == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"members": 0}, "at least 1"),
        ({"of": "mpa"}, "not the text 'mpa'"),
        ({"of": DeepEnsemble()}, "the same fits twice"),
    ],
)
def test_what_is_no_ensemble_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        DeepEnsemble(**values)
