"""SWAG's Gaussian has the moments of the path, and each draw the batch statistics of its own weights."""

from dataclasses import replace

import pytest
import torch
from problems import problem
from torch import nn

from baselines.map import MAP
from baselines.swag import SWAG
from baselines.train import train
from baselines.weight_draws import NormStatistics
from baselines.weight_path import WeightPath

SHORT = {"max_steps": 6}


def flat(values):
    return torch.cat([value.flatten() for value in values]).detach().clone()


def walked(points, rank, draws=4, seed=0):
    """A path through random weights of a small network in float64, and those weights, the first among them."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)).double()
    path, seen = WeightPath(model, draws, rank, seed), []
    path.begin()
    seen.append(flat(model.parameters()))
    for _ in range(points):
        with torch.no_grad():
            for p in model.parameters():
                p.copy_(torch.randn_like(p))
        path.collect()
        seen.append(flat(model.parameters()))
    return path, torch.stack(seen)


def stored(path, kind, dim=0):
    """What a path has stored of one kind, flattened as the weights are."""
    count = sum(1 for _ in path.model.parameters())
    return torch.cat([path.get_buffer(f"{kind}_{i}").flatten(dim) for i in range(count)], -1)


@pytest.mark.parametrize("points", [1, 2, 5, 9])
def test_moments_are_those_of_all_points_by_brute_force(points):
    path, seen = walked(points, rank=3)
    assert torch.allclose(stored(path, "mean"), seen.mean(0), rtol=1e-12, atol=1e-12)
    assert torch.allclose(stored(path, "variance"), (seen**2).mean(0) - seen.mean(0) ** 2, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("points", [1, 3, 8])
def test_deviations_are_the_last_ones_from_the_mean_of_their_time(points):
    path, seen = walked(points, rank=3)
    expected = torch.stack([seen[i] - seen[: i + 1].mean(0) for i in range(1, points + 1)])[-3:]
    found = stored(path, "deviations", 1)
    kept = found[found.abs().sum(1) > 0]
    assert len(kept) == len(expected)
    distances = torch.cdist(expected, kept)
    assert distances.amin(1).max() < 1e-12 and distances.amin(0).max() < 1e-12


@pytest.mark.parametrize("rank", [0, 3])
def test_draws_have_the_mean_and_the_covariance_of_equation_1(rank):
    path, seen = walked(6, rank, draws=8_000)
    drawn = torch.stack([flat(values.values()) for values in path.each()])
    variance = seen.var(0, unbiased=False)
    if rank:
        columns = torch.stack([seen[i] - seen[: i + 1].mean(0) for i in range(7)])[-rank:]
        covariance = variance.diag() / 2 + columns.T @ columns / (2 * (rank - 1))
    else:
        covariance = variance.diag()
    error = covariance.diagonal().max() / 8_000**0.5
    assert (drawn.mean(0) - seen.mean(0)).abs().max() < 5 * covariance.diagonal().max().sqrt() / 8_000**0.5
    assert (drawn.T.cov() - covariance).abs().max() < 8 * error


def test_a_path_that_stands_still_is_a_point():
    path, _ = walked(0, rank=3)
    for _ in range(4):
        path.collect()
    x = torch.randn(5, 2).double()
    assert torch.allclose(path.outputs(x), path.model(x).expand(4, -1, -1), rtol=1e-12)


def test_its_path_begins_at_map_and_is_walked_at_a_constant_rate():
    given = problem(**SHORT)
    method = SWAG(epochs=1, per_epoch=5, draws=2, rank=2)
    fitted = given.fit(method)
    own = given.of(method)
    assert (own.recipe.epochs, own.recipe.schedule, own.recipe.warmup) == (1, "constant", 0.0)
    model, seen = given.fit(MAP()).model, []
    seen.append(flat(model.parameters()))

    def keep(done, total):
        if done % 2 == 0:  # ten batches an epoch
            seen.append(flat(model.parameters()))

    groups = [{"params": list(model.parameters()), "lr": 0.2 * own.recipe.lr}]
    train(model, own, groups=groups, after_step=keep)
    assert int(fitted.points) == len(seen) == 6
    assert torch.allclose(stored(fitted, "mean"), torch.stack(seen).mean(0), atol=1e-6)


@pytest.mark.parametrize("network", ["dense", "conv_bn"])
def test_batch_statistics_are_those_of_the_drawn_weights(network):
    given = problem(network=network, **SHORT)
    method = SWAG(epochs=1, draws=3, rank=2)
    fitted = given.fit(method)
    batches = [x for x, _ in given.train.ordered(given.recipe.batch_size)]
    found = []
    for values in fitted.drawn():
        model = given.new_model().eval()
        model.load_state_dict(values, strict=False)
        norm = next(m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d))
        inputs = []
        norm.register_forward_pre_hook(lambda module, args, inputs=inputs: inputs.append(args[0]))
        with torch.no_grad():
            for x in batches:
                model(x)
        axes = [axis for axis in range(inputs[0].dim()) if axis != 1]
        mean = torch.stack([x.mean(axes) for x in inputs]).mean(0)
        variance = torch.stack([x.var(axes) for x in inputs]).mean(0)
        assert torch.allclose(norm.running_mean, mean, atol=1e-5)
        assert torch.allclose(norm.running_var, variance, rtol=1e-4)
        found.append(mean)
    assert not torch.allclose(found[0], found[1], atol=1e-4)


def test_estimating_statistics_leaves_the_networks_own_and_its_modes_as_they_are():
    given = problem(network="conv_bn")
    model = given.new_model().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    statistics = NormStatistics(model, 2)
    statistics.estimate(1, model, dict(model.named_parameters()), lambda: [given.train.x, given.train.x[:1]])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module.training for module in model.modules()) and model.norm.momentum == 0.1
    assert torch.equal(statistics.of(0)["norm.running_mean"], before["norm.running_mean"])
    assert not torch.equal(statistics.of(1)["norm.running_mean"], before["norm.running_mean"])


def test_no_draw_is_held_while_training():
    fitted = SWAG(epochs=1).fit(problem(method=SWAG(epochs=1), **SHORT))
    assert fitted._drawn is None


def test_an_earlier_prediction_does_not_fix_the_draws_of_a_state_that_is_loaded_later():
    given = problem(**SHORT)
    method = SWAG(epochs=1, draws=3)
    fitted, fresh = given.fit(method), method.predictor(given.of(method))
    before = fresh.outputs(given.validation.x)
    fresh.load_state_dict(fitted.state_dict())
    assert torch.equal(fresh.outputs(given.validation.x), fitted.outputs(given.validation.x))
    assert not torch.equal(before, fresh.outputs(given.validation.x))


def test_the_map_fit_that_is_taken_over_is_left_as_it_was():
    given = problem(**SHORT)
    fit = given.fit(MAP())
    before = {name: value.clone() for name, value in fit.state_dict().items()}
    method = SWAG(epochs=1, draws=2)
    method.fit(replace(given, fitter=lambda method, asked: fit).of(method))
    assert all(torch.equal(value, fit.state_dict()[name]) for name, value in before.items())
