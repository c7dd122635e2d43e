"""Every cheap form of a random layer equals a loop over explicitly built weights."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

import ivi
from ivi import forms
from ivi.layers import Draw, RandomLayer


class StandardizedConv2d(nn.Conv2d):
    """Not linear in its weights, as in normalizer-free networks."""

    def forward(self, x):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return self._conv_forward(x, weight / weight.std((1, 2, 3), keepdim=True), self.bias)


class CosineLinear(nn.Linear):
    """A head of unit-length rows."""

    def forward(self, x):
        return nn.functional.linear(x, nn.functional.normalize(self.weight, dim=1), self.bias)


LAYERS = {
    "linear": (partial(nn.Linear, 6, 5), (7, 6)),
    "linear without bias": (partial(nn.Linear, 6, 5, bias=False), (7, 6)),
    "linear on tokens": (partial(nn.Linear, 6, 8), (7, 3, 6)),
    "conv1d": (partial(nn.Conv1d, 3, 4, 3, padding=2, dilation=2, padding_mode="circular"), (7, 3, 9)),
    "conv2d": (partial(nn.Conv2d, 2, 5, 3, stride=2, padding=1), (7, 2, 8, 8)),
    "conv2d reflect": (partial(nn.Conv2d, 4, 2, 3, padding=1, padding_mode="reflect", bias=False), (7, 4, 5, 5)),
    "conv2d same replicate": (partial(nn.Conv2d, 2, 3, 3, padding="same", padding_mode="replicate"), (7, 2, 5, 5)),
    "conv2d grouped": (partial(nn.Conv2d, 4, 6, 3, groups=2, dilation=2), (7, 4, 7, 7)),
    "conv2d depthwise": (partial(nn.Conv2d, 4, 8, (3, 1), groups=4), (7, 4, 5, 5)),
    "standardized conv2d": (partial(StandardizedConv2d, 2, 4, 3, padding=1), (7, 2, 5, 5)),
    "cosine linear": (partial(CosineLinear, 6, 5), (7, 6)),
    "conv3d": (partial(nn.Conv3d, 2, 4, 2, padding=1, groups=2), (7, 2, 3, 4, 3)),
}
COVARIANCES = [
    *(ivi.LowRank(3, 1.0), ivi.LowRank(0, 1.0), ivi.Diagonal(1.0), ivi.Diagonal(1.0, log=True), ivi.Full(1.0)),
    ivi.Kronecker(2, 3, 1.0),
]
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


def random_layer(kind, covariance, dtype=torch.float64):
    make, shape = LAYERS[kind]
    torch.manual_seed(0)
    layer = ivi.variationalize(
        make().to(dtype), covariance, layers=[""], example=torch.zeros(1, *shape[1:], dtype=dtype)
    )
    assert isinstance(layer, RandomLayer)
    for factor in layer.factors.values():
        nn.init.normal_(factor, std=0.5)
    return layer, torch.randn(shape, dtype=dtype, requires_grad=True)


def explicit(layer, x, z):
    """The layer under one draw, its weights written out as mu + S z with a dense S."""
    flat = layer.covariance.rows(layer.factors, layer.shape).T @ z
    weight, bias = layer.shape.split(flat)
    plain = {"weight": layer.mean_weight + weight} | ({} if bias is None else {"bias": layer.mean_bias + bias})
    twin = copy.deepcopy(LAYERS[layer.kind_of_test][0]()).to(x.dtype)
    return torch.func.functional_call(twin, plain, (x,))


def assert_same_with_gradients(actual, expected, layer, x):
    tolerance = TOLERANCE[x.dtype]
    scale = max(1.0, expected.detach().abs().max().item())
    torch.testing.assert_close(actual, expected, atol=tolerance * scale, rtol=0)
    probe = torch.linspace(-1, 1, actual.numel(), dtype=x.dtype).reshape(actual.shape).cos()
    inputs = [x, *layer.parameters()]
    for one, other in zip(
        *(torch.autograd.grad((out * probe).sum(), inputs, retain_graph=True) for out in (actual, expected)),
        strict=True,
    ):
        scale = max([1.0, *other.abs().flatten().tolist()])
        torch.testing.assert_close(one, other, atol=tolerance * scale, rtol=0)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("covariance", COVARIANCES, ids=str)
@pytest.mark.parametrize("kind", LAYERS)
def test_every_form_equals_a_loop_over_explicit_weights(kind, covariance, dtype):
    layer, x = random_layer(kind, covariance, dtype)
    layer.kind_of_test = kind
    layer.train()
    layer.sampler.held = True
    num_draws, size = 5, covariance.noise_size(layer.shape)
    z = torch.randn(num_draws, size, dtype=dtype)

    layer.current_draw = Draw(z[0])
    assert_same_with_gradients(layer(x), explicit(layer, x, z[0]), layer, x)

    every = torch.cat([explicit(layer, x, one) for one in z])
    layer.current_draw = Draw(z, "every")
    assert_same_with_gradients(layer(x), every, layer, x)
    if layer.is_plain:
        wide = forms.wide(layer, x, *layer.draw_weights(z)).flatten(0, 1)
        assert_same_with_gradients(wide, every, layer, x)

    own = torch.randn(len(x), size, dtype=dtype)
    per_example = torch.cat([explicit(layer, x[n : n + 1], own[n]) for n in range(len(x))])
    layer.current_draw = Draw(own, "own", len(x))
    assert_same_with_gradients(layer(x), per_example, layer, x)

    halves = torch.cat([explicit(layer, x[:4], z[0]), explicit(layer, x[4:], -z[0])])
    layer.current_draw = Draw(torch.stack([z[0], -z[0]]), "own", len(x))
    assert_same_with_gradients(layer(x), halves, layer, x)

    if layer.is_plain and isinstance(covariance, ivi.LowRank):
        assert_same_with_gradients(forms.basis(layer, x, z).flatten(0, 1), every, layer, x)
        assert_same_with_gradients(forms.mixed(layer, x, own), per_example, layer, x)
        assert_same_with_gradients(forms.stacked(layer, x, own), per_example, layer, x)


def test_kronecker_covariance_is_the_product_of_its_factors():
    # The order of the two indices is where an implementation can go wrong unnoticed: it keeps every shape.
    layer = ivi.variationalize(nn.Linear(4, 3).double(), ivi.Kronecker(5, 3), [""], example=torch.zeros(1, 4).double())
    factors = layer.factors
    left = factors["output_factor"] @ factors["output_factor"].T
    right = torch.cat([factors["weight_factor"], factors["bias_factor"]], 1)
    right = right.T @ right
    rows = layer.covariance.rows(factors, layer.shape)
    covariance = (rows.T @ rows)[:12, :12].reshape(3, 4, 3, 4)
    torch.testing.assert_close(covariance, torch.einsum("op,ij->oipj", left, right[:4, :4]))
    z = torch.randn(100_000, 15, dtype=torch.float64)
    weights = layer.covariance.offset(factors, layer.shape, z)[0]
    torch.testing.assert_close(
        torch.einsum("noi,npj->oipj", weights, weights) / len(z),
        covariance,
        atol=0.05 * covariance.abs().max().item(),
        rtol=0,
    )


@pytest.mark.parametrize("covariance", [c for c in COVARIANCES if c != ivi.LowRank(0, 1.0)], ids=str)
def test_the_initial_marginal_std_is_the_unit(covariance):
    generator = torch.Generator().manual_seed(1)
    layer = ivi.variationalize(nn.Linear(16, 12), covariance, [""], generator=generator, unit="fan_in")
    draws = torch.stack([layer.draw_weights(layer.noise_like(generator))[0] - layer.weight for _ in range(200)])
    resampled = []
    for _ in range(30):
        covariance.initialize_(layer.factors, layer.shape, layer.prior_std, generator)
        resampled.append(layer.covariance.rows(layer.factors, layer.shape).square().sum(0).mean())
    assert abs(torch.stack(resampled).mean().sqrt().item() * 4 - 1) < 0.1
    assert draws.std().item() * 4 < 2


def test_one_covariance_object_serves_many_layers():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    ivi.variationalize(net, ivi.LowRank(2), "all", example=torch.zeros(1, 3))
    first, second = ivi.random_layers(net).values()
    assert not torch.equal(first.factors["weight_factor"], second.factors["weight_factor"])
    assert len({id(p) for p in net.parameters()}) == 8
