"""Learning rates and initialization: complete groups, the published table, equal dynamics under reparametrization."""

import copy
import math

import pytest
import torch
from torch import nn

import ivi
from ivi.covariance import LayerShape

OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("parametrization", [ivi.Standard(), ivi.MaximalUpdate(), ivi.MaximalUpdate(16)], ids=str)
@pytest.mark.parametrize(
    "covariance", [ivi.LowRank(2), ivi.Diagonal(), ivi.Diagonal(log=True), ivi.Full(), ivi.Kronecker(2, 2)], ids=str
)
def test_every_trainable_parameter_is_in_one_group_and_moves(small_net, images, covariance, parametrization, optimizer):
    # Normalization layers too: one implementation builds their groups and throws them away.
    net = ivi.variationalize(small_net(), covariance, example=images())
    net[6].bias.requires_grad_(False)
    net[1].eval()  # with the batch's own mean the biases before it would have no gradient
    groups = ivi.param_groups(net, 1e-3, parametrization, optimizer)
    grouped = [p for group in groups for p in group["params"]]
    assert len(grouped) == len({id(p) for p in grouped})
    assert {id(p) for p in grouped} == {id(p) for p in net.parameters() if p.requires_grad}
    before = {name: p.clone() for name, p in net.named_parameters()}
    step = OPTIMIZERS[optimizer](groups)
    nn.functional.cross_entropy(net(images()), torch.arange(8) % 3).backward()
    step.step()
    unmoved = {name for name, p in net.named_parameters() if torch.equal(p, before[name])}
    assert unmoved == {"6.bias"}


def test_maximal_update_follows_the_published_table():
    shape = LayerShape((64, 3, 3, 3), 64)
    absolute = ivi.MaximalUpdate()
    assert absolute.lr_multipliers("input", shape, "sgd") == (576, 576)
    assert absolute.lr_multipliers("input", shape, "adam") == (1, 1)
    assert absolute.lr_multipliers("hidden", shape, "sgd") == (1, 576)
    assert absolute.lr_multipliers("hidden", shape, "adam") == (1 / 27, 1)
    head = LayerShape((10, 128), 10)
    assert absolute.lr_multipliers("output", head, "sgd") == (1 / 128, 10)
    assert absolute.lr_multipliers("output", head, "adam") == (1 / 128, 1)
    assert absolute.init_std("output", head) == pytest.approx((1 / 128, 1))
    assert absolute.init_std("hidden", head) == pytest.approx((128**-0.5, 1))
    assert ivi.Standard().init_std("output", head) == pytest.approx((128**-0.5, 1))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_at_the_base_width_maximal_update_is_standard(optimizer):
    net = nn.Sequential(nn.Linear(20, 32), nn.LayerNorm(32), nn.Linear(32, 32), nn.Linear(32, 10))
    example = torch.zeros(1, 20)
    for parametrization in (ivi.Standard(), ivi.MaximalUpdate(base_width=32)):
        assert [group["lr"] for group in ivi.param_groups(net, 0.1, parametrization, optimizer, example)] == [0.1]
    stds = [ivi.MaximalUpdate(32).init_std("output", LayerShape((10, 32), 10)), (32**-0.5, 1.0)]
    assert stds[0] == pytest.approx(stds[1])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_factor_rates_are_those_of_the_unscaled_factor(optimizer):
    """A step on S = S'/sqrt(R) at the rate given equals a step on S' at the mean's rate."""
    rank = 5
    net = ivi.variationalize(nn.Linear(6, 4).double(), ivi.LowRank(rank), [""])
    z, x = torch.randn(rank, dtype=torch.float64), torch.randn(3, 6, dtype=torch.float64)
    # Adam's step knows nothing of the size of S, so that its rate must.
    unit = math.sqrt(rank) / (net.covariance.scale if optimizer == "adam" else 1)
    twin = {name: (f * unit).detach().requires_grad_() for name, f in net.factors.items()}
    groups = ivi.param_groups(net, 0.01, optimizer=optimizer)
    options = {"eps": 1e-30} if optimizer == "adam" else {}
    runs = [OPTIMIZERS[optimizer](groups, **options), OPTIMIZERS[optimizer](list(twin.values()), lr=0.01, **options)]
    weight, bias = net.draw_weights(z)
    (x @ weight.T + bias).square().sum().backward()
    scaled = {name: f / unit for name, f in twin.items()}
    drawn, drawn_bias = net.covariance.offset(scaled, net.shape, z)
    (x @ (net.weight.detach() + drawn).T + net.bias.detach() + drawn_bias).square().sum().backward()
    for run in runs:
        run.step()
    for name, factor in net.factors.items():
        torch.testing.assert_close(factor * unit, twin[name], atol=1e-12, rtol=0)


