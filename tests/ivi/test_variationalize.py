"""What variationalizing changes in a network, what it leaves, and what it refuses."""

import copy

import pytest
import torch
from torch import nn

import ivi


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_mean_keeps_names_and_values_and_checkpoints_load_before_or_after(small_net, images):
    plain = small_net(1)
    before = ivi.variationalize(copy.deepcopy(plain), example=images(), generator=generator())
    assert set(plain.state_dict()) < set(before.state_dict())
    assert all(torch.equal(before.state_dict()[name], value) for name, value in plain.state_dict().items())
    after = ivi.variationalize(small_net(2), example=images(), generator=generator())
    after.load_state_dict(plain.state_dict())
    before.eval(), after.eval()
    torch.testing.assert_close(before(images()), after(images()), rtol=0, atol=0)


def test_batch_normalization_stays_and_uses_the_statistics_of_a_checkpoint(small_net, images):
    # One implementation refuses it and reads its pretrained scales into a group normalization.
    pretrained = small_net(1)
    for _ in range(3):
        pretrained(3 * images() + 1)
    net = ivi.variationalize(small_net(2), example=images())
    net.load_state_dict(pretrained.state_dict(), strict=False)
    assert type(net[1]) is nn.BatchNorm2d
    torch.testing.assert_close(net.eval()(images()), pretrained.eval()(images()), rtol=0, atol=0)
    groups = small_net(3)
    groups[1] = nn.GroupNorm(2, 4).double()
    net = ivi.variationalize(groups, example=images())
    with pytest.raises(RuntimeError, match="running_mean"):
        net.load_state_dict(net.state_dict() | pretrained.state_dict())


def test_ends_are_found_by_tracing_not_by_name_or_order_of_registration():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.a_last, self.hidden, self.z_first = nn.Linear(4, 2), nn.Linear(4, 4), nn.Linear(3, 4)

        def forward(self, x):
            return self.a_last(self.hidden(self.z_first(x)).relu())

    example = torch.zeros(1, 3)
    assert set(ivi.random_layers(ivi.variationalize(Backwards(), example=example))) == {"z_first", "a_last"}
    assert list(ivi.random_layers(ivi.variationalize(Backwards(), layers="last", example=example))) == ["a_last"]
    assert len(ivi.random_layers(ivi.variationalize(Backwards(), layers="all", example=example))) == 3
    assert list(ivi.random_layers(ivi.variationalize(Backwards(), layers=["hidden"]))) == ["hidden"]
    chosen = ivi.variationalize(Backwards(), layers=lambda name, module: module.in_features == 3)
    assert list(ivi.random_layers(chosen)) == ["z_first"]


def test_tracing_changes_neither_modes_nor_running_statistics(small_net, images):
    net = small_net().train()
    net[1].eval()
    statistics = net[1].running_mean.clone()
    ivi.variationalize(net, example=images())
    assert net.training and net[0].training and not net[1].training
    assert torch.equal(net[1].running_mean, statistics)


def test_evaluation_uses_the_mean_and_repeats_exactly_while_training_draws(small_net, images):
    plain = small_net().eval()
    net = ivi.variationalize(copy.deepcopy(plain), example=images(), generator=generator()).eval()
    assert torch.equal(net(images()), plain(images()))
    net.train()
    net[5].eval()
    assert not torch.equal(net(images()), net(images()))
    with ivi.mean_only(net):
        assert torch.equal(net(images()), net(images()))
    assert not torch.equal(net(images()), net(images()))


def test_a_generator_alone_decides_the_noise(small_net, images):
    nets = [ivi.variationalize(small_net(), example=images(), generator=generator(3)) for _ in range(2)]
    for net in nets:
        net[5].eval()
    torch.manual_seed(1)
    first = nets[0](images())
    torch.manual_seed(2)
    assert torch.equal(first, nets[1](images()))
    ivi.set_generator(nets[0], generator(5))
    again = nets[0](images())
    ivi.set_generator(nets[0], generator(5))
    # Batch normalization's running statistics move, but in training mode they are not used.
    assert torch.equal(again, nets[0](images()))


def test_a_copy_is_independent(small_net, images):
    net = ivi.variationalize(small_net(), example=images(), generator=generator())
    other = copy.deepcopy(net)
    other(images())
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    other.eval()
    assert not torch.equal(net.eval()(images()), other(images()))
    assert ivi.random_layers(other)["0"].sampler is ivi.random_layers(other)["8"].sampler
    assert ivi.random_layers(other)["0"].sampler is not ivi.random_layers(net)["0"].sampler


def test_frozen_means_stay_frozen(small_net, images):
    net = small_net().requires_grad_(False)
    ivi.variationalize(net, layers="last", example=images())
    assert {name for name, p in net.named_parameters() if p.requires_grad} == {"8.weight_factor", "8.bias_factor"}


def test_unused_layers_are_refused(small_net, images):
    net = small_net()
    net.add_module("spare", nn.Identity())
    net.spare.auxiliary = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="spare.auxiliary is not used"):
        ivi.variationalize(net, layers=["spare.auxiliary"], example=images())
    with pytest.raises(ValueError, match="spare.auxiliary"):
        ivi.variationalize(net, layers="all", example=images())


