"""Networks that are trained together are those that are trained one after the other; where that is not known, none."""

from dataclasses import replace

import pytest
import torch
from problems import SIDE, Conv, Plain, images, problem
from torch import nn

from baselines.deep_ensemble import DeepEnsemble
from baselines.map import MAP
from baselines.mc_dropout import MCDropout
from baselines.protocol import Unsupported
from baselines.together import train_together
from baselines.train import Diverged, train


class Folded(Conv):
    """The convolutional network with its inputs in the layout in which they come."""

    def forward(self, x):
        x = self.act1(self.conv1(x))
        return self.fc(self.act2(self.norm(self.conv2(x))).flatten(1))


SLOW_ATTENTION = pytest.mark.filterwarnings("ignore:There is a performance drop")


def in_double(network):
    """The network in float64, where orders of adding up differ by too little to be mistaken for another step."""

    class Double(network):
        def __init__(self, outputs):
            super().__init__(outputs)
            self.double()

        def forward(self, x):
            return super().forward(x.double())

    return Double


def members(kind="categorical", network=Plain, count=3, **recipe):
    return [problem(kind, network, **recipe).member(i) for i in range(count)]


def apart(problems):
    models = [one.new_model() for one in problems]
    for model, one in zip(models, problems, strict=True):
        train(model, one)
    return models


def together(problems):
    models = [one.new_model() for one in problems]
    train_together(models, problems)
    return models


def assert_same(mine, theirs, **tolerance):
    for one, other in zip(mine, theirs, strict=True):
        assert not one.training
        for (name, p), q in zip(one.named_parameters(), other.parameters(), strict=True):
            if name.endswith("qkv.bias"):  # a key's bias shifts all scores of a query alike: its gradient is rounding
                p, q = (torch.cat([bias.chunk(3)[0], bias.chunk(3)[2]]) for bias in (p, q))
            assert torch.allclose(p, q, **tolerance), name


@pytest.mark.parametrize(
    "recipe",
    [
        {"clip_norm": None, "momentum": 0.0, "weight_decay": 0.0, "warmup": 0.0, "schedule": "constant"},
        {"clip_norm": None, "weight_decay": 1e-2},
        {"clip_norm": 0.5, "schedule": "constant"},
        {"clip_norm": 0.5, "optimizer": "adamw", "lr": 5e-3, "weight_decay": 1e-2},
    ],
    ids=["plain sgd", "momentum and decay", "clipped", "adamw, clipped"],
)
@pytest.mark.parametrize("network", [Plain, Folded])
@pytest.mark.parametrize("kind", ["categorical", "gaussian"])
def test_each_member_is_the_one_that_is_trained_alone(kind, network, recipe):
    problems = members(kind, in_double(network), max_steps=25, **recipe)
    if kind == "gaussian":
        problems = [replace(one, train=replace(one.train, y=one.train.y.double())) for one in problems]
    mine = together(problems)
    assert_same(mine, apart(problems), rtol=1e-7, atol=1e-9)
    assert not torch.allclose(mine[0].fc.weight, mine[1].fc.weight, atol=1e-2)


@pytest.mark.parametrize("network", [Plain, Folded, pytest.param("vit", marks=SLOW_ATTENTION)])
def test_in_single_precision_too_over_some_steps(network):
    problems = members(network=network, max_steps=15)
    assert_same(together(problems), apart(problems), rtol=1e-3, atol=2e-4)


def test_and_in_half_precision_as_far_as_that_goes():
    problems = members(max_steps=1, precision="bfloat16")
    before, mine, theirs = [one.new_model() for one in problems], together(problems), apart(problems)
    for start, one, other in zip(before, mine, theirs, strict=True):
        moves = [
            nn.utils.parameters_to_vector(m.parameters()) - nn.utils.parameters_to_vector(start.parameters())
            for m in (one, other)
        ]
        assert (moves[0] - moves[1]).norm() < 0.02 * moves[1].norm()


def test_examples_may_differ_between_members():
    """As for members that are each fitted to a sample of their own."""
    problems = [replace(one, train=images("categorical", 160, 10 + i)) for i, one in enumerate(members(max_steps=15))]
    assert_same(together(problems), apart(problems), rtol=1e-3, atol=2e-4)


def test_frozen_parameters_stay_as_they_are():
    class Frozen(Plain):
        def __init__(self, outputs):
            super().__init__(outputs)
            self.hidden[1].weight.requires_grad_(False)

    problems = members(network=Frozen, max_steps=15)
    mine = together(problems)
    assert_same(mine, apart(problems), rtol=1e-3, atol=2e-4)
    assert torch.equal(mine[1].hidden[1].weight, problems[1].new_model().hidden[1].weight)


class Dropping(Plain):
    def forward(self, x):
        return super().forward(nn.functional.dropout(x, 0.5, self.training))


class Choosing(Plain):
    def forward(self, x):
        return super().forward(x) * (2.0 if x.mean() > 0 else 1.0)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("dense", "Dense has buffers.*running_mean"),
        (Dropping, "Dropping cannot be trained together with others: draws random numbers while it is trained"),
        (Conv, "Conv cannot be trained together with others: vmap says: .*memory_format"),
        (Choosing, "Choosing cannot be trained together with others: vmap says: .*control"),
    ],
)
def test_a_network_of_which_it_is_not_known_is_refused_in_one_line(network, message):
    with pytest.raises(Unsupported, match=message) as error:
        together(members(network=network))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: replace(one, recipe=one.recipe.changed({"lr": 1.0})), "one recipe"),
        (lambda one: replace(one, train=images("categorical", 96, 1)), "equally many examples"),
        (lambda one: replace(one, make_model=lambda seed: nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 4))), "shape"),
    ],
)
def test_problems_that_differ_in_more_than_seeds_are_refused(change, message):
    first, second = members(count=2)
    with pytest.raises(Unsupported, match=message):
        together([first, change(second)])


def test_a_loss_that_is_not_finite_in_one_member_ends_training():
    first, second = members(count=2, epochs=2)
    broken = replace(second.train, x=second.train.x * float("inf"))
    with pytest.raises(Diverged, match="nan at step"):
        together([first, replace(second, train=broken)])


def test_an_ensemble_trained_together_takes_nothing_over_and_is_that_of_separate_fits_but_for_rounding():
    method, x = DeepEnsemble(members=3, together=True), problem().validation.x
    given = problem(network=Folded, max_steps=15)
    assert method.uses == () and len(DeepEnsemble(members=3).uses) == 3
    whole = given.fit(method)
    assert torch.allclose(whole.outputs(x), given.fit(DeepEnsemble(members=3)).outputs(x), atol=1e-2)
    again = method.predictor(given)
    again.load_state_dict(whole.state_dict())
    assert torch.equal(again.outputs(x), whole.outputs(x))


def test_only_what_can_be_fitted_together_makes_such_an_ensemble():
    with pytest.raises(ValueError, match="together=true: MCDropout has no fit_together; map has"):
        DeepEnsemble(of=MCDropout(), together=True)


@SLOW_ATTENTION
def test_an_ensemble_of_one_trained_together_is_map_but_for_rounding():
    given, x = problem(network="vit", max_steps=10), problem().validation.x
    assert torch.allclose(given.fit(DeepEnsemble(1, together=True)).outputs(x), given.fit(MAP()).outputs(x), atol=1e-3)
