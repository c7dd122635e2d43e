"""Draws kept as seeds: the same weights every time, of any number of draws, with little held."""

import copy
import gc

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import ivi


def make(covariance, layers="all", dtype=torch.float64):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(48, 400), nn.Tanh(), nn.Linear(400, 3))
    example = torch.zeros(1, 1, 6, 6, dtype=dtype)
    return ivi.variationalize(net.to(dtype), covariance, layers, example=example)


X = torch.randn(5, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def written_out(net, draws):
    """The same draws with all their noise held."""
    layers = ivi.random_layers(net)
    counts = {name: len(draws) if name == draws.head else draws.num_passes for name in layers}
    noise = {name: draws.part(name, layer, 0, counts[name]) for name, layer in layers.items()}
    return ivi.Draws(noise, draws.head, draws.head_draws)


@pytest.mark.parametrize("head_draws", [1, 3])
@pytest.mark.parametrize("layers", ["all", "ends", "last"])
@pytest.mark.parametrize("covariance", [ivi.LowRank(3), ivi.Diagonal(), ivi.Kronecker(2, 2)], ids=str)
def test_seeds_predict_as_their_noise_written_out(covariance, layers, head_draws):
    net = make(covariance, layers)
    draws = ivi.seeded_draws(net, 6, seed=5, head_draws=head_draws)
    logits = ivi.predict(net, X, draws)
    assert len(draws) == 6 * head_draws and logits.shape == (6 * head_draws, 5, 3)
    torch.testing.assert_close(logits, ivi.predict(net, X, written_out(net, draws)), rtol=1e-12, atol=1e-12)
    assert torch.equal(ivi.predict(net, X, draws), logits)
    parts = torch.cat([ivi.predict(net, part, draws) for part in X.split(2)], 1)
    torch.testing.assert_close(parts, logits, rtol=1e-12, atol=1e-12)
    together = ivi.predict(net, X, draws, together=4)
    torch.testing.assert_close(together, logits, rtol=1e-12, atol=1e-12)
    spread = logits.std(0)
    assert spread.min() > 0


def test_another_seed_layer_or_draw_has_other_numbers_and_few_draws_begin_many():
    net = make(ivi.Diagonal())
    layers = ivi.random_layers(net)
    few, many, other = (ivi.seeded_draws(net, count, seed) for count, seed in ((4, 1), (9, 1), (4, 2)))
    for name, layer in layers.items():
        z = few.part(name, layer, 0, 4)
        assert torch.equal(z, many.part(name, layer, 0, 4))
        assert torch.equal(z[2:3], many.part(name, layer, 2, 3))
        assert not torch.equal(z, other.part(name, layer, 0, 4))
        assert len({tuple(row[:3].tolist()) for row in many.part(name, layer, 0, 9)}) == 9
    torch.testing.assert_close(ivi.predict(net, X, many)[:4], ivi.predict(net, X, few), rtol=1e-12, atol=1e-12)


def test_the_noise_is_standard_normal_and_independent():
    net = make(ivi.Diagonal())
    layers = ivi.random_layers(net)
    draws = ivi.seeded_draws(net, 60, seed=0)
    z = torch.cat([draws.part(name, layer, 0, 60) for name, layer in layers.items()], 1)
    assert abs(z.mean()) < 0.01 and abs(z.std() - 1) < 0.01
    correlations = (z @ z.T / z.shape[1]).fill_diagonal_(0)
    assert correlations.abs().max() < 5.5 / z.shape[1] ** 0.5


class HeldNumbers(TorchDispatchMode):
    """Most numbers held at once in tensors that were made inside the block."""

    def __init__(self):
        super().__init__()
        self.most = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.most = max(self.most, out.numel())
        return out


def test_no_tensor_of_several_weight_sets_is_made_when_predicting_with_seeds():
    net = make(ivi.Diagonal())
    draws = ivi.seeded_draws(net, 40, seed=0)
    assert not [value for value in vars(draws).values() if isinstance(value, torch.Tensor)]
    with torch.inference_mode(), HeldNumbers() as held:
        ivi.predict(net, X, draws)
    assert held.most < 5 * 48 * 400
    held_noise = ivi.sample_draws(net, 40)
    gc.collect()
    assert sum(z.numel() for z in held_noise.noise.values()) > 40 * 48 * 400


def test_draws_of_seeds_follow_the_weights_and_fit_a_copy():
    net = make(ivi.LowRank(2))
    draws = ivi.seeded_draws(net, 3, seed=0)
    before = ivi.predict(net, X, draws)
    other = copy.deepcopy(net)
    assert torch.equal(ivi.predict(other, X, draws), before)
    with torch.no_grad():
        other[0].weight += 1
    assert not torch.equal(ivi.predict(other, X, draws), before)
    with pytest.raises(ValueError, match="draws are of the layers"):
        ivi.predict(make(ivi.LowRank(2), "last"), X, draws)
    with pytest.raises(ValueError, match="at least 1"):
        ivi.seeded_draws(net, 0, seed=0)
