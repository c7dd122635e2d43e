"""Turning a network into a variational one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import nn

from ivi.covariance import Covariance, LowRank
from ivi.inputs import change_tensors, count_examples
from ivi.layers import KINDS, UNITS, RandomLayer, Unit, make_random
from ivi.sampler import NOISES, Noise, Sampler
from ivi.trace import Trace, rows_of_examples, trace

Layers = Literal["ends", "last", "all"] | Sequence[str] | Callable[[str, nn.Module], bool]

PUBLISHED: dict[str, Any] = {"covariance": LowRank(10, scale=1.0), "noise": "shared", "unit": "published"}
"""Arguments of `variationalize` for the form of the paper (arXiv 2505.20235) and its code: ``**ivi.PUBLISHED``."""


def variationalize(
    model: nn.Module,
    covariance: Covariance = LowRank(10),  # noqa: B008  frozen
    layers: Layers = "ends",
    noise: Noise | None = None,
    example: Any = None,
    generator: torch.Generator | None = None,
    unit: Unit = "own",
) -> nn.Module:
    """Give layers of ``model`` Gaussian weights N(mu, S Sᵀ). Changes the model in place and returns it.

    The present weights and biases become the mean and keep their names and values; S is drawn so that each number's
    marginal std is the covariance's ``scale`` times ``unit``: q starts at the prior. While ``net.training``,
    each forward pass draws z ~ N(0, I) once per layer and uses mu + S z. After ``net.eval()`` a pass uses the mean
    alone and repeats exactly; `ivi.predict` draws.

    Source: Wenger, Coker, Marusic, Cunningham, "Variational Deep Learning via Implicit Regularization",
    arXiv 2505.20235.

    Args:
        model: any module. Normalization, attention and other layers stay as they are.
        covariance: structure of S Sᵀ, one object for all layers.
        layers: which Linear and Conv1d/2d/3d layers become random. "ends": the first and the last to be called in a
            forward pass; "last"; "all" that a forward pass uses; a list of names; or a predicate of name and module.
        noise: "shared": one draw for the whole batch (the paper), and asks for smaller learning rates. "antithetic": z
            for the first half of the batch and -z for the second, at the same cost and with less gradient noise.
            "per_example": one draw for each. The last two need layers whose rows are the examples in their order; a
            layer where they are not (a table of positions, time before batch), or whose weights other code reads, keeps
            shared noise, and a warning names it. None: antithetic where that is known to be so, shared elsewhere.
        example: a batch to trace a forward pass with, the model's only argument: a tensor [batch, ...], or a mapping,
            list or tuple of them. By default made from the ``input_size`` of a timm model's configuration; needed by
            "ends", "last" and "all", and by antithetic and per-example noise.
        generator: draws the initial S, and from then on the training noise; see `ivi.set_generator`.
        unit: what ``scale`` counts. "own": the std of the layer's own weights as they stand, so that the noise fits the
            network it is added to. "fan_in": fan_in^-1/2, whatever the weights are. "published": fan_in^-1/2 for
            weights and 1 for biases, and the *mean* of the chosen layers is drawn anew with it, as in the authors'
            code, where mean and noise have one std.

    Raises:
        ValueError: a chosen layer cannot be handled; the message says why.
    """
    if noise is not None and noise not in NOISES:
        raise ValueError(f"noise must be one of {NOISES}, not {noise!r}")
    if isinstance(layers, str) and layers not in ("ends", "last", "all"):
        raise ValueError(f"layers must be 'ends', 'last', 'all', names or a predicate, not {layers!r}")
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {UNITS}, not {unit!r}")
    if any(isinstance(module, RandomLayer) for module in model.modules()):
        raise ValueError("this network is variational already")
    seen = trace(model, example, required=isinstance(layers, str))
    chosen = _choose(model, layers, None if seen is None else list(seen.calls))
    for name, layer in chosen.items():
        _refuse(model, name, layer, seen)
    kind: Noise = noise or ("shared" if seen is None else "antithetic")
    shared = {} if kind == "shared" else _needing_shared_noise(model, chosen, kind, seen)
    sampler = Sampler(kind, generator)
    if seen is not None:
        sampler.calls, sampler.example = seen.calls, _two_examples(seen.example)
    for name, layer in chosen.items():
        sampler.layers[name] = make_random(layer, covariance, sampler, generator, unit)
        if name in shared:
            sampler.layers[name].noise = "shared"
    if shared and noise is not None:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in shared.items())
        warnings.warn(f"these layers keep shared noise, one draw for the whole batch: {reasons}", stacklevel=2)
    attach(model, sampler)
    return model


def attach(model: nn.Module, sampler: Sampler) -> None:
    """Have ``sampler`` draw before each forward pass of ``model``."""
    model.register_forward_pre_hook(sampler, with_kwargs=True)
    model.register_forward_hook(sampler.end_pass, always_call=True)


def _needing_shared_noise(
    model: nn.Module, chosen: Mapping[str, nn.Module], noise: str, seen: Trace | None
) -> dict[str, str]:
    if seen is None:
        raise ValueError(
            f"noise={noise!r} must know which rows of a layer belong to which example: pass example=, a batch of inputs"
        )
    aligned = rows_of_examples(model, seen.example, chosen.values())
    reasons = {name: "its rows are not the examples in their order" for name in chosen if chosen[name] not in aligned}
    reasons |= {name: "other code reads its weights" for name in chosen if chosen[name] in seen.read}
    return reasons


def _two_examples(example: Any) -> Any:
    try:
        count = count_examples((example,), {})
    except ValueError:
        return example
    return change_tensors(example, lambda t: t[:2].detach().clone() if t.dim() and len(t) == count else t)


def random_layers(net: nn.Module) -> dict[str, RandomLayer]:
    """The random layers of a network by name.

    Raises:
        ValueError: there are none.
    """
    layers = {name: module for name, module in net.named_modules() if isinstance(module, RandomLayer)}
    if not layers:
        raise ValueError("this network has no random layers; call ivi.variationalize first")
    return layers


def call_order(net: nn.Module, layers: Mapping[str, RandomLayer]) -> list[str]:
    """Names of the random layers in the order in which a forward pass first uses them."""
    calls = next(iter(layers.values())).sampler.calls
    if calls is None or not set(layers.values()) <= set(calls):
        calls = trace_again(net).calls
    index = {module: position for position, module in reversed(list(enumerate(calls)))}
    return sorted(layers, key=lambda name: index[layers[name]])


def trace_again(net: nn.Module, example: Any = None) -> Trace:
    """Trace the network as it is now, with the inputs it was traced with before if there are no others.

    Raises:
        ValueError: there are no inputs, or the network no longer takes them.
    """
    sampler = next((m.sampler for m in net.modules() if isinstance(m, RandomLayer)), None)
    if example is None and sampler is not None and sampler.example is not None:
        owner = next((m for m in net.modules() if sampler in m._forward_pre_hooks.values()), net)
        like = next(iter(net.parameters()))
        example = change_tensors(
            sampler.example, lambda t: t.to(like.device, like.dtype if t.is_floating_point() else t.dtype)
        )
        try:
            seen = trace(owner, example, required=True)
        except (RuntimeError, TypeError) as error:
            raise ValueError(
                f"the network refuses the example that it was traced with before ({error}): pass example="
            ) from error
    else:
        seen = trace(net, example, required=True)
    assert seen is not None
    return seen


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
    unused = [name for name, module in named.items() if isinstance(module, KINDS) and module not in set(calls)]
    if unused:
        raise ValueError(
            f"{', '.join(unused)}: a forward pass does not use these layers; choose layers by name or predicate"
        )
    return {names[module]: module for module in calls}


def _refuse(model: nn.Module, name: str, layer: nn.Module, seen: Trace | None) -> None:
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
    if seen is not None and layer not in seen.calls:
        raise ValueError(f"{name} is not used in a forward pass")
