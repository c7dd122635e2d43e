"""Turning a network into a variational one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from ivi.covariance import Covariance, LowRank
from ivi.layers import KINDS, NOISES, Noise, RandomLayer, Sampler, make_random
from ivi.trace import trace

Layers = Literal["ends", "last", "all"] | Sequence[str] | Callable[[str, nn.Module], bool]


def variationalize(
    model: nn.Module,
    covariance: Covariance = LowRank(10),  # noqa: B008  frozen
    layers: Layers = "ends",
    noise: Noise = "shared",
    example: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Give layers of ``model`` Gaussian weights N(mu, S Sᵀ). Changes the model in place and returns it.

    The present weights and biases become the mean and keep their names and values; S is drawn so that each number's
    marginal std is that of the standard initialization, fan_in^-1/2: q starts at the prior. While ``net.training``,
    each forward pass draws z ~ N(0, I) once per layer and uses mu + S z. After ``net.eval()`` a pass uses the mean
    alone and repeats exactly; `ivi.predict` draws.

    Source: Wenger, Coker, Marusic, Cunningham, "Variational Deep Learning via Implicit Regularization",
    arXiv 2505.20235.

    Args:
        model: any module. Normalization, attention and other layers stay as they are.
        covariance: structure of S Sᵀ, one object for all layers.
        layers: which Linear and Conv1d/2d/3d layers become random. "ends": the first and the last to be called in a
            forward pass; "last"; "all" that a forward pass calls; a list of names; or a predicate of name and module.
        noise: "shared": one draw for the whole batch (the paper). "antithetic": z for the first half of the batch and
            -z for the second, at the same cost and with less gradient noise. "per_example": one draw for each.
        example: a batch to trace a forward pass with, [batch, ...]. By default made from the ``input_size`` of a timm
            model's configuration; needed by "ends", "last" and "all".
        generator: draws the initial S, and from then on the training noise; see `ivi.set_generator`.

    Raises:
        ValueError: a chosen layer cannot be handled; the message says why.
    """
    if noise not in NOISES:
        raise ValueError(f"noise must be one of {NOISES}, not {noise!r}")
    if any(isinstance(module, RandomLayer) for module in model.modules()):
        raise ValueError("this network is variational already")
    calls = trace(model, example, required=isinstance(layers, str))
    chosen = _choose(model, layers, calls)
    for name, layer in chosen.items():
        _refuse(model, name, layer, calls)
    sampler = Sampler(noise, generator, calls=None if calls is None else tuple(calls))
    for name, layer in chosen.items():
        sampler.layers[name] = make_random(layer, covariance, sampler, generator)
    model.register_forward_pre_hook(sampler, with_kwargs=True)
    model.register_forward_hook(sampler.end_pass, always_call=True)
    return model


def random_layers(net: nn.Module) -> dict[str, RandomLayer]:
    """The random layers of a network by name.

    Raises:
        ValueError: there are none.
    """
    layers = {name: module for name, module in net.named_modules() if isinstance(module, RandomLayer)}
    if not layers:
        raise ValueError("this network has no random layers; call ivi.variationalize first")
    return layers


def set_generator(net: nn.Module, generator: torch.Generator | None) -> None:
    """Take training noise from ``generator`` from now on (None: torch's global one). It may live on any device."""
    for layer in random_layers(net).values():
        layer.sampler.generator = generator


@contextmanager
def mean_only(net: nn.Module) -> Iterator[nn.Module]:
    """Use the mean weights inside the block, in training mode too; passes repeat exactly but for dropout."""
    layers = random_layers(net).values()
    before = [(layer.sampler.held, layer.current_draw) for layer in layers]
    for layer in layers:
        layer.sampler.held, layer.current_draw = True, None
    try:
        yield net
    finally:
        for layer, (held, draw) in zip(layers, before, strict=True):
            layer.sampler.held, layer.current_draw = held, draw


def _choose(model: nn.Module, layers: Layers, calls: list[nn.Module] | None) -> dict[str, nn.Module]:
    named = dict(model.named_modules())
    if isinstance(layers, str):
        return _choose_by_trace(named, layers, calls or [])
    if callable(layers):
        chosen = {name: named[name] for name in named if isinstance(named[name], KINDS) and layers(name, named[name])}
    else:
        missing = [name for name in layers if name not in named]
        if missing:
            raise ValueError(f"the model has no layer named {', '.join(missing)}")
        chosen = {name: named[name] for name in layers}
    if not chosen:
        raise ValueError("no layer was chosen")
    return chosen


def _choose_by_trace(named: dict[str, nn.Module], layers: str, calls: list[nn.Module]) -> dict[str, nn.Module]:
    if not calls:
        raise ValueError("a forward pass calls no Linear, Conv1d, Conv2d or Conv3d")
    names = {module: name for name, module in named.items()}
    if layers == "ends":
        return {names[module]: module for module in (calls[0], calls[-1])}
    if layers == "last":
        return {names[calls[-1]]: calls[-1]}
    if layers != "all":
        raise ValueError(f"layers must be 'ends', 'last', 'all', names or a predicate, not {layers!r}")
    unused = [name for name, module in named.items() if isinstance(module, KINDS) and module not in set(calls)]
    if unused:
        raise ValueError(
            f"{', '.join(unused)}: a forward pass does not call these layers (unused, or their weights are read by "
            f"other code, as attention does with its projections); choose layers by name or predicate"
        )
    return {names[module]: module for module in calls}


def _refuse(model: nn.Module, name: str, layer: nn.Module, calls: list[nn.Module] | None) -> None:
    if not isinstance(layer, KINDS):
        raise ValueError(f"{name} is a {type(layer).__name__}: only Linear, Conv1d, Conv2d and Conv3d can be random")
    if "weight" not in layer._parameters:
        raise ValueError(f"{name}.weight is computed from other parameters (a parametrization); remove it first")
    if isinstance(layer.weight, nn.parameter.UninitializedParameter):
        raise ValueError(f"{name} is lazy; run one forward pass first")
    own = {id(parameter) for parameter in layer.parameters()}
    sharing = [n for n, p in model.named_parameters(remove_duplicate=False) if id(p) in own]
    if len(sharing) > len(own):
        raise ValueError(f"{' and '.join(sharing)} are tied: drawing one alone would untie them")
    if calls is not None and layer not in calls:
        raise ValueError(f"{name} is not called in a forward pass: it is unused, or other code reads its weights")
