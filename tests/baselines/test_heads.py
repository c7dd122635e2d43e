"""The head of a network is the layer whose output is the network's output, or there is none."""

import pytest
import timm
import torch
from problems import NETWORKS, SIDE
from torch import nn

from baselines.heads import features_and_outputs, find_head
from baselines.protocol import Unsupported

EXAMPLE = torch.zeros(1, 1, SIDE, SIDE)


def small(name, **arguments):
    """A model of timm for small images."""
    return timm.create_model(name, num_classes=5, in_chans=1, **arguments)


class HeadFirst(nn.Module):
    """Registers its head before its other linear layer."""

    def __init__(self):
        super().__init__()
        self.out, self.hidden = nn.Linear(6, 3), nn.Linear(SIDE**2, 6)

    def forward(self, x):
        return self.out(self.hidden(x.flatten(1)).relu())


class After(nn.Module):
    """Does something to the output of its last layer."""

    def __init__(self, function):
        super().__init__()
        self.fc, self.function = nn.Linear(SIDE**2, 3), function

    def forward(self, x):
        return self.function(self.fc, x.flatten(1))


@pytest.mark.parametrize("network", NETWORKS)
def test_the_head_gives_the_networks_output_of_its_features(network):
    torch.manual_seed(0)
    model = NETWORKS[network](3).train()
    head = find_head(model, EXAMPLE)
    assert all(module.training for module in model.modules()), "modes are left as they were"
    x = torch.randn(5, 1, SIDE, SIDE)
    features, outputs = features_and_outputs(model.eval(), head, x)
    assert torch.equal(head(features), outputs) and torch.equal(outputs, model(x))


def test_the_head_is_found_wherever_it_is_registered():
    model = HeadFirst()
    assert find_head(model, EXAMPLE) is model.out


@pytest.mark.parametrize("name", ["resnet10t", "efficientnet_lite0", "regnetx_002", "mobilenetv3_small_050"])
def test_the_head_of_a_timm_model_is_its_classifier(name):
    model = small(name)
    assert find_head(model, torch.zeros(1, 1, 32, 32)) is model.get_classifier()


def test_two_heads_that_are_averaged_are_refused_and_named():
    model = small("deit_tiny_distilled_patch16_224", img_size=SIDE, patch_size=4, embed_dim=24, depth=1, num_heads=2)
    with pytest.raises(Unsupported, match=r"its classifier, Linear.* and Linear.*, is not a linear layer"):
        find_head(model, EXAMPLE)


@pytest.mark.parametrize(
    "function",
    [
        lambda fc, x: 2 * fc(x),
        lambda fc, x: fc(x) + fc(-x),
        lambda fc, x: fc(x).log_softmax(-1),
        lambda fc, x: fc(x[:, None].expand(-1, 4, -1)).mean(1),
        lambda fc, x: x[:, :3],
    ],
    ids=["scaled", "called twice", "normalized", "averaged over positions", "not called"],
)
def test_a_layer_whose_output_is_not_the_networks_is_no_head(function):
    with pytest.raises(Unsupported, match="After has no head"):
        find_head(After(function), EXAMPLE)


def test_zero_initialized_heads_that_are_averaged_are_refused_too():
    model = small("deit_tiny_distilled_patch16_224", img_size=SIDE, patch_size=4, embed_dim=24, depth=1, num_heads=2)
    for head in model.get_classifier():
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
    with pytest.raises(Unsupported):
        find_head(model, EXAMPLE)
