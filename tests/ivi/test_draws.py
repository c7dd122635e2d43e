"""Training noise and predictions: exact, unbiased, repeatable, in every number format."""

import copy
import math

import pytest
import torch
from torch import nn

import ivi
from ivi.predict import Draws

COVARIANCES = [ivi.LowRank(3), ivi.LowRank(0), ivi.Diagonal(), ivi.Full(), ivi.Kronecker(2, 2)]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def logits_by_hand(net, x, draws):
    """Each draw's weights written into a plain network of the same shape, one pass each."""
    layers = ivi.random_layers(net)
    outputs = []
    for index in range(len(draws)):
        state = {name: value for name, value in net.state_dict().items() if not name.endswith("_factor")}
        for name, layer in layers.items():
            z = draws.noise[name]
            one = z[index] if len(z) == len(draws) else z[index // draws.head_draws]
            weight, bias = layer.shape.split(layer.covariance.rows(layer.factors, layer.shape).T @ one.to(z.dtype))
            state[f"{name}.weight"] = layer.weight + weight
            if bias is not None:
                state[f"{name}.bias"] = layer.bias + bias
        outputs.append(torch.func.functional_call(net.plain_twin, state, (x,)))
    return torch.stack(outputs)


@pytest.fixture
def make_net(small_net, images):
    def make(**arguments):
        plain = small_net()
        plain(images())  # running statistics that differ from 0 and 1
        net = ivi.variationalize(copy.deepcopy(plain), example=images(), generator=generator(), **arguments)
        # A plain attribute, not a submodule: not part of the network.
        net.__dict__["plain_twin"] = plain.eval()
        return net

    return make


@pytest.mark.parametrize("layers", ["ends", "last", "all", ["6"]], ids=str)
@pytest.mark.parametrize("covariance", COVARIANCES, ids=str)
def test_predictions_equal_a_loop_over_explicit_weights(make_net, images, covariance, layers):
    net = make_net(covariance=covariance, layers=layers)
    for head_draws in (1, 3):
        draws = ivi.sample_draws(net, 30, generator(1), head_draws=head_draws)
        actual, expected = ivi.predict(net, images(), draws), logits_by_hand(net, images(), draws)
        assert actual.shape == (30 * head_draws, 8, 3)
        torch.testing.assert_close(actual, expected, atol=1e-10, rtol=0)
        parameters = [p for layer in ivi.random_layers(net).values() for p in layer.parameters()]
        probe = torch.randn_like(expected)
        by_hand = torch.autograd.grad((expected * probe).sum(), parameters)
        for one, other in zip(torch.autograd.grad((actual * probe).sum(), parameters), by_hand, strict=True):
            size = max([1.0, *other.abs().flatten().tolist()])
            torch.testing.assert_close(one, other, atol=1e-10 * size, rtol=0)


@pytest.mark.parametrize("layers", ["ends", "last", "all", ["6"]], ids=str)
@pytest.mark.parametrize("covariance", COVARIANCES, ids=str)
def test_draws_that_share_a_pass_change_nothing(make_net, images, covariance, layers):
    net = make_net(covariance=covariance, layers=layers)
    passes = []
    net[0].register_forward_hook(lambda module, args, out: passes.append(args[0].shape[0]))
    draws = ivi.sample_draws(net, 7, generator(1))
    expected = ivi.predict(net, images(), draws)
    ivi.predict(net, images(), draws, together=3)
    passes.clear()  # the first time also tries whether the batch may grow
    torch.testing.assert_close(ivi.predict(net, images(), draws, together=3), expected, atol=1e-12, rtol=0)
    assert len(passes) == (1 if layers in ("last", ["6"]) else 3)


def test_fixed_draws_give_every_image_the_same_logits_in_any_batch(make_net, images):
    net, x = make_net(), images()
    for draws in (ivi.sample_draws(net, 4, generator(1)), ivi.sample_draws(net, 2, generator(1), head_draws=3)):
        whole = ivi.predict(net, x, draws)
        torch.testing.assert_close(ivi.predict(net, x[:1], draws), whole[:, :1], atol=1e-12, rtol=0)
        backwards = torch.cat([ivi.predict(net, part, draws) for part in x.flip(0).split(3)], 1).flip(1)
        torch.testing.assert_close(backwards, whole, atol=1e-12, rtol=0)


def test_a_last_layer_posterior_runs_the_rest_once(make_net, images):
    net = make_net(layers="last")
    passes = []
    net[0].register_forward_pre_hook(lambda module, args: passes.append(args[0].shape[0]))
    ivi.predict(net, images(), 50)
    passes.clear()  # the first prediction also tries whether the batch may grow at the head
    assert ivi.predict(net, images(), 50).shape == (50, 8, 3)
    assert passes == [8]


def test_a_network_that_cannot_grow_its_batch_is_predicted_pass_by_pass():
    class Bypass(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            x = self.first(x)
            return x + self.last(x)

    plain = Bypass().double()
    net = ivi.variationalize(copy.deepcopy(plain), layers="last", example=torch.zeros(1, 4).double())
    net.__dict__["plain_twin"] = plain
    for batch in (1, 5):
        x = torch.randn(batch, 4, dtype=torch.float64)
        draws = ivi.sample_draws(net, 6, generator())
        torch.testing.assert_close(ivi.predict(net, x, draws), logits_by_hand(net, x, draws), atol=1e-12, rtol=0)
        both = ivi.variationalize(copy.deepcopy(plain), layers="all", example=x)
        both.__dict__["plain_twin"] = plain
        draws = ivi.sample_draws(both, 6, generator())
        expected = logits_by_hand(both, x, draws)
        torch.testing.assert_close(ivi.predict(both, x, draws, together=4), expected, atol=1e-12, rtol=0)


def test_predicting_restores_modes_draws_and_statistics(make_net, images):
    net = make_net().train()
    net[1].eval()
    before = copy.deepcopy(net.state_dict())
    ivi.predict(net, images(), 2, generator(), head_draws=2)
    assert net.training and net[5].training and not net[1].training
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert not torch.equal(net(images()), net(images()))


def test_temperature_divides_mean_and_noise_alike(make_net, images):
    # Dividing only the mean's part, as one implementation does, leaves logits mu/T + S z.
    net = make_net()
    draws = ivi.sample_draws(net, 5, generator())
    logits = ivi.predict(net, images(), draws)
    torch.testing.assert_close(ivi.predict(net, images(), draws, temperature=2.5), logits / 2.5, rtol=1e-14, atol=0)


def test_draws_of_another_network_are_refused(make_net, images):
    with pytest.raises(ValueError, match="draws are of the layers"):
        ivi.predict(make_net(), images(), Draws({"fc": torch.zeros(3, 2)}))
    with pytest.raises(ValueError, match="at least 1"):
        ivi.predict(make_net(), images(), 0)


def silent(net):
    """Training mode without what else is random or mixes examples."""
    net.train()
    net[1].eval()
    net[5].eval()
    return net


@pytest.mark.parametrize("num_examples", [7, 8])
def test_antithetic_halves_see_opposite_noise(make_net, images, num_examples):
    net, x = silent(make_net(noise="antithetic")), images(num_examples)
    out = net(x)
    half = (num_examples + 1) // 2
    z = {name: layer.current_draw.z[0] for name, layer in ivi.random_layers(net).items()}
    plus, minus = (Draws({name: sign * value[None] for name, value in z.items()}) for sign in (1, -1))
    expected = torch.cat([logits_by_hand(net, x[:half], plus)[0], logits_by_hand(net, x[half:], minus)[0]])
    torch.testing.assert_close(out, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("covariance", COVARIANCES, ids=str)
def test_per_example_noise_gives_each_its_own_weights(make_net, images, covariance):
    net, x = silent(make_net(noise="per_example", covariance=covariance, layers="all")), images()
    out = net(x)
    noise = {name: layer.current_draw.z for name, layer in ivi.random_layers(net).items()}
    # A layer of rank 0 is one point, not one for each example.
    draws = Draws({name: z.expand(8, -1) for name, z in noise.items()})
    every = logits_by_hand(net, x, draws)
    torch.testing.assert_close(out, every[range(8), range(8)], atol=1e-12, rtol=0)


def gradient_samples(net, x, y, num):
    parameters = [p for p in net.parameters() if p.requires_grad]
    samples = []
    for _ in range(num):
        loss = nn.functional.cross_entropy(net(x), y)
        samples.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)]))
    return torch.stack(samples)


