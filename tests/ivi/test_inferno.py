"""The authors' implementation gives the same logits for the same means, factors and draws."""

import pytest
import torch
from torch import nn

import ivi

pytest.importorskip("inferno")
timm = pytest.importorskip("timm")

pytestmark = pytest.mark.slow


def copy_distribution(theirs, ours):
    """Their means, normalization and factors into our network; names differ by ``params.`` alone."""
    state, factors = {}, {}
    for name, parameter in theirs.named_parameters():
        if ".cov.factor." in name:
            layer, kind = name.split(".params.cov.factor.")
            factors[f"{layer}.{kind}_factor"] = parameter.flatten(0, -2).T  # [P, R] -> [R, P]
        elif not name.endswith("temperature"):
            state[name.replace(".params", "")] = parameter
    result = ours.load_state_dict({name: value.detach() for name, value in (state | factors).items()}, strict=False)
    assert not result.missing_keys and not result.unexpected_keys


@pytest.mark.parametrize("name", ["LeNet5", "ResNet18"])
def test_the_same_draws_give_the_same_logits(lenet, name):
    from inferno import models
    from inferno.bnn.params import LowRankCovariance

    if name == "LeNet5":
        theirs, plain, x = models.LeNet5(cov=LowRankCovariance(4)), lenet(), torch.randn(5, 1, 28, 28)
    else:
        theirs = models.ResNet18(out_size=10, architecture="cifar", cov=LowRankCovariance(4))
        norm = lambda channels, **_: nn.GroupNorm(32, channels)  # noqa: E731
        plain = timm.create_model("resnet18", num_classes=10, norm_layer=norm)
        plain.conv1, plain.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
        x = torch.randn(2, 3, 32, 32)
    theirs.double().train()
    ours = ivi.variationalize(plain.double(), ivi.LowRank(4), noise="shared", example=x.double()[:1]).train()
    copy_distribution(theirs, ours)
    x = x.double()
    outputs = []
    for seed in range(3):
        # Both draw z for the first layer, then for the last, from the generator given.
        ivi.set_generator(ours, torch.Generator().manual_seed(seed))
        outputs.append(ours(x))
        expected = theirs(x, sample_shape=torch.Size([]), generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(outputs[-1], expected, atol=1e-9, rtol=0)
    assert not torch.equal(outputs[0], outputs[1])
