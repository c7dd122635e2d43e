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
        lambda fc, x: fc(x).add_(1),
        lambda fc, x: nn.functional.relu(fc(x), inplace=True),
        lambda fc, x: fc(x).clamp(-30, 30),
        lambda fc, x: torch.where(x.sum(1, keepdim=True) > 1, fc(-x), fc(x)),
        lambda fc, x: torch.where(x.sum(1, keepdim=True) > 1, x[:, :3], fc(x)),
        lambda fc, x: fc(x)[:, :2],
        lambda fc, x: torch.cat([fc(x), x[:, :2]], 1),
        lambda fc, x: (fc(x), x),
        lambda fc, x: {"outputs": fc(x)},
        lambda fc, x: nn.functional.linear(x, fc.weight, fc.bias),
    ],
    ids=[
        "scaled", "called twice", "normalized", "averaged over positions", "not called", "added to in place",
        "cut off in place", "clipped", "routed", "routed around", "sliced", "concatenated", "one of two", "in a dict",
        "weights read by hand",
    ],
)  # fmt: skip
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


class Starts(nn.Module):
    """Its last layer is followed by something that does nothing before training."""

    def __init__(self, made, function):
        super().__init__()
        self.fc, self.other, self.function = nn.Linear(SIDE**2, 3), nn.Linear(SIDE**2, 3), function
        self.after = made
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        x = x.flatten(1)
        return self.function(self, self.fc(x), self.other(x))


@pytest.mark.parametrize(
    ("made", "function"),
    [
        (nn.Parameter(torch.ones(1)), lambda own, out, other: own.after * out),
        (nn.Parameter(torch.zeros(1)), lambda own, out, other: out + own.after * other),
        (nn.Parameter(torch.zeros(3)), lambda own, out, other: out + own.after),
        (nn.BatchNorm1d(3, eps=0), lambda own, out, other: own.after(out)),
        (None, lambda own, out, other: out + own.seen * other),
    ],
    ids=["temperature", "gate", "bias", "batch normalization", "buffer"],
)
def test_what_does_nothing_before_training_is_seen_to_follow_the_head(made, function):
    with pytest.raises(Unsupported, match="Starts has no head"):
        find_head(Starts(made, function), EXAMPLE)


@pytest.mark.parametrize("after", [nn.Identity(), nn.Dropout(0.5), nn.Unflatten(1, (3,))], ids=str)
def test_what_does_nothing_to_a_prediction_may_follow_the_head(after):
    net = nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 8), nn.ReLU(), nn.Linear(8, 3), after)
    assert find_head(net, EXAMPLE) is net[3]


class Remembers(nn.Module):
    """Keeps what it made of its weights in the first pass of eval mode, as networks of timm keep attention biases."""

    def __init__(self):
        super().__init__()
        self.scale, self.fc, self.kept = nn.Parameter(torch.ones(1)), nn.Linear(SIDE**2, 3), None

    def forward(self, x):
        if self.kept is None or self.training:
            self.kept = self.scale.detach() ** 2
        return self.fc(self.kept * x.flatten(1))


def test_a_look_for_the_head_leaves_nothing_behind():
    net = Remembers().train()
    state = {key: value.clone() for key, value in net.state_dict().items()}
    assert find_head(net, EXAMPLE) is net.fc
    assert net.training and net.kept is None
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
