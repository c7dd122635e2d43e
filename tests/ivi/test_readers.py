"""What a network does beyond calling its layers: fused kernels, foreign readers, rows that are no examples."""

import copy

import pytest
import torch
from explicit import by_hand
from torch import nn

import ivi
from ivi.draws import Draws
from ivi.trace import rows_of_examples, trace

D = 8


class Encoder(nn.Module):
    """Two of torch's encoder layers between two linear ones: [batch, time, 3] -> [batch, 2]."""

    def __init__(self, batch_first=True):
        super().__init__()
        layer = nn.TransformerEncoderLayer(D, 2, 16, dropout=0.1, batch_first=batch_first)
        self.embed, self.encoder = nn.Linear(3, D), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head, self.batch_first = nn.Linear(D, 2), batch_first

    def forward(self, x):
        x = self.embed(x if self.batch_first else x.transpose(0, 1))
        return self.head(self.encoder(x).mean(1 if self.batch_first else 0))


class Attention(nn.Module):
    """Attention whose output projection is read, never called."""

    def __init__(self):
        super().__init__()
        self.embed, self.attend = nn.Linear(3, D), nn.MultiheadAttention(D, 2, batch_first=True)
        self.head = nn.Linear(D, 2)

    def forward(self, x):
        x = self.embed(x)
        return self.head(self.attend(x, x, x, need_weights=False)[0].mean(1))


class CalledAndRead(nn.Module):
    """A layer that is called and whose weight is read too, after its number format was asked for."""

    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(3, D), nn.Linear(D, 2)

    def forward(self, x):
        h = self.first(x.mean(1).to(self.first.weight.dtype))
        return self.head(h.relu()) + (h @ self.first.weight)[:, :2]


class Positions(nn.Module):
    """A table of positions goes through a layer of its own, in front of a gate that starts shut."""

    def __init__(self):
        super().__init__()
        self.first, self.table, self.head = nn.Linear(3, D), nn.Linear(1, D), nn.Linear(D, 2)
        self.gate = nn.Parameter(torch.zeros(D))
        self.register_buffer("grid", torch.linspace(-1, 1, 6).reshape(6, 1))

    def forward(self, x):
        bias = self.table(self.grid)
        return self.head((self.first(x) + self.gate * bias[: x.shape[1]]).tanh().mean(1))