def test_tied_layers_are_refused():
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    net[2].weight = net[0].weight
    with pytest.raises(ValueError, match="0.weight and 2.weight|tied"):
        ivi.variationalize(net, example=torch.zeros(1, 3))


def test_a_layer_called_twice_keeps_one_draw_within_a_pass():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.again, self.last = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x):
            x = self.first(x)
            return self.last(self.again(self.again(x)))

    example = torch.zeros(1, 3).double()
    net = ivi.variationalize(Twice().double(), layers="all", noise="shared", example=example, generator=generator())
    x = torch.randn(5, 3, dtype=torch.float64)
    out = net(x)
    by_hand = x
    for name in ("first", "again", "again", "last"):
        layer = getattr(net, name)
        weight, bias = layer.draw_weights(layer.current_draw.z)
        by_hand = nn.functional.linear(by_hand, weight, bias)
    torch.testing.assert_close(out, by_hand)
    draws = ivi.sample_draws(net, 4, generator())
    assert ivi.predict(net, x, draws).shape == (4, 5, 2)


@pytest.mark.parametrize(
    ("make", "layers", "reason"),
    [
        (lambda: nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3)), ["0"], "BatchNorm1d: only"),
        (lambda: nn.Sequential(nn.ConvTranspose1d(3, 3, 1)), ["0"], "ConvTranspose1d: only"),
        (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)), [""], "parametrization"),
        (lambda: nn.Sequential(nn.LazyLinear(3)), ["0"], "lazy"),
        (lambda: nn.Sequential(nn.Linear(3, 3)), ["head"], "no layer named head"),
        (lambda: nn.Sequential(nn.Linear(3, 3)), "first", "must be 'ends'"),
        (lambda: nn.Sequential(nn.Linear(3, 3)), [], "no layer was chosen"),
        (lambda: nn.Sequential(nn.Tanh()), "ends", "calls no Linear"),
    ],
)
def test_what_cannot_be_handled_is_refused_with_a_reason(make, layers, reason):
    example = torch.zeros(2, 3) if isinstance(layers, str) else None
    with pytest.raises(ValueError, match=reason):
        ivi.variationalize(make(), layers=layers, example=example)


def test_misuse_is_refused_with_a_reason(small_net, images):
    with pytest.raises(ValueError, match="pass example="):
        ivi.variationalize(small_net())
    with pytest.raises(ValueError, match="variational already"):
        ivi.variationalize(ivi.variationalize(small_net(), example=images()), example=images())
    with pytest.raises(ValueError, match="noise must be"):
        ivi.variationalize(small_net(), noise="none", example=images())
    with pytest.raises(ValueError, match="call ivi.variationalize first"):
        ivi.predict(small_net(), images())
    with pytest.raises(ValueError, match="layers must be 'ends'"):
        ivi.variationalize(small_net(), layers="lasts", example=images())
    with pytest.raises(TypeError, match="draws must be a whole number"):
        ivi.predict(ivi.variationalize(small_net(), example=images()), images(), 2.5)


@pytest.mark.parametrize("rank", [-1, 2.0, float("nan"), "3"])
def test_what_is_no_rank_is_refused(rank):
    for make in (ivi.LowRank, lambda rank: ivi.Kronecker(2, rank), lambda rank: ivi.Kronecker(rank, 2)):
        with pytest.raises(ValueError, match="rank must be a whole number of at least"):
            make(rank)


@pytest.mark.parametrize("scale", [-0.1, float("nan"), float("inf")])
def test_what_is_no_size_of_a_noise_is_refused(scale):
    for make in (
        lambda scale: ivi.LowRank(2, scale),
        lambda scale: ivi.Kronecker(2, 2, scale),
        ivi.Full,
        ivi.Diagonal,
        lambda scale: ivi.Diagonal(scale, log=True),
    ):
        with pytest.raises(ValueError, match="scale must be a number of at least 0"):
            make(scale)
    with pytest.raises(ValueError, match="more than 0"):
        ivi.Diagonal(0.0, log=True)


def test_the_default_noise_is_antithetic_where_rows_are_examples_and_shared_elsewhere():
    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.table, self.last = nn.Linear(3, 4), nn.Linear(2, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.last(self.first(x) + self.table(torch.eye(2)).mean(0))

    net = ivi.variationalize(Positions(), layers="all", example=torch.zeros(1, 3))
    assert {name: layer.noise for name, layer in ivi.random_layers(net).items()} == {
        "first": "antithetic",
        "table": "shared",
        "last": "antithetic",
    }
    untraced = ivi.variationalize(Positions(), layers=["first"])
    assert untraced.first.noise == "shared"


def test_the_papers_form_is_one_word(small_net, images):
    net = ivi.variationalize(small_net(), example=images(), **ivi.PUBLISHED)
    for layer in ivi.random_layers(net).values():
        assert layer.noise == "shared" and layer.covariance == ivi.LowRank(10, scale=1.0)
    assert layer.weight.std().item() == pytest.approx(layer.shape.fan_in**-0.5, rel=0.4)  # the mean, drawn anew


def test_a_rank_above_the_number_of_parameters_is_cut_to_it():
    net = ivi.variationalize(nn.Linear(2, 1), ivi.LowRank(50), [""])
    assert net.weight_factor.shape == (3, 2)
