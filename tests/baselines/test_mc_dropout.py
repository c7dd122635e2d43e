"""MC dropout thins what it should, as often as it should, and nothing else."""

import pytest
import timm
import torch
from problems import problem
from torch import nn
from torch.nn import functional as F

from baselines.heads import find_head
from baselines.masks import FixedMasks, ThinnedPredictor, activations, add_after_activations, add_before
from baselines.mc_dropout import MCDropout
from baselines.protocol import Unsupported

GATED = """seresnet18 seresnext26t_32x4d ecaresnet26t gcresnet33ts skresnet18 efficientnet_b0 efficientnetv2_s lcnet_050
mobilenetv3_small_050 mobilenetv4_hybrid_medium mnasnet_small semnasnet_050 fbnetv3_b tinynet_e ghostnet_050 regnety_002
regnetz_b16 rexnet_100 ese_vovnet19b_dw hardcorenas_a eca_nfnet_l0 resnest14d cs3se_edgenet_x coatnet_pico_rw_224
eca_botnext26ts_256 hgnetv2_b0 repvgg_d2se legacy_seresnet18 maxvit_tiny_rw_224 cspresnet50 davit_tiny""".split()


def passes(model, x, count, seed=0):
    """Outputs of a few passes."""
    return ThinnedPredictor(model, count, seed).outputs(x)


def test_masks_keep_the_mean_and_the_rate():
    x = torch.ones(1, 200_000)
    with FixedMasks(0, 0, {}):
        y = F.dropout(x, 0.25)
    assert y.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert (y == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)


def test_a_mask_is_shared_by_the_batch_and_differs_between_passes_and_calls():
    x = torch.ones(3, 1000)
    with FixedMasks(0, 0, {}):
        first, second = F.dropout(x), F.dropout(x)
    with FixedMasks(0, 1, {}):
        other = F.dropout(x)
    assert torch.equal(first[0], first[2]) and not torch.equal(first, second) and not torch.equal(first, other)
    with FixedMasks(0, 0, {}):
        assert torch.equal(first, F.dropout(x))


def test_channel_dropout_drops_whole_channels():
    with FixedMasks(0, 0, {}):
        y = F.dropout2d(torch.ones(2, 50, 4, 4))
    assert torch.equal(y.amin((2, 3)), y.amax((2, 3))) and 0 < (y == 0).float().mean() < 1


def test_masks_are_drawn_once_a_byte_a_unit_whatever_the_number_and_size_of_batches():
    predictor = MCDropout(passes=3).predictor(problem(network="conv"))
    predictor.outputs(torch.randn(5, 1, 8, 8))
    kept = dict(predictor._masks)
    for size in (1, 5, 7):
        predictor.outputs(torch.randn(size, 1, 8, 8))
    assert len(kept) == 2 * 3 and all(predictor._masks[key] is mask for key, mask in kept.items())
    assert sum(mask.nbytes for mask in kept.values()) == 3 * (8 * 8**2 + 16 * 4**2)


def test_masks_are_not_held_while_training():
    assert MCDropout(passes=3).fit(problem(max_steps=1))._masks == {}


def test_a_first_question_without_gradients_does_not_forbid_them_later():
    predictor = MCDropout(passes=2).predictor(problem())
    x = torch.randn(4, 1, 8, 8)
    with torch.inference_mode():
        predictor.outputs(x)
    predictor.outputs(x).sum().backward()
    assert predictor.model.fc.weight.grad is not None


def test_dropout_that_a_timm_model_calls_as_a_function_is_caught():
    model = timm.create_model("resnet10t", drop_rate=0.5, num_classes=5, in_chans=1).eval()
    assert not any(isinstance(m, nn.Dropout) and m.p for m in model.modules()), "else the test tests nothing"
    x = torch.randn(2, 1, 32, 32)
    outputs = passes(model, x, 3)
    assert not torch.allclose(outputs[0], outputs[1])
    assert torch.equal(model(x), model(x)), "outside of a pass the model is deterministic"


def before_head(model, rate):
    """Dropout at the head."""
    add_before(find_head(model, torch.zeros(1, 1, 32, 32)), rate)


@pytest.mark.parametrize("add", [add_after_activations, before_head])
def test_dropout_is_added_to_a_timm_model_and_normalization_stays_in_eval_mode(add):
    model = timm.create_model("resnet10t", num_classes=5, in_chans=1).eval()
    add(model, 0.2)
    x = torch.randn(4, 1, 32, 32)
    before = [b.clone() for b in model.buffers()]
    outputs = passes(model, x, 2)
    assert not torch.allclose(outputs[0], outputs[1])
    assert all(torch.equal(a, b) for a, b in zip(before, model.buffers(), strict=True))


def test_dropout_follows_every_activation_and_no_gate():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 4), nn.SiLU())
    add_after_activations(model, 0.5)
    with FixedMasks(0, 0, {}) as masks:
        model.eval()(torch.randn(2, 4))
    assert masks.calls == 2


@pytest.mark.parametrize("name", GATED)
def test_no_gate_of_a_timm_family_is_dropped_and_its_activations_are(name):
    with torch.device("meta"):
        model = timm.create_model(name)
    dropped = activations(model)
    bounded = {n for n, m in model.named_modules() if "sigmoid" in type(m).__name__.lower()}
    gates = {n for n, _ in model.named_modules() if n.rpartition(".")[2] == "gate"}
    assert dropped and not dropped.keys() & (gates | bounded)
    assert all(any(word in type(m).__name__.lower() for word in ("elu", "silu", "swish")) for m in dropped.values())


def test_the_families_with_gates_have_gates_in_torchs_and_in_timms_own_form():
    kinds = set()
    for name in ("seresnet18", "efficientnet_b0", "mobilenetv3_small_050"):
        with torch.device("meta"):
            model = timm.create_model(name)
        kinds |= {f"{type(m).__module__}.{type(m).__name__}" for n, m in model.named_modules() if n.endswith("gate")}
    assert {kind.partition(".")[0] for kind in kinds} == {"torch", "timm"}, kinds


def test_a_model_without_activations_is_refused_with_the_way_out():
    with pytest.raises(Unsupported, match="placement=head"):
        add_after_activations(nn.Linear(2, 2), 0.5)
