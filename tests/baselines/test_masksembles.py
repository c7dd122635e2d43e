"""Masksembles are the thinned networks that their masks write out, and the masks are what the paper asks for."""

from functools import partial

import pytest
import timm
import torch
from problems import problem
from torch import nn

from baselines.masks import activations
from baselines.masksembles import Masksembles
from baselines.members import overlapping_masks as masks
from baselines.members import unit_dims
from baselines.protocol import Unsupported


@pytest.mark.parametrize("units", [6, 16, 84, 120, 512])
@pytest.mark.parametrize("scale", [1.0, 1.5, 2.0, 3.0])
def test_masks_keep_equally_many_units_each_and_every_unit_is_kept_by_one(units, scale):
    drawn = masks(units, 4, scale, seed=0)
    assert drawn.shape == (4, units) and set(drawn.unique().tolist()) <= {0.0, 1.0}
    assert drawn.sum(1).unique().numel() == 1 and drawn.any(0).all()
    expected = 1 / (scale * (1 - (1 - 1 / scale) ** 4))
    assert drawn.mean().item() == pytest.approx(expected, abs=0.5 / units + 1e-9)


def test_masks_overlap_as_independent_choices_among_all_places_do():
    share = [float((a * b).sum() / a.sum()) for a, b, *_ in (masks(512, 4, 2.0, seed) for seed in range(20))]
    assert sum(share) / 20 == pytest.approx(1 / 2.0, abs=0.02)


def test_a_wider_scale_lets_masks_overlap_less():
    overlaps = [float((m[0] * m[1]).sum() / m[0].sum()) for m in (masks(120, 4, s, 0) for s in (1.0, 1.5, 2.0, 4.0))]
    assert overlaps[0] == 1.0 and overlaps == sorted(overlaps, reverse=True)


@torch.no_grad()
def test_members_equal_networks_thinned_by_hand():
    fitted = Masksembles(members=3).fit(problem(max_steps=4))
    x = problem().validation.x[:7]
    outputs = fitted.outputs(x)
    (kept,) = fitted._masks.values()
    for index, mask in enumerate(kept):
        hidden, weight = fitted.model.hidden.eval(), fitted.model.fc.weight * mask
        hidden[3]._forward_hooks.clear()
        assert torch.allclose(outputs[index], hidden(x) @ weight.T + fitted.model.fc.bias, atol=1e-5)


@pytest.mark.parametrize("network", ["conv", "vit"])
@torch.no_grad()
def test_members_equal_passes_under_the_mask_of_one_member(network):
    fitted = Masksembles(members=2).predictor(problem(network=network))
    x = problem().validation.x[:5]
    outputs = fitted.outputs(x)
    where = unit_dims(fitted.model, x[:1], activations(fitted.model).values())
    for module in where:
        module._forward_hooks.clear()
    for member in range(2):
        handles = []
        for index, (module, dim) in enumerate(where.items()):
            (mask,) = (kept[member] for (i, _), kept in fitted._masks.items() if i == index)
            shape = (-1,) if dim == -1 else (-1, 1, 1)
            hook = partial(lambda module, inputs, output, mask: output * mask, mask=mask.view(shape))
            handles.append(module.register_forward_hook(hook))
        assert torch.allclose(outputs[member], fitted.model(x), atol=1e-5)
        for handle in handles:
            handle.remove()
    assert not torch.allclose(outputs[0], outputs[1])


@pytest.mark.parametrize(
    ("name", "dims"),
    [("resnet10t", 1), ("vit_tiny_patch16_224", -1), ("convnext_atto", 1), ("convnext_atto linear", -1)],
)
def test_units_are_channels_of_images_and_features_of_tokens(name, dims):
    name, _, linear = name.partition(" ")
    model = timm.create_model(name, num_classes=3, **({"conv_mlp": False} if linear else {})).eval()
    where = unit_dims(model, torch.zeros(1, 3, 224, 224), activations(model).values())
    assert set(where.values()) == {dims}


def test_a_network_without_activation_modules_is_refused():
    with pytest.raises(Unsupported, match="no layer of the kind"):
        Masksembles().predictor(problem(network=lambda outputs: nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))))


def test_masks_that_cannot_cover_the_units_are_refused():
    with pytest.raises(Unsupported, match="smaller scale"):
        masks(3, 100, 6.0, 0)
