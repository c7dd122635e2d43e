"""Sixty-odd architectures of forty-odd families go through the whole life of a variational network."""

import copy

import pytest
import torch
from explicit import by_hand
from torch import nn

import ivi

timm = pytest.importorskip("timm")

# Name -> input size; those that fix theirs at construction get it as an argument.
CONVOLUTIONAL = {
    "resnet10t": 64, "resnet18": 32, "resnetv2_18": 32, "resnext26ts": 64, "seresnet18": 32, "ecaresnet26t": 64,
    "res2net50_14w_8s": 64, "regnetx_002": 64, "regnety_002": 64, "regnetz_005": 64, "densenet121": 64,
    "vgg11_bn": 32, "convnext_atto": 64, "convnextv2_atto": 64, "efficientnet_b0": 64, "tf_efficientnet_lite0": 64,
    "efficientnetv2_rw_t": 64, "mobilenetv2_050": 64, "mobilenetv3_small_050": 64, "mobilenetv4_conv_small_050": 64,
    "mnasnet_small": 64, "ghostnet_050": 64, "nf_regnet_b0": 64, "dm_nfnet_f0": 64, "nf_resnet26": 64,
    "cspresnet50": 64, "darknet17": 64, "dla34": 64, "hrnet_w18_small": 64, "inception_next_atto": 64,
    "repvgg_a0": 32, "edgenext_xx_small": 64, "fasternet_t0": 64, "hardcorenas_a": 64,
    "rexnet_100": 64, "starnet_s1": 64, "vovnet39a": 64, "xception41": 64, "poolformer_s12": 64, "lcnet_035": 64,
}  # fmt: skip
TRANSFORMERS = {
    "vit_tiny_patch16_224": 32, "deit_tiny_distilled_patch16_224": 32, "vit_relpos_small_patch16_224": 32,
    "swin_tiny_patch4_window7_224": 56, "mixer_s32_224": 64, "resmlp_12_224": 64, "gmlp_ti16_224": 32,
    "cait_xxs24_224": 32, "xcit_nano_12_p16_224": 64, "mobilevit_xxs": 64,
    "maxvit_rmlp_pico_rw_256": 64,
    "coatnet_nano_rw_224": 64, "efficientformerv2_s0": 64,
    "swinv2_cr_tiny_ns_224": 64, "beit_base_patch16_224": 32, "volo_d1_224": 32, "levit_128s": 64,
    "crossvit_tiny_240": 240,
    "twins_svt_small": 64, "pvt_v2_b0": 64, "eva02_tiny_patch14_224": 28, "tiny_vit_5m_224": 64,
}  # fmt: skip
FIXED_SIZE = (
    "vit_",
    "deit",
    "swin",
    "beit",
    "volo",
    "levit",
    "mixer",
    "resmlp",
    "gmlp",
    "cait",
    "maxvit",
    "coatnet",
    "eva02",
    "efficientformerv2",
)
CASES = CONVOLUTIONAL | TRANSFORMERS
SMALLER = {
    "swinv2_cr_tiny_ns_224": {"depths": (1, 1, 1, 1), "embed_dim": 16, "num_heads": (1, 2, 4, 8)},
    "vit_tiny_patch16_224": {"depth": 2},
    "beit_base_patch16_224": {"depth": 2},
}


def make(name, size):
    options = {"img_size": size} if name.startswith(FIXED_SIZE) else {}
    return timm.create_model(name, num_classes=5, **options, **SMALLER.get(name, {}))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_any_timm_model_trains_predicts_saves_and_loads(name, tmp_path):
    size = CASES[name]
    x, y = torch.randn(2, 3, size, size), torch.tensor([0, 3])
    plain = make(name, size).eval()
    generator = torch.Generator().manual_seed(0)
    net = ivi.variationalize(copy.deepcopy(plain), ivi.LowRank(2, scale=0.1), example=x, generator=generator)
    assert len(ivi.random_layers(net)) == 2
    with torch.inference_mode():
        expected = plain(x)
        scale = expected.abs().max().item()
        mean = net.eval()(x)
        torch.testing.assert_close(mean, expected, atol=1e-5 * scale, rtol=0)
        zero = copy.deepcopy(net)
        for layer in ivi.random_layers(zero).values():
            for factor in layer.factors.values():
                factor.zero_()
        still = ivi.predict(zero, x, 3, generator)
        torch.testing.assert_close(still, expected.expand(3, -1, -1), atol=1e-4 * scale, rtol=0)
    net.train()
    optimizer = torch.optim.SGD(ivi.param_groups(net, 1e-4), lr=1e-4, momentum=0.9)
    for _ in range(2):
        optimizer.zero_grad()
        out = net(x)
        loss = nn.functional.cross_entropy(sum(out) / len(out) if isinstance(out, tuple) else out, y)
        loss.backward()
        optimizer.step()
    assert loss.isfinite()
    assert all(f.grad is not None for layer in ivi.random_layers(net).values() for f in layer.factors.values())
    with torch.inference_mode():
        draws = ivi.sample_draws(net, 2, generator, head_draws=2)
        logits = ivi.predict(net, x, draws)
        assert logits.shape == (4, 2, 5)
        torch.save(net.state_dict(), tmp_path / "net.pt")
        other = ivi.variationalize(make(name, size), ivi.LowRank(2), example=x)
        other.load_state_dict(torch.load(tmp_path / "net.pt", weights_only=True))
        assert all(torch.equal(one, net.state_dict()[key]) for key, one in other.state_dict().items())
        # Not to the bit: where a tensor lies in memory decides how some kernels sum.
        torch.testing.assert_close(ivi.predict(other, x, draws), logits, rtol=0, atol=1e-5 * float(logits.abs().max()))
        assert not torch.equal(logits[0], logits[1])


