"""What is noted about a network holds after the network was changed, saved and loaded."""

import copy

import pytest
import torch
from torch import nn

import ivi

COVARIANCES = [ivi.LowRank(3), ivi.Diagonal(0.5, log=True), ivi.Full(), ivi.Kronecker(2, 2)]


@pytest.mark.filterwarnings("ignore:these layers keep shared noise")
@pytest.mark.parametrize("covariance", COVARIANCES, ids=str)
def test_a_saved_network_comes_back_from_one_call(small_net, images, tmp_path, covariance):
    net = ivi.variationalize(small_net(), covariance, "all", "antithetic", example=images())
    net[6].noise = "shared"
    net(images())
    draws, path = ivi.seeded_draws(net, 4, 0), tmp_path / "net.safetensors"
    expected = ivi.predict(net, images(), draws)
    ivi.save(net, path)
    for make in (
        lambda: small_net(5),
        small_net(6),
        ivi.variationalize(small_net(7), covariance, "all", example=images()),
    ):
        other = ivi.load(make, path)
        assert torch.equal(ivi.predict(other, images(), draws), expected)
        assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))
        layers, others = ivi.random_layers(net), ivi.random_layers(other)
        assert [(n, x.noise, x.prior_std) for n, x in layers.items()] == [
            (n, x.noise, x.prior_std) for n, x in others.items()
        ]
        assert not torch.equal(other.train()(images()), other(images()))


def test_what_cannot_be_saved_or_loaded_is_refused_with_a_reason(small_net, images, tmp_path):
    net, path = ivi.variationalize(small_net(), example=images()), tmp_path / "net.safetensors"
    with pytest.raises(ValueError, match="call ivi.variationalize first"):
        ivi.save(small_net(), path)
    ivi.save(net, path)
    with pytest.raises(ValueError, match="pass the plain network"):
        ivi.load(ivi.variationalize(small_net(), ivi.LowRank(2), example=images()), path)
    with pytest.raises(ValueError, match="has no layer named 8"):
        ivi.load(nn.Sequential(nn.Linear(2, 2)), path)
    from safetensors.torch import save_file

    save_file(small_net().state_dict(), path)
    with pytest.raises(ValueError, match="not a file of ivi.save"):
        ivi.load(small_net(), path)


def test_a_plain_checkpoint_loads_after_variationalizing_and_leaves_the_factors(small_net, images):
    plain, net = small_net(1), ivi.variationalize(small_net(2), example=images())
    factors = {name: value.clone() for name, value in net.state_dict().items() if name.endswith("_factor")}
    net.load_state_dict(plain.state_dict())
    assert all(torch.equal(net.state_dict()[name], value) for name, value in (plain.state_dict() | factors).items())
    torch.testing.assert_close(net.eval()(images()), plain.eval()(images()), rtol=0, atol=0)
    half = net.state_dict()
    del half["0.weight_factor"]
    with pytest.raises(RuntimeError, match="0.weight_factor"):
        net.load_state_dict(half)
    with pytest.raises(RuntimeError, match="8.weight"):
        net.load_state_dict({name: value for name, value in plain.state_dict().items() if name != "8.weight"})


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_learning_rates_follow_a_head_that_was_replaced(optimizer):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.hidden, self.head = nn.Linear(4, 16), nn.Linear(16, 16), nn.Linear(16, 10)

        def forward(self, x):
            return self.head(self.hidden(self.first(x).relu()).relu())

    def rates(net):
        groups = ivi.param_groups(net, 0.1, ivi.MaximalUpdate(8), optimizer)
        rate = {id(p): group["lr"] for group in groups for p in group["params"]}
        return {name: rate[id(p)] for name, p in net.named_parameters() if not name.endswith("factor")}

    net = ivi.variationalize(Net(), example=torch.zeros(1, 4))
    before = rates(net)
    net.head = nn.Linear(16, 10)
    assert rates(net) == before
    assert ivi.predict(net, torch.zeros(2, 4), ivi.sample_draws(net, 2, head_draws=2)).shape == (4, 2, 10)
    assert rates(copy.deepcopy(net).double()) == before


