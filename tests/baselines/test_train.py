"""The training loop does what a hand-written one does, and refuses to train half a model."""

import dataclasses
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from baselines.map import MAP
from baselines.recipe import Recipe
from baselines.seeds import derive_seed
from baselines.spec import parse
from baselines.train import Diverged, TrainingError, lr_factor, train
from benchmarks.check import subject_of


@pytest.fixture
def problem():
    torch.set_num_threads(1)
    return subject_of(parse("map")).problem


def test_map_equals_a_hand_written_loop_bit_for_bit(problem):
    recipe = problem.recipe
    model = problem.new_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=recipe.lr, momentum=0.9, weight_decay=recipe.weight_decay)
    total, step = recipe.steps(problem.train.num_examples), 0
    warmup = round(0.1 * total)
    model.train()
    for epoch in range(recipe.epochs):
        for x, y in problem.train.shuffled(recipe.batch_size, derive_seed(problem.seeds.order, 0, epoch)):
            rise, fall = (step + 1) / warmup, 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
            optimizer.param_groups[0]["lr"] = recipe.lr * (rise if step < warmup else fall)
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            step += 1
    assert step == total
    fitted = MAP().fit(problem).model
    for mine, theirs in zip(model.eval().state_dict().values(), fitted.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


def test_the_learning_rate_rises_linearly_and_falls_as_a_cosine():
    recipe = Recipe(epochs=1, batch_size=1, lr=1.0, warmup=0.1)
    factors = [lr_factor(recipe, step, 1000) for step in range(1000)]
    assert factors[:100] == pytest.approx([(i + 1) / 100 for i in range(100)])
    assert factors[100] == 1.0 and factors[550] == pytest.approx(0.5) and factors[999] < 1e-5
    assert lr_factor(recipe.model_copy(update={"schedule": "constant"}), 999, 1000) == 1.0


def test_a_parameter_in_no_group_is_named(problem):
    model = problem.new_model()
    groups = [{"params": [p for name, p in model.named_parameters() if name != "fc.bias"]}]
    with pytest.raises(TrainingError, match=r"fc\.bias': 0"):
        train(model, problem, groups=groups)


def test_a_parameter_that_no_gradient_reaches_is_named(problem):
    model = problem.new_model()
    model.idle = nn.Parameter(torch.zeros(3))
    with pytest.raises(TrainingError, match="ever reached: idle"):
        train(model, problem)


def test_a_loss_that_is_not_finite_ends_training(problem):
    with pytest.raises(Diverged, match="nan at step 100"):
        train(problem.new_model(), problem, objective=lambda net, x, y: net(x).sum() * float("nan"))


def test_clipping_bounds_the_whole_gradient(problem):
    recipe = problem.recipe.model_copy(update={"clip_norm": 1e-3, "momentum": 0.0, "weight_decay": 0.0})
    model = problem.new_model()
    before = nn.utils.parameters_to_vector(model.parameters()).detach()
    train(model, dataclasses.replace(problem, recipe=recipe))
    moved = (nn.utils.parameters_to_vector(model.parameters()).detach() - before).norm()
    assert moved <= 1e-3 * recipe.lr * recipe.steps(problem.train.num_examples) * 1.01


@pytest.mark.parametrize("changes", [{"epochs": 1, "max_steps": 1}, {}])
def test_a_recipe_has_exactly_one_length(changes):
    with pytest.raises(ValueError, match="exactly one of epochs and max_steps"):
        Recipe(batch_size=1, lr=1.0, **changes)
