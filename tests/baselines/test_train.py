"""The training loop does what a hand-written one does, is opened by seams, and refuses to train half a model."""

import math
from dataclasses import replace

import pytest
import torch
from problems import SIDE, Conv, problem
from torch import nn
from torch.nn import functional as F

from baselines.ivon import IVON
from baselines.map import MAP
from baselines.names import UserError
from baselines.protocol import Unsupported
from baselines.recipe import Recipe
from baselines.seeds import derive_seed
from baselines.sgld import SGLD
from baselines.train import Diverged, TrainingError, lr_factor, make_optimizer, train

PLAIN = {"clip_norm": None}


def by_hand(given):
    """MAP, written out."""
    recipe, model = given.recipe, given.new_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=recipe.lr, momentum=0.9, weight_decay=recipe.weight_decay)
    total, step = recipe.steps(given.train.num_examples), 0
    warmup = round(0.1 * total)
    model.train()
    for epoch in range(recipe.epochs):
        for x, y in given.train.shuffled(recipe.batch_size, derive_seed(given.seeds.order, 0, epoch)):
            rise, fall = (step + 1) / warmup, 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
            optimizer.param_groups[0]["lr"] = recipe.lr * (rise if step < warmup else fall)
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            step += 1
    assert step == total
    return model.eval()


def test_map_equals_a_hand_written_loop_bit_for_bit():
    given = problem(**PLAIN)
    fitted = MAP().fit(given).model
    for mine, theirs in zip(by_hand(given).state_dict().values(), fitted.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


def test_the_learning_rate_rises_linearly_and_falls_as_a_cosine():
    recipe = Recipe(epochs=1, batch_size=1, lr=1.0, warmup=0.1)
    factors = [lr_factor(recipe, step, 1000) for step in range(1000)]
    assert factors[:100] == pytest.approx([(i + 1) / 100 for i in range(100)])
    assert factors[100] == 1.0 and factors[550] == pytest.approx(0.5) and factors[999] < 1e-5
    assert lr_factor(recipe.changed({"schedule": "constant"}), 999, 1000) == 1.0


def test_a_parameter_in_no_group_is_named():
    given = problem()
    model = given.new_model()
    groups = [{"params": [p for name, p in model.named_parameters() if name != "fc.bias"]}]
    with pytest.raises(TrainingError, match=r"fc\.bias': 0"):
        train(model, given, groups=groups)


def test_a_parameter_that_no_gradient_reaches_is_named():
    given = problem(epochs=1)
    model = given.new_model()
    model.idle = nn.Parameter(torch.zeros(3))
    with pytest.raises(TrainingError, match="ever reached: idle"):
        train(model, given)


class DropsLayers(nn.Module):
    """Leaves its middle layer out in every other step, the last one among them."""

    def __init__(self, outputs):
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(SIDE**2, 8), nn.Linear(8, 8), nn.Linear(8, outputs)
        self.step = 0

    def forward(self, x):
        h = self.first(x.flatten(1)).relu()
        if not self.training or self.step % 2 == 0:
            h = h + self.middle(h).relu()
        self.step += self.training
        return self.last(h)


def test_a_network_that_leaves_layers_out_at_random_trains():
    given = problem(network=DropsLayers, max_steps=8)
    model = given.new_model()
    before = model.middle.weight.clone()
    train(model, given)
    assert model.step == 8 and model.middle.weight.grad is None and not torch.equal(before, model.middle.weight)


@pytest.mark.parametrize("kind", ["categorical", "gaussian"])
def test_a_loss_that_is_not_finite_ends_training(kind):
    given = problem(kind, epochs=100)
    with pytest.raises(Diverged, match="nan at step 100"):
        train(given.new_model(), given, loss=lambda net, x, y: net(x).sum() * float("nan"))


def test_clipping_bounds_the_whole_gradient():
    given = problem(clip_norm=1e-3, momentum=0.0, weight_decay=0.0)
    model = given.new_model()
    before = nn.utils.parameters_to_vector(model.parameters()).detach()
    train(model, given)
    moved = (nn.utils.parameters_to_vector(model.parameters()).detach() - before).norm()
    assert moved <= 1e-3 * given.recipe.lr * given.recipe.steps(given.train.num_examples) * 1.01


class Twice(torch.optim.SGD):
    """Looks at every point twice."""

    losses: list

    def step(self, closure):
        self.losses.append((float(closure().detach()), [p.grad.clone() for p in self.param_groups[0]["params"]]))
        loss = super().step(closure)
        self.losses.append((float(loss.detach()), [p.grad.clone() for p in self.param_groups[0]["params"]]))
        return loss


def test_an_optimizer_may_look_at_several_points_a_step():
    given, made = problem(network="plain", **PLAIN), []

    def optimizer(groups):
        recipe = given.recipe
        made.append(Twice(groups, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay))
        made[0].losses = []
        return made[0]

    model = given.new_model()
    train(model, given, optimizer=optimizer)
    assert len(made[0].losses) == 2 * given.recipe.steps(given.train.num_examples)
    for (first, g), (second, h) in zip(made[0].losses[::2], made[0].losses[1::2], strict=True):
        assert first == second and all(torch.equal(a, b) for a, b in zip(g, h, strict=True))
    for mine, theirs in zip(by_hand(given).parameters(), model.parameters(), strict=True):
        assert torch.equal(mine, theirs), "the second look changes nothing else"


def test_the_schedule_scales_the_rates_of_ones_own_optimizer():
    given, rates = problem(max_steps=20), []

    class Noting(torch.optim.Adam):
        def step(self, closure):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    train(given.new_model(), given, optimizer=lambda groups: Noting(groups, lr=0.007))
    assert rates == pytest.approx([0.007 * lr_factor(given.recipe, step, 20) for step in range(20)])


def test_a_running_average_is_taken_after_every_step():
    given = problem(max_steps=7)
    model, path = given.new_model(), []
    average = torch.optim.swa_utils.AveragedModel(model)

    def after_step(done, total):
        average.update_parameters(model)
        path.append((done, total, model.fc.weight.detach().clone()))

    train(model, given, after_step=after_step)
    assert [(done, total) for done, total, _ in path] == [(i, 7) for i in range(1, 8)]
    expected = torch.stack([weight for *_, weight in path]).mean(0)
    assert torch.allclose(average.module.fc.weight, expected, atol=1e-6)


def test_no_batch_is_fetched_that_no_step_is_made_with():
    given, fetched = problem(max_steps=13), []

    class Counting(type(given.train)):
        def shuffled(self, batch_size, seed):
            for batch in super().shuffled(batch_size, seed):
                fetched.append(len(batch[0]))
                yield batch

    MAP().fit(replace(given, train=Counting(given.train.x, given.train.y)))
    assert len(fetched) == 13


def test_no_steps_leave_the_weights_as_they_are():
    given = problem(max_steps=0)
    fitted = MAP().fit(given).model.state_dict()
    assert all(torch.equal(value, fitted[name]) for name, value in given.new_model().state_dict().items())


def test_half_precision_keeps_the_weights_in_full_and_a_regression_loss_too():
    given = problem("gaussian", Conv, precision="bfloat16")
    model = MAP().fit(given).model
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    coarse = given.likelihood.loss(torch.tensor([[0.1, -3.0]]).bfloat16(), torch.tensor([0.2]))
    assert coarse.dtype == torch.float32 and coarse.item() == pytest.approx(
        given.likelihood.loss(torch.tensor([[0.1, -3.0]]).bfloat16().double(), torch.tensor([0.2])).item(), rel=1e-6
    )


@pytest.mark.parametrize("changes", [{"epochs": 1, "max_steps": 1}, {}])
def test_a_recipe_has_exactly_one_length(changes):
    with pytest.raises(ValueError, match="exactly one of epochs and max_steps"):
        Recipe(batch_size=1, lr=1.0, **changes)


def test_the_optimizer_of_the_recipe_is_the_default():
    recipe = problem(network="vit").recipe
    assert isinstance(make_optimizer(recipe, [{"params": [nn.Parameter(torch.zeros(1))]}]), torch.optim.AdamW)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": 40}, "unknown field of a recipe in recipe_changes 'epoch': did you mean 'epochs'?"),
        ({"lr": -1.0}, "recipe_changes {'lr': -1.0}: lr: input should be greater than 0"),
        ({"epochs": 2, "max_steps": 3}, "exactly one of epochs and max_steps"),
        ({"precision": "float8"}, "precision: input should be 'float32' or 'bfloat16'"),
    ],
)
def test_a_change_that_no_recipe_can_have_is_one_line_that_names_it(changes, message):
    with pytest.raises(UserError) as error:
        problem().recipe.changed(changes)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(("before", "after"), [({"epochs": 3}, {"max_steps": 9}), ({"max_steps": 9}, {"epochs": 3})])