def awake(name, size):
    """The model with its shut gates (residual scales of zero, zero-initialized heads) open."""
    torch.manual_seed(0)
    plain = make(name, size).eval()
    with torch.no_grad():
        for parameter in plain.parameters():
            if parameter.abs().max() < 0.01:
                parameter.normal_(0.5, 0.1)
    return plain


def check_against_explicit_weights(name):
    size, plain = CASES[name], awake(name, CASES[name])
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    for layers in ("ends", "all"):
        net = copy.deepcopy(plain)
        try:
            ivi.variationalize(net, ivi.LowRank(2, scale=0.3), layers, example=x[:1])
        except ValueError as reason:  # a layer that no pass uses
            assert layers == "all" and "does not use" in str(reason)
            continue
        for draws in (ivi.seeded_draws(net, 2, 0), ivi.seeded_draws(net, 1, 0, head_draws=2)):
            for together in (1, 2) if draws.head is None else (1,):
                with torch.inference_mode():
                    actual, expected = ivi.predict(net, x, draws, together=together), by_hand(plain, net, x, draws)
                # Rounding grows through deep networks; a layer left out would change the draws' spread.
                # A copy answers, since some networks keep tensors of a pass, which cannot be copied after it.
                with torch.inference_mode():
                    spread = (expected - copy.deepcopy(plain)(x)).abs().max().item()
                assert spread > 0
                torch.testing.assert_close(actual, expected, atol=0.02 * spread, rtol=0)


QUICK = ("resnet10t", "vit_tiny_patch16_224", "swinv2_cr_tiny_ns_224")


@pytest.mark.parametrize("name", QUICK)
def test_predictions_equal_explicit_weights(name):
    check_against_explicit_weights(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CASES if name not in QUICK])
def test_predictions_equal_explicit_weights_in_every_family(name):
    check_against_explicit_weights(name)


@pytest.mark.filterwarnings("ignore:these layers keep shared noise")
def test_antithetic_halves_of_a_network_with_tables_of_positions_see_one_draw_each():
    name = "swinv2_cr_tiny_ns_224"
    plain, x = awake(name, 64), torch.randn(4, 3, 64, 64)
    net = ivi.variationalize(copy.deepcopy(plain), ivi.LowRank(2, scale=0.3), "all", "antithetic", example=x[:1])
    layers = ivi.random_layers(net)
    assert {n for n, layer in layers.items() if layer.noise == "shared"} == {n for n in layers if "meta_mlp" in n}
    for module in net.modules():
        module.training = module is net or isinstance(module, ivi.layers.RandomLayer)
    with torch.no_grad():
        out = net(x)
        for index, half in enumerate((slice(0, 2), slice(2, 4))):
            z = {n: layer.current_draw.z for n, layer in layers.items()}
            draws = ivi.Draws({n: one[None] if one.dim() == 1 else one[index : index + 1] for n, one in z.items()})
            expected = by_hand(plain, net, x[half], draws)[0]
            spread = (expected - plain(x[half])).abs().max().item()
            torch.testing.assert_close(out[half], expected, atol=0.02 * spread, rtol=0)


def test_the_list_is_long_and_wide():
    families = {timm.models.model_entrypoint(name).__module__ for name in CASES}  # a file of timm each
    assert len(CASES) >= 60 and len(families) >= 40


@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224"])
def test_the_example_of_a_timm_model_comes_from_its_configuration(name):
    net = ivi.variationalize(timm.create_model(name, num_classes=5, in_chans=1))
    first, last = ivi.random_layers(net)
    assert first in ("conv1.0", "patch_embed.proj")
    assert last in ("fc", "head")


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "mixer_s32_224"])
def test_a_transformer_made_for_another_size_than_its_weights_had_needs_no_example(name):
    net = ivi.variationalize(timm.create_model(name, num_classes=5, img_size=64))
    assert len(ivi.random_layers(net)) == 2


def test_a_model_that_refuses_the_size_of_its_configuration_wants_an_example():
    net = timm.create_model("vit_tiny_patch16_224", num_classes=5, img_size=32)
    net.patch_embed.img_size = (224, 224)
    with pytest.raises(ValueError, match="pass example="):
        ivi.variationalize(net)