def test_every_noise_is_unbiased_and_shared_noise_varies_most(make_net, images):
    x, y = images(), torch.arange(8) % 3
    samples = {}
    for noise in ("shared", "antithetic", "per_example"):
        net = silent(make_net(noise=noise, covariance=ivi.LowRank(10, scale=1.0), unit="fan_in"))
        samples[noise] = gradient_samples(net, x, y, 1000)
    exact = torch.cat([s.mean(0, keepdim=True) for s in samples.values()]).mean(0)
    for noise in samples:
        spread = samples[noise].std(0) / math.sqrt(1000)
        moving = spread > 1e-12
        assert ((samples[noise].mean(0) - exact)[moving] / spread[moving]).abs().max() < 5.5
    every = {noise: values.var(0).sum().item() for noise, values in samples.items()}
    named = [(name, p.numel()) for name, p in make_net().named_parameters()]
    start = sum(size for _, size in named[: [name for name, _ in named].index("8.weight")])
    head = {noise: values[:, start : start + 18].var(0).sum().item() for noise, values in samples.items()}
    for noise in ("antithetic", "per_example"):
        assert every[noise] < every["shared"]
        assert head[noise] < 0.4 * head["shared"]


def test_a_layer_called_by_itself_draws_for_itself(make_net, images):
    net = silent(make_net())
    net(images())
    hidden = torch.randn(4, 5, dtype=torch.float64)
    assert not torch.equal(net[8](hidden), net[8](hidden))