def test_a_changed_length_takes_the_place_of_the_other_kind(before, after):
    recipe = Recipe(batch_size=10, lr=1.0, **before).changed(after)
    assert {key: value for key in ("epochs", "max_steps") if (value := getattr(recipe, key)) is not None} == after


class Named(Conv):
    """A network that says what its classifier is."""

    def get_classifier(self):
        return self.fc


def moved_in_one_step(network, method=None, **recipe):
    """How far each parameter of ``network`` goes in one step of plain gradient descent."""
    given = problem(network=network, max_steps=1, epochs=None, warmup=0.0, momentum=0.0, weight_decay=0.0, **recipe)
    before, after = given.new_model().state_dict(), (method or MAP()).fit(given).model.state_dict()
    return {name: after[name] - before[name] for name in before}


def test_the_trunk_moves_by_its_part_of_the_step_and_the_head_by_all_of_it():
    whole, parted = (moved_in_one_step(Named, **given) for given in ({}, {"trunk_rate": 0.1}))
    for name, step in whole.items():
        assert step.abs().max() > 0
        assert torch.allclose(parted[name], (1.0 if name.startswith("fc.") else 0.1) * step, atol=1e-7)


def test_every_optimizer_of_the_baselines_heeds_the_rate_of_the_trunk():
    for method in (MAP(), IVON(draws=1), SGLD(samples=1, burn_in=0.0)):
        given = problem(network=Named, max_steps=1, epochs=None, warmup=0.0, trunk_rate=1e-9, weight_decay=0.0)
        before, fitted = given.new_model().state_dict(), method.fit(given)
        after = fitted.model.state_dict()
        assert torch.allclose(after["conv1.weight"], before["conv1.weight"], atol=1e-5), method
        assert not torch.allclose(after["fc.weight"], before["fc.weight"], atol=1e-5), method


def test_a_network_that_names_no_classifier_has_no_trunk():
    with pytest.raises(Unsupported, match="Conv does not say what its classifier is"):
        MAP().fit(problem(network=Conv, trunk_rate=0.1))


def test_a_rate_of_one_stands_in_no_identity():
    assert "trunk_rate" not in Recipe(epochs=1, batch_size=1, lr=1.0).model_dump()
    assert Recipe(epochs=1, batch_size=1, lr=1.0, trunk_rate=0.1).model_dump()["trunk_rate"] == 0.1
