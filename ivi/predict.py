"""Predictions under draws of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ivi.draws import Draws, SeededDraws, sample_draws
from ivi.inputs import change_tensors, count_examples, tensors
from ivi.layers import RandomLayer
from ivi.sampler import Draw, unfused
from ivi.trace import awake
from ivi.variationalize import call_order, random_layers

_BLOCK = 2**16
"""Weights of several draws are made in one product where they are no more numbers than this."""


def predict(
    net: nn.Module,
    x: Any,
    draws: int | Draws | SeededDraws = 32,
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
        x: the network's only argument: a tensor [batch, ...], or a mapping, list or tuple of them.
        draws: how many, or fixed draws from `ivi.sample_draws` or `ivi.seeded_draws`.
        generator: draws the noise where ``draws`` is a number.
        head_draws: where ``draws`` is a number: draws of the last layer for each draw of the others; there are
            ``draws * head_draws`` in all. See `ivi.sample_draws`.
        temperature: divides the logits, mean and noise alike.
        together: how many joint draws share a pass, folded into its batch. More than 1 may pay on a GPU with small
            batches; on a CPU it does not. Without effect where there are ``head_draws``.

    Returns:
        [draws, batch, classes].

    Raises:
        ValueError: the draws are of other layers, ``temperature`` is not positive, or the network's output is no single
            tensor.
        TypeError: ``draws`` is neither a whole number nor fixed draws.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, not {temperature}")
    if not isinstance(draws, int | Draws | SeededDraws):
        raise TypeError(f"draws must be a whole number, or fixed draws of this network, not {draws!r}")
    fixed = sample_draws(net, draws, generator, head_draws) if isinstance(draws, int) else draws
    layers = random_layers(net)
    if set(fixed.layers) != set(layers):
        raise ValueError(f"draws are of the layers {list(fixed.layers)}, the network's are {list(layers)}")
    with held(net), unfused():
        passes = _choose_passes(net, x, layers, fixed, together)
        outputs = [_run(net, x, layers, draw_of) for draw_of in passes]
    logits = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
    return logits if temperature == 1 else logits / temperature


AnyDraws = Draws | SeededDraws


def _choose_passes(
    net: nn.Module, x: Any, layers: Mapping[str, RandomLayer], draws: AnyDraws, together: int
) -> Iterator[dict[str, Draw]]:
    if draws.head is not None:
        if _may_grow(net, x, layers, draws.head):
            return _passes(draws, layers)
        return single_passes(draws, layers)
    if together > 1:
        first = call_order(net, layers)[0]
        if _may_grow(net, x, layers, first, fold=True):
            return _folded_passes(draws, layers, first, together, count_examples((x,), {}))
    return _passes(draws, layers)


def _passes(draws: AnyDraws, layers: Mapping[str, RandomLayer]) -> Iterator[dict[str, Draw]]:
    """One pass for each draw of the layers before the head; the head multiplies the batch by its draws."""
    drawn = {name: _drawn(draws, name, layers[name]) for name in layers if name != draws.head}
    for index in range(draws.num_passes):
        drawn_now = {name: next(each) for name, each in drawn.items()}
        if draws.head is not None:
            start = index * draws.head_draws
            z = draws.part(draws.head, layers[draws.head], start, start + draws.head_draws)
            drawn_now[draws.head] = Draw(z, "every")
        yield drawn_now


def _folded_passes(
    draws: AnyDraws, layers: Mapping[str, RandomLayer], first: str, together: int, num_examples: int
) -> Iterator[dict[str, Draw]]:
    """Several joint draws in one pass: the first layer multiplies the batch, the others see a group for each draw."""
    for start in range(0, len(draws), together):
        stop = min(start + together, len(draws))
        parts = {name: draws.part(name, layer, start, stop) for name, layer in layers.items()}
        yield {
            name: Draw(z, "every") if name == first else Draw(z, "own", len(z) * num_examples)
            for name, z in parts.items()
        }


def _drawn(draws: AnyDraws, name: str, layer: RandomLayer) -> Iterator[Draw]:
    """Each draw of the layers before the head, its weights made when the layer is reached.

    A small layer's weights are made for many draws in one product; a large one's live while it is applied.
    """
    size = _BLOCK // layer.shape.size
    for start in range(0, draws.num_passes, max(1, size)):
        stop = min(start + max(1, size), draws.num_passes)
        if size < 2:
            yield Draw(None, make=lambda at=start: layer.draw_weights(draws.part(name, layer, at, at + 1)[0]))
            continue
        weights, biases = layer.draw_weights(draws.part(name, layer, start, stop))
        for index in range(stop - start):
            bias = None if biases is None else biases[index]
            yield Draw(None, make=lambda made=(weights[index], bias): made)


def single_passes(draws: AnyDraws, layers: Mapping[str, RandomLayer]) -> Iterator[dict[str, Draw]]:
    """One pass for each draw: right for any network."""
    for index in range(len(draws)):
        trunk = index if draws.head is None else index // draws.head_draws
        at = {name: index if name == draws.head else trunk for name in layers}
        yield {name: Draw(draws.part(name, layer, at[name], at[name] + 1)[0]) for name, layer in layers.items()}


def _may_grow(net: nn.Module, x: Any, layers: Mapping[str, RandomLayer], name: str, fold: bool = False) -> bool:
    """Whether the network takes a batch that a random layer has multiplied, tried once on two inputs.

    It does unless it joins the layer's output with something that did not pass through it, calls it twice, or has
    other rows than examples there. With ``fold`` the layer is the first, and the others see a group for each draw.
    """
    tried = layers[name].sampler.tried
    # What was tried holds for a network of these very modules.
    key = ("fold " if fold else "") + name, hash(tuple(map(id, net.modules())))
    if key not in tried:
        pair = _pair(x)
        if pair is None:
            return False
        noise = {n: layer.noise_like(torch.Generator().manual_seed(0), 3) for n, layer in layers.items()}
        if fold:
            probe = Draws(noise)
            at_once = _folded_passes(probe, layers, name, 3, 2)
        else:
            probe = Draws({n: z if n == name else z[:1] for n, z in noise.items()}, name, 3)
            at_once = _passes(probe, layers)
        tried[key] = _agree(net, pair, layers, single_passes(probe, layers), at_once)
    return tried[key]


def _pair(x: Any) -> Any:
    """Two different examples, or None where there is but one of indices, or none can be told."""
    try:
        count = count_examples((x,), {})
    except ValueError:
        return None
    generator = torch.Generator().manual_seed(0)

    def both(tensor: Tensor) -> Tensor:
        if tensor.dim() == 0 or len(tensor) != count:
            return tensor
        pair = torch.cat([tensor[:1], tensor[-1:]])
        if tensor.is_floating_point() and torch.equal(pair[0], pair[1]):
            pair[1] += torch.randn(pair[1].shape, generator=generator).to(pair)
        return pair

    pair = change_tensors(x, both)
    return pair if any(t.dim() and len(t) == 2 and not torch.equal(t[0], t[1]) for t in tensors(pair)) else None


def _agree(
    net: nn.Module,
    pair: Any,
    layers: Mapping[str, RandomLayer],
    one_by_one: Iterator[dict[str, Draw]],
    at_once: Iterator[dict[str, Draw]],
) -> bool:
    with torch.no_grad(), awake(net):
        expected = torch.cat([_run(net, pair, layers, draw_of) for draw_of in one_by_one])
        try:
            actual = torch.cat([_run(net, pair, layers, draw_of) for draw_of in at_once])
        except RuntimeError:
            return False
    if actual.shape != expected.shape:
        return False
    exact = expected.dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled(expected.device.type)
    return bool((actual - expected).abs().max() <= (1e-3 if exact else 0.05) * expected.abs().max())


def _run(net: nn.Module, x: Any, layers: Mapping[str, RandomLayer], draw_of: Mapping[str, Draw]) -> Tensor:
    """Logits of one pass, [draws of the pass, batch, ...]."""
    for name, layer in layers.items():
        layer.current_draw = draw_of[name]
    out = net(x)
    if not isinstance(out, Tensor):
        raise ValueError(
            f"the network's output is a {type(out).__name__}; a prediction needs one tensor of logits [batch, ...]: "
            f"wrap the network in a module that returns it, and pass that to ivi.predict"
        )
    many = max(1 if draw.z is None or draw.use == "one" else len(draw.z) for draw in draw_of.values())
    if many > 1 and (out.dim() == 0 or len(out) % many):
        raise RuntimeError(f"{many} draws share this pass, and its output has the shape {tuple(out.shape)}")
    return out.unflatten(0, (many, -1)) if many > 1 else out.unsqueeze(0)


@contextmanager
def held(net: nn.Module) -> Iterator[None]:
    """Inside, the network is in evaluation mode and its layers see the draws that they are given."""
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
