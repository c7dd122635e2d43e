"""Our training of implicit VI under maximal update is that of the authors' library, step for step."""

from dataclasses import replace

import pytest
import torch
from problems import CPU, Memory

import ivi
from baselines.implicit_vi import ImplicitVI
from baselines.likelihood import Categorical
from baselines.protocol import Problem, Unsupported
from baselines.recipe import Recipe
from baselines.seeds import Seeds
from baselines.train import train
from baselines.variational import optimizer_groups
from benchmarks.models.vision import LeNet5
from benchmarks.reference.authors_code import Inferno

pytestmark = pytest.mark.slow

OURS = ImplicitVI(rank=4, noise="shared", scale=1.0, unit="published")


@pytest.fixture
def problem():
    torch.manual_seed(0)
    x, y = torch.randn(60, 1, 28, 28), torch.randint(3, (60,))

    def make_model(seed):
        torch.manual_seed(seed)
        net = LeNet5(3, 1)
        ivi.initialize_(net, ivi.MaximalUpdate(), torch.Generator().manual_seed(seed), x[:1])
        return net

    recipe = Recipe(epochs=3, batch_size=10, lr=0.004, weight_decay=0.01, parametrization="maximal_update")
    return Problem(
        Categorical(3), x[:1] * 0, Memory(x, y), Memory(x, y), recipe, CPU, Seeds.of("images", 0), make_model
    )


def copied(theirs, ours):
    """Their means and factors into our network."""
    state = {}
    for name, value in theirs.state_dict().items():
        layer, _, part = name.partition(".params.")
        if part.startswith("cov.factor."):
            state[f"{layer}.{part.removeprefix('cov.factor.')}_factor"] = value.flatten(0, -2).T
        elif part in ("weight", "bias"):
            state[f"{layer}.{part}"] = value
    return dict(zip(ours.state_dict(), ordered(ours, state), strict=True))


def ordered(ours, state):
    """Layers stand in one order in both, under other names."""
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in state))
    own = list(dict.fromkeys(name.rpartition(".")[0] for name in ours.state_dict()))
    names = dict(zip(own, layers, strict=True))
    for name in ours.state_dict():
        layer, _, part = name.rpartition(".")
        yield state[f"{names[layer]}.{part}"]


def test_from_the_same_start_and_noise_both_end_at_the_same_weights(problem):
    pytest.importorskip("inferno")
    method = Inferno(rank=4)
    net = OURS.predictor(problem).net
    net.load_state_dict(copied(method.predictor(problem).net, net))
    noise = torch.Generator().manual_seed(problem.seeds.noise("train"))
    ivi.set_generator(net, noise)
    train(net, problem, groups=optimizer_groups(net, problem.recipe))
    fitted = method.fit(problem)
    for name, value in copied(fitted.net, net).items():
        torch.testing.assert_close(net.state_dict()[name], value, rtol=1e-4, atol=1e-5, msg=name)


def test_both_start_from_weights_and_noise_of_one_size(problem):
    pytest.importorskip("inferno")
    ours, theirs = replace(OURS, rank=400), Inferno(rank=400)
    net = ours.predictor(problem).net
    of_theirs = copied(theirs.predictor(problem).net, net)
    for name, value in net.state_dict().items():
        if value.numel() > 500:  # of fewer numbers the size says little
            sizes = [one.square().mean().sqrt().item() for one in (value, of_theirs[name])]
            assert sizes[0] == pytest.approx(sizes[1], rel=0.15), name


def test_a_state_says_all_that_it_predicts_with(problem):
    pytest.importorskip("inferno")
    method = Inferno(rank=4, draws=5)
    fitted, again = method.fit(problem), method.predictor(problem)
    assert not torch.equal(again.outputs(problem.train.x), fitted.outputs(problem.train.x))
    again.load_state_dict(fitted.state_dict())
    outputs = again.outputs(problem.train.x)
    assert outputs.shape == (5, 60, 3) and torch.equal(outputs, fitted.outputs(problem.train.x))
    torch.testing.assert_close(again.outputs(problem.train.x[7:9]), outputs[:, 7:9], rtol=1e-4, atol=1e-5)


def test_where_the_two_libraries_would_not_mean_the_same_it_is_left_out(problem):
    pytest.importorskip("inferno")
    standard = replace(problem, recipe=problem.recipe.changed({"parametrization": "standard"}))
    other = replace(problem, make_model=lambda seed: torch.nn.Flatten())
    for one, word in ((standard, "maximal update"), (other, "LeNet-5")):
        with pytest.raises(Unsupported, match=word):
            Inferno().fit(one)