def test_a_layer_called_by_itself_in_evaluation_mode_uses_its_mean(make_net, images):
    net = silent(make_net())
    net(images())  # leaves a draw behind
    net.eval()
    hidden = torch.randn(4, 5, dtype=torch.float64)
    assert torch.equal(net[8](hidden), nn.functional.linear(hidden, net[8].weight, net[8].bias))


def test_gradient_checkpointing_sees_the_same_draw_twice(small_net, images):
    from torch.utils.checkpoint import checkpoint

    class Checkpointed(nn.Module):
        def __init__(self, body, reentrant):
            super().__init__()
            self.body, self.reentrant = body, reentrant

        def forward(self, x):
            return checkpoint(self.body, x, use_reentrant=self.reentrant)

    gradients = []
    for wrap in (lambda b: b, lambda b: Checkpointed(b, False), lambda b: Checkpointed(b, True)):
        body = small_net()
        net = wrap(body)
        ivi.variationalize(net, layers="all", example=images().requires_grad_(), generator=generator())
        body[5].eval()
        net(images().requires_grad_()).square().sum().backward()
        gradients.append([p.grad for p in body.parameters()])
    for other in gradients[1:]:
        for one, two in zip(gradients[0], other, strict=True):
            torch.testing.assert_close(one, two, atol=1e-12, rtol=0)


@pytest.mark.parametrize("noise", ["shared", "antithetic", "per_example"])
def test_autocast_and_bfloat16_follow_single_precision(lenet, noise):
    x = torch.randn(16, 1, 28, 28)
    reference = ivi.variationalize(lenet(), noise=noise, example=x, generator=generator())
    half = copy.deepcopy(reference).bfloat16()
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    ivi.set_generator(reference, generator(4))
    expected = reference(x)
    ivi.set_generator(reference, generator(4))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = reference(x)
    ivi.set_generator(half, generator(4))
    low = half(x.bfloat16())
    assert mixed.dtype == low.dtype == torch.bfloat16
    scale = expected.abs().max().item()
    torch.testing.assert_close(mixed.float(), expected, atol=0.03 * scale, rtol=0)
    torch.testing.assert_close(low.float(), expected, atol=0.03 * scale, rtol=0)
    mixed.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in reference.parameters())
    draws = ivi.sample_draws(reference, 12, generator(5), head_draws=2)
    logits = ivi.predict(reference, x, draws)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(ivi.predict(reference, x, draws).float(), logits, atol=0.05 * scale, rtol=0)
    torch.testing.assert_close(ivi.predict(half, x.bfloat16(), draws).float(), logits, atol=0.05 * scale, rtol=0)


