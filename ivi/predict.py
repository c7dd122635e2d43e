"""Predictions under draws of the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from ivi.layers import Draw, RandomLayer
from ivi.trace import trace
from ivi.variationalize import random_layers


@final
@dataclass(frozen=True, eq=False)
class Draws:
    """Fixed noise for every random layer: the same weights for every batch.

    Attributes:
        noise: layer name -> z, [passes, D]; for the head, if there is one, [passes * head_draws, D].
        head: name of the layer that has ``head_draws`` draws for each pass through the others, or None.
        head_draws: how many.
    """

    noise: Mapping[str, Tensor]
    head: str | None = None
    head_draws: int = 1

    @property
    def num_passes(self) -> int:
        """Number of passes through the layers before the head."""
        return min(len(z) for z in self.noise.values()) if len(self.noise) > 1 or self.head is None else 1

    def __len__(self) -> int:
        return max(len(z) for z in self.noise.values())


def sample_draws(
    net: nn.Module, num_draws: int, generator: torch.Generator | None = None, head_draws: int = 1
) -> Draws:
    """Draw noise for ``num_draws * head_draws`` sets of weights, from ``generator`` (None: torch's global one).

    The weights are mu + S z for the mu and S of the moment of use, so draws may be sampled before training.

    Args:
        net: a variational network.
        num_draws: joint draws of all layers.
        generator: on any device.
        head_draws: draws of the last random layer for each draw of the others. Given the others' weights the last
            layer's outputs are independent draws, and they cost one small product each instead of a pass.
    """
    if min(num_draws, head_draws) < 1:
        raise ValueError(f"num_draws and head_draws must be at least 1, not {num_draws} and {head_draws}")
    layers = random_layers(net)
    head = _last(net, layers) if head_draws > 1 or len(layers) == 1 else None
    counts = {name: num_draws * head_draws if name == head else num_draws for name in layers}
    noise = {name: layer.noise_like(generator, counts[name]) for name, layer in layers.items()}
    return Draws(noise, head, num_draws * head_draws if len(layers) == 1 else head_draws)


def predict(
    net: nn.Module,
    x: Tensor,
    draws: int | Draws = 32,
    generator: torch.Generator | None = None,
    head_draws: int = 1,
    temperature: float = 1.0,
    together: int = 1,
) -> Tensor:
    """Logits under several draws of the weights.

    The network runs in evaluation mode (no dropout, running statistics) and its modes are restored. Gradients are
    recorded as usual: wrap the call in ``torch.inference_mode()`` where none are needed. A prediction averages the
    draws' *probabilities*, in log space: ``logits.log_softmax(-1).logsumexp(0) - math.log(len(logits))``.

    Where only the last layer is random, the rest runs once whatever the number of draws.

    Args:
        net: a network from `ivi.variationalize`, or one that contains it.
        x: inputs, [batch, ...].
        draws: how many, or fixed noise from `ivi.sample_draws`.
        generator: draws the noise where ``draws`` is a number.
        head_draws: where ``draws`` is a number: draws of the last layer for each draw of the others; there are
            ``draws * head_draws`` in all. See `ivi.sample_draws`.
        temperature: divides the logits, mean and noise alike.
        together: how many joint draws share a pass, folded into its batch. More than 1 may pay on a GPU with small
            batches; on a CPU it does not. Without effect where there are ``head_draws``.

    Returns:
        [draws, batch, classes].
    """
    fixed = sample_draws(net, draws, generator, head_draws) if isinstance(draws, int) else draws
    layers = random_layers(net)
    if fixed.noise.keys() != layers.keys():
        raise ValueError(f"draws are of the layers {list(fixed.noise)}, the network's are {list(layers)}")
    with _held(net):
        passes = _choose_passes(net, x, layers, fixed, together)
        outputs = [_run(net, x, layers, draw_of) for draw_of in passes]
    logits = (outputs[0] if len(outputs) == 1 else torch.cat(outputs)).unflatten(0, (-1, len(x)))
    return logits if temperature == 1 else logits / temperature


def _choose_passes(
    net: nn.Module, x: Tensor, layers: Mapping[str, RandomLayer], draws: Draws, together: int
) -> Iterator[dict[str, Draw]]:
    if draws.head is not None:
        return _passes(draws, layers) if _head_may_grow(net, x, layers, draws.head) else _single_passes(draws)
    if together > 1 and _first_may_grow(net, x, layers):
        return _folded_passes(draws, _first(net, layers), together, len(x))
    return _passes(draws, layers)


def _passes(draws: Draws, layers: Mapping[str, RandomLayer]) -> Iterator[dict[str, Draw]]:
    """One pass for each draw of the layers before the head; the head multiplies the batch by its draws."""
    drawn = {name: _drawn(layers[name], z) for name, z in draws.noise.items() if name != draws.head}
    for index in range(draws.num_passes):
        held = {name: next(each) for name, each in drawn.items()}
        if draws.head is not None:
            heads = slice(index * draws.head_draws, (index + 1) * draws.head_draws)
            held[draws.head] = Draw(draws.noise[draws.head][heads], "every")
        yield held


def _folded_passes(draws: Draws, first: str, together: int, num_examples: int) -> Iterator[dict[str, Draw]]:
    """Several joint draws in one pass: the first layer multiplies the batch, the others see a group for each draw."""
    for start in range(0, len(draws), together):
        parts = {name: z[start : start + together] for name, z in draws.noise.items()}
        yield {
            name: Draw(z, "every") if name == first else Draw(z, "own", len(z) * num_examples)
            for name, z in parts.items()
        }


def _drawn(layer: RandomLayer, z: Tensor) -> Iterator[Draw]:
    """Each draw with its weights, which are made for many draws in one product: up to four million numbers."""
    for part in z.split(max(1, 2**22 // layer.shape.size)):
        weights, biases = layer.draw_weights(part)
        each = [None] * len(part) if biases is None else biases.unbind()
        for one, weight, bias in zip(part, weights.unbind(), each, strict=True):
            yield Draw(one, weights=(weight, bias))


def _single_passes(draws: Draws) -> Iterator[dict[str, Draw]]:
    """One pass for each draw: right for any network."""
    for index in range(len(draws)):
        trunk = index if draws.head is None else index // draws.head_draws
        yield {n: Draw(z[index if n == draws.head else trunk]) for n, z in draws.noise.items()}


def _last(net: nn.Module, layers: Mapping[str, RandomLayer]) -> str:
    """Name of the random layer that is called last."""
    return next(iter(layers)) if len(layers) == 1 else max(layers, key=_position(net, layers))


def _first(net: nn.Module, layers: Mapping[str, RandomLayer]) -> str:
    """Name of the random layer that is called first."""
    return next(iter(layers)) if len(layers) == 1 else min(layers, key=_position(net, layers))


def _position(net: nn.Module, layers: Mapping[str, RandomLayer]) -> Callable[[str], int]:
    calls = next(iter(layers.values())).sampler.calls or trace(net, None, required=True) or []
    index = {module: position for position, module in enumerate(calls)}
    return lambda name: index[layers[name]]


def _head_may_grow(net: nn.Module, x: Tensor, layers: Mapping[str, RandomLayer], head: str) -> bool:
    """Whether what follows the head takes a batch several times as large, tried once on two inputs.

    It does unless the network joins the head's output with something that did not pass through the head, or calls the
    head twice.
    """
    tried = layers[head].sampler.tried
    if "head" not in tried:
        noise = _probe_noise(layers)
        probe = Draws({name: z if name == head else z[:1] for name, z in noise.items()}, head, 3)
        tried["head"] = _agree(net, x, layers, _single_passes(probe), _passes(probe, layers))
    return tried["head"]


def _first_may_grow(net: nn.Module, x: Tensor, layers: Mapping[str, RandomLayer]) -> bool:
    """The same for the first random layer, all others then seeing a group for each draw."""
    first = _first(net, layers)
    tried = layers[first].sampler.tried
    if "first" not in tried:
        probe = Draws(_probe_noise(layers))
        tried["first"] = _agree(net, x, layers, _single_passes(probe), _folded_passes(probe, first, 3, 2))
    return tried["first"]


def _probe_noise(layers: Mapping[str, RandomLayer]) -> dict[str, Tensor]:
    return {name: layer.noise_like(torch.Generator().manual_seed(0), 3) for name, layer in layers.items()}


def _agree(
    net: nn.Module,
    x: Tensor,
    layers: Mapping[str, RandomLayer],
    one_by_one: Iterator[dict[str, Draw]],
    at_once: Iterator[dict[str, Draw]],
) -> bool:
    pair = torch.cat([x[:1], x[-1:]])
    with torch.no_grad():
        expected = torch.cat([_run(net, pair, layers, draw_of) for draw_of in one_by_one])
        try:
            actual = torch.cat([_run(net, pair, layers, draw_of) for draw_of in at_once])
        except RuntimeError:
            return False
    if actual.shape != expected.shape:
        return False
    exact = expected.dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled(x.device.type)
    return bool((actual - expected).abs().max() <= (1e-3 if exact else 0.05) * expected.abs().max())


def _run(net: nn.Module, x: Tensor, layers: Mapping[str, RandomLayer], draw_of: Mapping[str, Draw]) -> Tensor:
    for name, layer in layers.items():
        layer.current_draw = draw_of[name]
    return net(x)


@contextmanager
def _held(net: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in net.modules()]
    layers = random_layers(net).values()
    before = [(layer.sampler.held, layer.current_draw) for layer in layers]
    try:
        net.eval()
        for layer in layers:
            layer.sampler.held = True
        yield
    finally:
        for module, training in modes:
            module.training = training
        for layer, (held, draw) in zip(layers, before, strict=True):
            layer.sampler.held, layer.current_draw = held, draw
