"""A BatchEnsemble is the networks that its fast weights write out."""

import copy

import pytest
import torch
from problems import problem
from torch import nn

from baselines.batch_ensemble import BatchEnsemble
from baselines.protocol import Unsupported
from ivi.layers import KINDS


def written_out(fitted, index):
    """Member ``index`` as a network of its own: each weight times s rᵀ, each bias times s."""
    model = copy.deepcopy(fitted.model)
    layers = [m for m in model.modules() if isinstance(m, KINDS)]
    for module in (model, *layers):
        module._forward_pre_hooks.clear()
        module._forward_hooks.clear()
    for layer, own in zip(layers, fitted.fast, strict=True):
        r, s = own.r[index], own.s[index]
        groups = getattr(layer, "groups", 1)
        per_output = r.view(groups, 1, -1).expand(-1, len(s) // groups, -1).reshape(len(s), -1)
        factor = (s[:, None] * per_output).view(*layer.weight.shape[:2], *[1] * (layer.weight.dim() - 2))
        layer.weight.data.mul_(factor)
        if layer.bias is not None:
            layer.bias.data.mul_(s)
    return model.eval()


class Grouped(nn.Sequential):
    """A network with a depthwise convolution."""

    def __init__(self, outputs):
        convolutions = nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 12, 3, groups=3), nn.ReLU()
        super().__init__(*convolutions, nn.Flatten(), nn.Linear(192, outputs))


@pytest.mark.parametrize("network", ["dense", "conv", "vit", Grouped])
@torch.no_grad()
def test_members_equal_networks_whose_weights_are_written_out(network):
    fitted = BatchEnsemble(members=3).fit(problem(network=network, max_steps=4))
    x = problem().validation.x[:7]
    outputs = fitted.outputs(x)
    for index in range(3):
        assert torch.allclose(outputs[index], written_out(fitted, index)(x), atol=1e-5)
    assert not torch.allclose(outputs[0], outputs[1], atol=1e-3)


def test_each_member_is_trained_on_its_part_of_the_batch():
    fitted = BatchEnsemble(members=4).predictor(problem())
    x = problem().train.x[:16]
    expected = torch.cat([written_out(fitted, index)(x[4 * index : 4 * index + 4]) for index in range(4)])
    assert torch.allclose(fitted.model(x), expected, atol=1e-5)


def test_a_batch_that_members_do_not_divide_is_shared_out_whole():
    fitted = BatchEnsemble(members=3).predictor(problem(network="vit"))
    x = problem().train.x[:8]
    owner = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])
    expected = torch.stack([written_out(fitted, int(i))(one[None])[0] for i, one in zip(owner, x, strict=True)])
    assert torch.allclose(fitted.model(x), expected, atol=1e-5)


def test_fast_weights_are_under_no_weight_decay():
    start = BatchEnsemble().predictor(problem())
    moved = BatchEnsemble().fit(problem(max_steps=20, weight_decay=100.0, lr=1e-4, clip_norm=1e-9))
    assert torch.allclose(start.fast[0].r, moved.fast[0].r, atol=1e-6)
    assert moved.model.fc.weight.norm() < 0.95 * start.model.fc.weight.norm()


class TimeFirst(nn.Module):
    """Its one layer sees the rows of an image first, then the examples."""

    def __init__(self, outputs):
        super().__init__()
        self.layer = nn.Linear(8, outputs)

    def forward(self, x):
        return self.layer(x[:, 0].transpose(0, 1)).mean(0)


def test_layers_whose_rows_are_not_the_examples_are_refused():
    with pytest.raises(Unsupported, match="TimeFirst has no layer"):
        BatchEnsemble().predictor(problem(network=TimeFirst))