def test_the_own_std_of_a_layer_decides_its_noise():
    generator = torch.Generator().manual_seed(0)
    for std in (0.02, 0.7):
        layer = nn.Linear(200, 300)
        nn.init.normal_(layer.weight, mean=3.0, std=std)
        nn.init.zeros_(layer.bias)
        weight = layer.weight.clone()
        net = ivi.variationalize(layer, ivi.LowRank(20, scale=0.3), [""], generator=generator)
        for factor in net.factors.values():
            assert factor.square().sum(0).mean().sqrt().item() == pytest.approx(0.3 * std, rel=0.08)
        assert torch.equal(net.weight, weight)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_layer_of_constant_weights_gets_the_std_of_the_default_initialization(value):
    for dtype in (torch.float32, torch.bfloat16):
        layer = nn.Linear(200, 300).to(dtype)
        nn.init.constant_(layer.weight, value)
        net = ivi.variationalize(layer, ivi.Diagonal(1.0), [""])
        assert (net.weight_factor == net.weight_factor[0, 0]).all()
        assert net.weight_factor[0, 0].item() == pytest.approx(600**-0.5, rel=0.01)


def test_published_gives_mean_and_noise_one_std():
    layer = nn.Linear(100, 400)
    net = ivi.variationalize(layer, ivi.LowRank(20, scale=1.0), [""], unit="published")
    assert net.weight.std().item() == pytest.approx(0.1, rel=0.05)
    assert net.bias.std().item() == pytest.approx(1, rel=0.15)
    assert net.weight_factor.square().sum(0).mean().sqrt().item() == pytest.approx(0.1, rel=0.05)
    assert net.bias_factor.square().sum(0).mean().sqrt().item() == pytest.approx(1, rel=0.15)
    with pytest.raises(ValueError, match="unit must be one of"):
        ivi.variationalize(nn.Linear(2, 2), layers=[""], unit="std")


def test_weight_decay_leaves_the_factors_alone_unless_told_otherwise(small_net, images):
    net = ivi.variationalize(small_net(), ivi.Diagonal(1.0), "all", example=images())
    for decay in (0.0, 0.5):
        groups = ivi.param_groups(net, 0.1)
        for group in groups:
            if decay and group["kind"] == "covariance":
                group["weight_decay"] = decay
        optimizer = torch.optim.SGD(groups, lr=0.1, weight_decay=0.5)
        before = {name: p.clone() for name, p in net.named_parameters()}
        for p in net.parameters():
            p.grad = torch.zeros_like(p)
        optimizer.step()
        for name, p in net.named_parameters():
            still = name.endswith("_factor") and not decay
            assert torch.equal(p, before[name]) == (still or not before[name].any())


def test_statistics_of_batch_normalization_are_those_of_the_weights_asked_for(small_net, images):
    net = ivi.variationalize(small_net(), ivi.LowRank(3, scale=1.0), example=images())
    parts, draws = images(40).split(10), ivi.seeded_draws(net, 2, 0)
    for given in (None, draws):
        ivi.update_bn(net.train(), [(part, 0) for part in parts], given)
        layer, hidden = ivi.random_layers(net)["0"], []
        for index, part in enumerate(parts):
            z = None if given is None else given.part("0", layer, index % 2, index % 2 + 1)[0]
            weights = (layer.weight, layer.bias) if z is None else layer.draw_weights(z)
            hidden.append(nn.functional.conv2d(part, *weights, padding=1))
        torch.testing.assert_close(net[1].running_mean, torch.stack([h.mean((0, 2, 3)) for h in hidden]).mean(0))
        variances = torch.stack([h.transpose(0, 1).flatten(1).var(1) for h in hidden])
        torch.testing.assert_close(net[1].running_var, variances.mean(0))
        assert net.training and net[1].momentum == 0.1
    with pytest.raises(ValueError, match="no batches"):
        ivi.update_bn(net, [])
    with pytest.raises(ValueError, match="no batch normalization"):
        ivi.update_bn(ivi.variationalize(nn.Linear(2, 2), layers=[""]), [])