def test_autocast_does_not_round_the_drawn_weights(lenet):
    net = ivi.variationalize(lenet(), example=torch.zeros(1, 1, 28, 28), generator=generator())
    for layer in ivi.random_layers(net).values():
        z = layer.noise_like(None)
        expected = layer.draw_weights(z)
        with torch.autocast("cpu", torch.bfloat16):
            actual = layer.draw_weights(z)
        assert all(torch.equal(one, other) for one, other in zip(actual, expected, strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("noise", ["shared", "antithetic", "per_example"])
def test_a_gpu_agrees_with_the_cpu_on_the_noise_of_a_cpu_generator(make_net, images, noise):
    net = silent(make_net(noise=noise))
    other = copy.deepcopy(net).cuda()
    for one in (net, other):
        ivi.set_generator(one, generator(2))
    torch.testing.assert_close(other(images().cuda()).cpu(), net(images()), atol=1e-9, rtol=0)
    for head_draws in (1, 20):
        logits = [
            ivi.predict(one, x, 3, generator(3), head_draws=head_draws).cpu()
            for one, x in ((net, images()), (other, images().cuda()))
        ]
        torch.testing.assert_close(*logits, atol=1e-9, rtol=0)


def test_channels_last_changes_nothing(lenet):
    x = torch.randn(8, 1, 28, 28)
    for covariance in (ivi.LowRank(4), ivi.Diagonal(), ivi.Kronecker(2, 2)):
        net = ivi.variationalize(lenet(), covariance, layers="all", example=x, generator=generator())
        other = copy.deepcopy(net).to(memory_format=torch.channels_last)
        expected, actual = net(x), other(x.to(memory_format=torch.channels_last))
        torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("noise", ["shared", "antithetic"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_random_convolution_keeps_its_network_in_channels_last(noise, channels):
    x = torch.randn(6, channels, 8, 8)  # as the harness gives it: only the network is in channels_last
    layer = nn.Sequential(nn.Conv2d(channels, 4, 3)).to(memory_format=torch.channels_last)
    assert layer(x).is_contiguous(memory_format=torch.channels_last)
    net = ivi.variationalize(layer, layers="all", noise=noise, example=x)
    seen = []
    net[0].register_forward_hook(lambda module, inputs, output: seen.append(output))
    net(x)
    ivi.predict(net, x, 3)
    assert len(seen) >= 4 and all(one.is_contiguous(memory_format=torch.channels_last) for one in seen)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # inside torch.compile
@pytest.mark.parametrize("noise", ["shared", "antithetic", "per_example"])
def test_a_compiled_network_with_a_generator_agrees_with_eager(lenet, noise):
    torch._dynamo.reset()
    x = torch.randn(8, 1, 28, 28)
    net = ivi.variationalize(lenet(), noise=noise, example=x, generator=generator())
    compiled = torch.compile(copy.deepcopy(net), backend="aot_eager")
    for _ in range(3):
        expected, actual = net(x), compiled(x)
        torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)
    expected.sum().backward()
    actual.sum().backward()
    for one, other in zip(net.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(other.grad, one.grad, atol=1e-3, rtol=1e-4)
    compiled.eval()
    torch.testing.assert_close(compiled(x), net.eval()(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("noise", ["shared", "antithetic", "per_example"])
def test_without_a_generator_a_pass_compiles_to_one_graph_that_draws_anew(lenet, noise):
    torch._dynamo.reset()
    x = torch.randn(8, 1, 28, 28)
    net = ivi.variationalize(lenet(), noise=noise, example=x)
    compiled = torch.compile(net, backend="aot_eager", fullgraph=True)
    outputs = [compiled(x) for _ in range(3)]
    assert not torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[1], outputs[2])
    outputs[2].sum().backward()
    assert all(p.grad is not None for p in net.parameters())
