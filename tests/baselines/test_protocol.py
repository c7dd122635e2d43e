"""What is the same for every method of a seed, what is not, and what a changed problem is."""

from dataclasses import replace

import pytest
import torch
from problems import Memory, problem

from baselines.checkpoint_ensemble import CheckpointEnsemble
from baselines.deep_ensemble import DeepEnsemble
from baselines.implicit_vi import ImplicitVI
from baselines.ivon import IVON
from baselines.kl_vi import KLVI
from baselines.label_smoothing import LabelSmoothing
from baselines.laplace import Laplace
from baselines.map import MAP
from baselines.mc_dropout import MCDropout
from baselines.mixup import Mixup
from baselines.protocol import Method, Predictor, Problem
from baselines.seeds import Seeds, derive_seed, key_of
from baselines.sghmc import SGHMC
from baselines.sgld import SGLD
from baselines.swag import SWAG

METHODS = [MAP(), DeepEnsemble(), MCDropout(), Laplace(), Laplace(subset="all"), KLVI(), ImplicitVI()]
METHODS += [SWAG(), SGLD(), SGHMC(), IVON(), CheckpointEnsemble(), LabelSmoothing(), Mixup()]


@pytest.fixture(params=METHODS, ids=key_of)
def method(request):
    return request.param


def test_every_method_starts_from_the_same_weights(method):
    reference = problem(method=MAP()).new_model().state_dict()
    state = method.predictor(problem(method=method)).state_dict()
    state = {key.removeprefix("predictors.0."): value for key, value in state.items()}
    for key, value in reference.items():
        found = state.get(f"model.{key}", state.get(f"net.{key}"))
        assert torch.equal(found, value), key


def test_every_method_sees_the_same_batches_in_the_same_order(method):
    a, b = problem(method=MAP()), problem(method=method)
    assert [a.seeds.epoch(i) for i in range(3)] == [b.seeds.epoch(i) for i in range(3)]
    assert a.seeds.weights == b.seeds.weights and (method == MAP() or a.seeds.noise("x") != b.seeds.noise("x"))


def test_a_method_and_its_predictor_are_what_the_protocol_says(method):
    assert isinstance(method, Method) and isinstance(method.predictor(problem(method=method)), Predictor)


CHANGES = {"KLVI": {"weight_decay": 0.0}, "SWAG": {"epochs": 10, "schedule": "constant", "warmup": 0.0}}
CHANGES |= dict.fromkeys(("SGLD", "SGHMC", "CheckpointEnsemble"), {"schedule": "constant"})


def test_few_methods_change_the_recipe(method):
    changes = CHANGES.get(type(method).__name__, {})
    assert problem(method=method).recipe == problem().recipe.changed(changes)


def test_a_draw_depends_on_what_a_method_is_and_not_on_its_name():
    assert key_of(ImplicitVI(rank=2)) == key_of(ImplicitVI(rank=2)) != key_of(ImplicitVI())
    assert key_of(DeepEnsemble(of=KLVI())) != key_of(DeepEnsemble(of=KLVI(draws=3)))


def test_a_fit_that_is_asked_for_is_trained_by_the_tasks_recipe_and_not_by_the_askers():
    asked = []
    given = replace(problem(), fitter=lambda method, own: asked.append(own.recipe))
    given.of(KLVI()).fit(MAP())
    given.of(MAP()).fit(KLVI())
    assert asked == [given.recipe, given.recipe.changed({"weight_decay": 0.0})]


def test_a_recipe_that_is_replaced_is_kept_by_the_fits_that_are_asked_for():
    asked = []
    given = replace(problem(), fitter=lambda method, own: asked.append(own.recipe)).of(KLVI())
    longer = given.recipe.changed({"epochs": 50})
    replace(given, recipe=longer).fit(MAP())
    assert asked == [longer]


def test_a_fit_of_other_data_is_another_fit():
    given = problem(max_steps=8)
    half = replace(given, train=Memory(given.train.x[:80], given.train.y[:80]))
    a, b = (one.fit(MAP()).outputs(given.validation.x) for one in (given, half))
    assert not torch.equal(a, b)


def test_members_differ_in_weights_order_and_noise_and_member_0_is_the_problem_itself():
    given = problem(method=MCDropout())
    assert given.member(0) == given and isinstance(given.member(2), Problem)
    axes = [(m.seeds.weights, m.seeds.epoch(3), m.seeds.noise("x")) for m in map(given.member, range(4))]
    axes += [(m.seeds.weights, m.seeds.epoch(3), m.seeds.noise("x")) for m in map(given.member(1).member, range(1, 4))]
    assert all(len(set(axis)) == 7 for axis in zip(*axes, strict=True))


def test_members_are_those_of_the_first_edition():
    seeds = Seeds.of("task", 3).of_member(2)
    assert seeds.weights == derive_seed(derive_seed("init", "task", 3), 2)
    assert seeds.epoch(5) == derive_seed(derive_seed("order", "task", 3), 2, 5)


def test_seeds_are_the_same_for_ever():
    assert derive_seed("order", 0, 1) == 8639817837933930023
    assert derive_seed("1") != derive_seed(1)


def test_the_fits_that_a_method_says_it_uses_are_those_that_it_asks_for(method):
    asked = []

    def note(other, own):
        asked.append((other, own.seeds.member))
        return other.fit(own)

    given = replace(problem("categorical", "plain", max_steps=2), fitter=note).of(method)
    method.fit(given)
    assert tuple(asked) == getattr(method, "uses", ())