def test_initialize_gives_means_and_factors_the_std_of_their_place():
    net = nn.Sequential(nn.Linear(100, 400), nn.LayerNorm(400), nn.Linear(400, 400), nn.Linear(400, 300))
    ivi.variationalize(net, ivi.LowRank(20, scale=1.0), "all", example=torch.zeros(1, 100))
    norm = copy.deepcopy(net[1].state_dict())
    ivi.initialize_(net, ivi.MaximalUpdate(bias_std=0.5), torch.Generator().manual_seed(0))
    for index, std in ((0, 0.1), (2, 0.05), (3, 1 / 400)):
        layer = net[index]
        assert layer.weight.std().item() == pytest.approx(std, rel=0.05)
        assert layer.bias.std().item() == pytest.approx(0.5, rel=0.15)
        marginal = layer.weight_factor.square().sum(0).mean().sqrt().item()
        assert marginal == pytest.approx(std, rel=0.05)
        assert layer.bias_factor.square().sum(0).mean().sqrt().item() == pytest.approx(0.5, rel=0.15)
    assert all(torch.equal(norm[name], value) for name, value in net[1].state_dict().items())
    again = ivi.initialize_(copy.deepcopy(net), ivi.MaximalUpdate(bias_std=0.5), torch.Generator().manual_seed(0))
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))


def test_unknown_optimizers_and_untraceable_networks_are_refused(small_net):
    with pytest.raises(ValueError, match="optimizer must be"):
        ivi.param_groups(small_net(), 0.1, optimizer="lion")
    with pytest.raises(ValueError, match="pass example="):
        ivi.param_groups(small_net(), 0.1, ivi.MaximalUpdate())


def wide_net(width, parametrization, seed=0):
    """Convolution, hidden and output layer, all random, at initialization."""
    net = nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Flatten(), nn.Linear(width, width), nn.ReLU())
    net.append(nn.Linear(width, 4))
    net = ivi.variationalize(
        net.double(), ivi.LowRank(4, scale=1.0), "all", "shared", example=torch.zeros(1, 3, 3, 3).double()
    )
    return ivi.initialize_(net, parametrization, torch.Generator().manual_seed(seed))


PARAMETRIZATIONS = [
    ivi.Standard(bias_std=0.1),
    ivi.MaximalUpdate(bias_std=0.1),
    ivi.MaximalUpdate(64, bias_std=0.1),
]


@pytest.mark.parametrize("parametrization", PARAMETRIZATIONS, ids=str)
def test_no_output_grows_with_the_width(parametrization):
    """Without 1/sqrt(fan_in) in the std, as one neural-tangent option has it, they grow by 4 a layer here."""
    x = torch.randn(32, 3, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    sizes = {}
    for width in (64, 1024):
        nets = [wide_net(width, parametrization, seed) for seed in range(8)]
        hidden, logits = [], []
        for net in nets:
            net[3].register_forward_hook(lambda module, args, out, hidden=hidden: hidden.append(out.detach()))
            logits.append(ivi.predict(net, x, 8, torch.Generator().manual_seed(1)).detach())
        sizes[width] = torch.stack([torch.cat(part).square().mean().sqrt() for part in (hidden, logits)])
    hidden, logits = (sizes[1024] / sizes[64]).tolist()
    assert 0.75 < hidden < 1.33
    # Under maximal update the output's own std is 1 / fan_in: the logits shrink to the biases.
    assert 0.65 < logits < 1.5 if isinstance(parametrization, ivi.Standard) else logits < 1


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_changes_the_logits_by_as_much_at_any_width_only_under_maximal_update(optimizer):
    x = torch.randn(16, 3, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    growth = {}
    for parametrization in PARAMETRIZATIONS[::2]:
        changes = {}
        for width in (64, 1024):
            moved = []
            for seed in range(4):
                net = wide_net(width, parametrization, seed)
                ivi.set_generator(net, torch.Generator().manual_seed(seed))
                groups = ivi.param_groups(net, 1e-4, parametrization, optimizer)
                run = OPTIMIZERS[optimizer](groups)
                before = net.eval()(x).detach()
                nn.functional.cross_entropy(net.train()(x), torch.arange(16) % 4).backward()
                run.step()
                moved.append((net.eval()(x).detach() - before).square().mean().sqrt())
            changes[width] = torch.stack(moved).mean().item()
        growth[type(parametrization)] = changes[1024] / changes[64]
    assert 0.5 < growth[ivi.MaximalUpdate] < 2
    assert growth[ivi.Standard] > 3