class Windows(nn.Module):
    """The batch cut into windows, window before example: [windows batch, ...]."""

    def __init__(self, example_first):
        super().__init__()
        self.first, self.inner, self.head = nn.Linear(3, D), nn.Linear(D, D), nn.Linear(D, 2)
        self.example_first = example_first

    def forward(self, x):
        batch, time = x.shape[:2]
        windows = self.first(x).reshape(batch, time // 2, 2, D)
        windows = windows if self.example_first else windows.transpose(0, 1)
        inner = self.inner(windows.flatten(0, 1)).tanh().unflatten(0, windows.shape[:2])
        return self.head((inner if self.example_first else inner.transpose(0, 1)).flatten(1, 2).mean(1))


class Tokens(nn.Module):
    """Indices go in, and the rows of one layer are times, not examples."""

    def __init__(self):
        super().__init__()
        self.embed, self.inner, self.head = nn.Embedding(9, D), nn.Linear(D, D), nn.Linear(D, 2)

    def forward(self, tokens):
        return self.head(self.inner(self.embed(tokens).transpose(0, 1)).tanh().mean(0))


NETS = {
    "encoder": Encoder,
    "encoder, time first": lambda: Encoder(False),
    "attention": Attention,
    "called and read": CalledAndRead,
    "positions": Positions,
    "windows, example first": lambda: Windows(True),
    "windows first": lambda: Windows(False),
}
X = torch.randn(6, 6, 3, generator=torch.Generator().manual_seed(1))


def make(name, **arguments):
    torch.manual_seed(0)
    plain = NETS[name]()
    net = copy.deepcopy(plain)
    return plain, ivi.variationalize(net, ivi.LowRank(2, scale=1.0), example=X[:1], **arguments)


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("layers", ["all", "ends", "last"])
@pytest.mark.parametrize("name", NETS)
def test_predictions_equal_explicit_weights_whoever_reads_them(name, layers, mode):
    plain, net = make(name, layers=layers)
    for draws in (ivi.seeded_draws(net, 4, 0), ivi.sample_draws(net, 2, head_draws=3)):
        for together in (1, 3):
            with mode():
                actual, expected = ivi.predict(net, X, draws, together=together), by_hand(plain, net, X, draws)
            torch.testing.assert_close(actual, expected, atol=2e-5, rtol=1e-4)
            assert actual.std(0).min() > 1e-4
    assert torch.backends.mha.get_fastpath_enabled()


def test_random_feed_forward_layers_count_under_the_fused_path_of_an_encoder():
    plain, net = Encoder(), None
    chosen = [f"encoder.layers.{i}.linear{j}" for i in range(2) for j in (1, 2)]
    net = ivi.variationalize(copy.deepcopy(plain), ivi.LowRank(2, scale=1.0), chosen)  # no pass was traced
    draws = ivi.seeded_draws(net, 5, 0)
    with torch.inference_mode():
        logits = ivi.predict(net, X, draws)
        torch.testing.assert_close(logits, by_hand(plain, net, X, draws), atol=2e-5, rtol=1e-4)
        assert logits.std(0).min() > 1e-3
        torch.testing.assert_close(net.eval()(X), plain.eval()(X), atol=2e-5, rtol=1e-4)


SHARED = {
    "encoder": set(),
    "encoder, time first": {"embed", "encoder.layers.0.linear1", "encoder.layers.0.linear2"}
    | {"encoder.layers.1.linear1", "encoder.layers.1.linear2", "encoder.layers.0.self_attn.out_proj"}
    | {"encoder.layers.1.self_attn.out_proj"},
    "attention": {"attend.out_proj"},
    "called and read": {"first"},
    "positions": {"table"},
    "windows, example first": set(),
    "windows first": {"inner"},
}
SHARED["encoder"] = {f"encoder.layers.{i}.self_attn.out_proj" for i in range(2)}


@pytest.mark.parametrize("noise", ["antithetic", "per_example"])
@pytest.mark.parametrize("name", NETS)
@pytest.mark.filterwarnings("ignore:these layers keep shared noise")
def test_every_example_sees_one_draw_of_each_layer_in_training(name, noise):
    plain, net = make(name, layers="all", noise=noise)
    layers = ivi.random_layers(net)
    assert {n for n, layer in layers.items() if layer.noise == "shared"} == SHARED[name]
    if name == "positions":
        with torch.no_grad():
            net.gate.fill_(0.7)
            plain.gate.fill_(0.7)
    for module in net.train().modules():
        if isinstance(module, nn.Dropout):
            module.eval()
        elif isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
    out = net(X)
    for index in range(len(X)):
        noise_of = {}
        for n, layer in layers.items():
            z = layer.current_draw.z
            each = z.expand(6, -1) if z.dim() == 1 else z if len(z) == 6 else z.repeat_interleave(3, 0)
            noise_of[n] = each[index : index + 1]
        expected = by_hand(plain, net, X[index : index + 1], Draws(noise_of))[0]
        torch.testing.assert_close(out[index : index + 1], expected, atol=2e-5, rtol=1e-4)


def test_layers_that_keep_shared_noise_are_named_with_the_reason():
    with pytest.warns(UserWarning, match="shared noise.*table: its rows are not the examples"):
        make("positions", layers="all", noise="antithetic")
    with pytest.warns(UserWarning, match="first: other code reads its weights"):
        make("called and read", layers="all", noise="antithetic")
    with pytest.raises(ValueError, match="pass example="):
        ivi.variationalize(Positions(), layers=["head"], noise="antithetic")


def test_rows_of_indices_are_told_apart_too():
    net = Tokens()
    for tokens in (torch.zeros(1, 3, dtype=torch.int64), torch.tensor([[1, 2, 5], [3, 3, 0]])):
        assert rows_of_examples(net, tokens, [net.inner, net.head]) == {net.head}
    seen = trace(net, torch.zeros(1, 3, dtype=torch.int64), required=True)
    assert seen.calls == (net.inner, net.head) and not seen.read


def test_a_network_that_refuses_three_examples_is_refused_not_guessed():
    class One(nn.Linear):
        def forward(self, x):
            if len(x) != 1:
                raise RuntimeError("one at a time")
            return super().forward(x)

    with pytest.raises(ValueError, match="one at a time.*use noise='shared'"):
        ivi.variationalize(nn.Sequential(One(3, 3)), noise="antithetic", example=torch.zeros(1, 3))


class Packed(nn.Module):
    """Takes a dictionary or a tuple."""

    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(3, D), nn.Linear(D, 2)

    def forward(self, inputs):
        a, b = inputs.values() if isinstance(inputs, dict) else inputs
        return self.head((self.first(a) * b).tanh())


def packed(kind, num=4):
    generator = torch.Generator().manual_seed(2)
    a, b = torch.randn(num, 3, generator=generator), torch.randn(num, 1, generator=generator)
    return {"a": a, "b": b} if kind is dict else (a, b)


@pytest.mark.parametrize("kind", [dict, tuple])
def test_inputs_of_several_tensors_have_the_batch_size_of_their_tensors(kind):
    torch.manual_seed(0)
    plain = Packed()
    net = ivi.variationalize(copy.deepcopy(plain), noise="antithetic", example=packed(kind, 2))
    net.train()(packed(kind))
    assert ivi.random_layers(net)["first"].current_draw.num_examples == 4
    for draws in (ivi.seeded_draws(net, 6, 0), ivi.seeded_draws(net, 2, 0, head_draws=3)):
        for together in (1, 4):
            logits = ivi.predict(net, packed(kind), draws, together=together)
            assert logits.shape == (6, 4, 2)
            torch.testing.assert_close(logits, by_hand(plain, net, packed(kind), draws), atol=1e-5, rtol=1e-4)


def test_inputs_whose_batch_size_cannot_be_told_are_refused():
    net = ivi.variationalize(Packed(), noise="antithetic", example=packed(tuple)).train()
    with pytest.raises(ValueError, match=r"the first dimensions \[1, 4\]"):
        net((packed(tuple)[0], torch.ones(1, 1)))
    with pytest.raises(ValueError, match="no tensor in the input .object"):
        net(object())
    shared = ivi.variationalize(Packed(), noise="shared", example=packed(tuple)).train()
    assert shared((packed(tuple)[0], torch.ones(1, 1))).shape == (4, 2)


@pytest.mark.parametrize("wrap", [lambda out: {"logits": out}, lambda out: (out, out)])
def test_outputs_that_are_no_tensor_are_refused_in_words(wrap):
    class Wrapped(nn.Linear):
        def forward(self, x):
            return wrap(super().forward(x))

    net = ivi.variationalize(nn.Sequential(Wrapped(3, 2)), example=torch.zeros(1, 3))
    with pytest.raises(ValueError, match="needs one tensor of logits"):
        ivi.predict(net, torch.zeros(4, 3), 3)
    with pytest.raises(ValueError, match="temperature must be positive"):
        ivi.predict(net, torch.zeros(4, 3), 3, temperature=0.0)
