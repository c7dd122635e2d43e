"""What is the same for every method of a seed, and what is not."""

import pytest
import torch

from baselines.registry import known_methods
from baselines.seeds import Seeds, derive_seed
from baselines.spec import parse
from benchmarks.check import subject_of


@pytest.fixture(scope="module")
def problems():
    return {name: subject_of(parse(name)).problem for name in known_methods()}


def test_every_method_starts_from_the_same_weights(problems):
    reference = problems["map"].new_model().state_dict()
    for name, problem in problems.items():
        predictor = parse(name).create().predictor(problem)
        state = {key.split("model.", 1)[-1].split("net.", 1)[-1]: v for key, v in predictor.state_dict().items()}
        if name == "deep_ensemble":
            state = {key.removeprefix("predictors.0.model."): v for key, v in predictor.state_dict().items()}
        for key, value in reference.items():
            assert torch.equal(state[key], value), (name, key)


def test_every_method_sees_the_same_batches_in_the_same_order(problems):
    first = {
        name: next(problem.train.shuffled(50, derive_seed(problem.seeds.order, 0, 3)))[0]
        for name, problem in problems.items()
    }
    for x in first.values():
        assert torch.equal(x, first["map"])


def test_members_of_an_ensemble_start_from_other_weights(problems):
    a, b = (problems["map"].new_model(member).state_dict()["fc.weight"] for member in (0, 1))
    assert not torch.equal(a, b)


def test_only_the_noise_depends_on_the_method():
    a, b = Seeds.of("task", 3, "map"), Seeds.of("task", 3, "laplace")
    assert (a.init, a.order) == (b.init, b.order) and a.noise != b.noise
    assert Seeds.of("task", 4, "map").init != a.init and Seeds.of("other", 3, "map").order != a.order


def test_seeds_are_the_same_for_ever():
    assert derive_seed("order", 0, 1) == 8639817837933930023
    assert derive_seed("1") != derive_seed(1)


def test_only_kl_vi_changes_the_recipe(problems):
    recipes = {name: problem.recipe for name, problem in problems.items()}
    base = recipes.pop("map")
    assert recipes.pop("kl_vi") == base.model_copy(update={"weight_decay": 0.0})
    assert set(recipes.values()) == {base}
