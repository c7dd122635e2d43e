"""MC dropout thins what it should, as often as it should, and nothing else."""

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from baselines.mc_dropout import FixedMasks, MCDropoutPredictor, add_after_activations, add_before_head
from baselines.protocol import Unsupported


def test_masks_keep_the_mean_and_the_rate():
    x = torch.ones(1, 200_000)
    with FixedMasks(seed=0, index=0):
        y = F.dropout(x, 0.25)
    assert y.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert (y == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)


def test_a_mask_is_shared_by_the_batch_and_differs_between_passes_and_calls():
    x = torch.ones(3, 1000)
    with FixedMasks(seed=0, index=0):
        first, second = F.dropout(x), F.dropout(x)
    with FixedMasks(seed=0, index=1):
        other = F.dropout(x)
    assert torch.equal(first[0], first[2]) and not torch.equal(first, second) and not torch.equal(first, other)
    with FixedMasks(seed=0, index=0):
        assert torch.equal(first, F.dropout(x))


def test_channel_dropout_drops_whole_channels():
    with FixedMasks(seed=0, index=0):
        y = F.dropout2d(torch.ones(2, 50, 4, 4))
    assert torch.equal(y.amin((2, 3)), y.amax((2, 3))) and 0 < (y == 0).float().mean() < 1


def test_dropout_that_a_timm_model_calls_as_a_function_is_caught():
    model = timm.create_model("resnet10t", drop_rate=0.5, num_classes=5, in_chans=1).eval()
    assert not any(isinstance(m, nn.Dropout) and m.p for m in model.modules()), "else the test tests nothing"
    x = torch.randn(2, 1, 32, 32)
    logits = MCDropoutPredictor(model, passes=3, seed=0).logits(x)
    assert not torch.allclose(logits[0], logits[1])
    assert torch.equal(model(x), model(x)), "outside of a pass the model is deterministic"


@pytest.mark.parametrize("add", [add_after_activations, add_before_head])
def test_dropout_is_added_to_a_timm_model_and_normalization_stays_in_eval_mode(add):
    model = timm.create_model("resnet10t", num_classes=5, in_chans=1).eval()
    add(model, 0.2)
    x = torch.randn(4, 1, 32, 32)
    before = [b.clone() for b in model.buffers()]
    logits = MCDropoutPredictor(model, passes=2, seed=0).logits(x)
    assert not torch.allclose(logits[0], logits[1])
    assert all(torch.equal(a, b) for a, b in zip(before, model.buffers(), strict=True))


def test_dropout_follows_every_activation_and_no_gate():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 4), nn.SiLU())
    add_after_activations(model, 0.5)
    with FixedMasks(seed=0, index=0) as masks:
        model.eval()(torch.randn(2, 4))
    assert masks.calls == 2


def test_a_model_without_activations_is_refused_with_the_way_out():
    with pytest.raises(Unsupported, match="placement=head"):
        add_after_activations(nn.Linear(2, 2), 0.5)
