"""A layer with random weights: any Linear or Conv1d/2d/3d whose class gains a drawn weight in place of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, cast, final

import torch
from torch import Tensor, nn

from ivi import forms
from ivi.covariance import Covariance, LayerShape

Noise = Literal["shared", "antithetic", "per_example"]
NOISES = ("shared", "antithetic", "per_example")
KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@final
@dataclass(frozen=True, eq=False)
class Draw:
    """The noise of one layer for one forward pass.

    Attributes:
        z: [D] for one draw, else [K, D].
        use: "one": these weights serve the whole batch. "own": the batch is cut into K contiguous groups of as equal
            size as can be, group k sees draw k. "every": every example sees every draw, the output is [K batch, ...],
            draws outermost.
        num_examples: size of the network's batch, for "own".
        weights: mu + S z, weight and bias, where it was made already, for "one".
    """

    z: Tensor
    use: Literal["one", "own", "every"] = "one"
    num_examples: int = 0
    weights: tuple[Tensor, Tensor | None] | None = None


@final
@dataclass(eq=False)
class Sampler:
    """What the random layers of one network share; a forward pre-hook of the network.

    Attributes:
        noise: see `ivi.variationalize`.
        generator: None for the global one.
        layers: random layers by their name in the network.
        calls: every Linear and Conv in the order of its calls in a forward pass, None where no pass was traced.
        held: whether a prediction holds the draws: then forward passes draw nothing.
        passing: whether a forward pass of the whole network is under way.
        tried: ways of predicting -> whether they were seen to be right for this network.
    """

    noise: Noise
    generator: torch.Generator | None = None
    layers: dict[str, RandomLayer] = field(default_factory=dict, repr=False)
    calls: tuple[nn.Module, ...] | None = field(default=None, repr=False)
    held: bool = False
    passing: bool = False
    tried: dict[str, bool] = field(default_factory=dict)

    def __call__(self, net: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Draw the weights of a training pass, before it."""
        if self.held:
            return
        self.passing = True
        batch = next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
        for layer in self.layers.values():
            layer.current_draw = self.draw(layer, 1 if batch is None else len(batch)) if layer.training else None

    def end_pass(self, net: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Note that the pass is over. The draws stay: gradient checkpointing runs layers again in the backward pass."""
        self.passing = False

    def draw(self, layer: RandomLayer, num_examples: int) -> Draw:
        """Draw the noise of one layer for one training pass."""
        if self.noise == "shared":
            return Draw(layer.noise_like(self.generator))
        if self.noise == "per_example":
            return Draw(layer.noise_like(self.generator, num_examples), "own", num_examples)
        z = layer.noise_like(self.generator)
        return Draw(torch.stack([z, -z]), "own", num_examples) if num_examples > 1 else Draw(z)


# A generator cannot enter a compiled graph: with one, the noise is drawn outside and breaks the graph in two.
@torch.compiler.disable
def _randn(shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device, dtype=dtype)


class RandomLayer(nn.Module, ABC):
    """A layer whose weight and bias are a draw from N(mu, S Sᵀ) while training, their mean mu otherwise.

    ``weight`` and ``bias`` are the mean. The factors of S stand beside them under the names of the covariance.
    Made by `make_random`, never by hand.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None
    covariance: Covariance
    shape: LayerShape
    sampler: Sampler
    current_draw: Draw | None
    prior_std: tuple[float, float]
    is_plain: bool

    @abstractmethod
    def apply_weights(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The layer that this one was, with these weights in place of its own."""

    @property
    def factors(self) -> dict[str, Tensor]:
        """The factors of S by name."""
        return {name: self._parameters[name] for name in self.covariance.factor_shapes(self.shape)}  # pyright: ignore

    def noise_like(self, generator: torch.Generator | None, *lead: int) -> Tensor:
        """Draw z, [*lead, D], on the generator's device, and bring it to the layer's."""
        # Half-precision weights get the noise of single precision, rounded: the stream of draws is the same.
        dtype = torch.float64 if self.weight.dtype == torch.float64 else torch.float32
        shape = (*lead, self.covariance.noise_size(self.shape))
        if generator is None:
            return torch.randn(shape, device=self.weight.device, dtype=dtype)
        noise: Tensor = _randn(shape, generator, dtype)  # pyright: ignore[reportCallIssue]
        return noise.to(self.weight.device)

    def draw_weights(self, z: Tensor) -> tuple[Tensor, Tensor | None]:
        """mu + S z for z [..., D]: weight [..., *shape], bias [..., outputs]."""
        autocast_on = torch.is_autocast_enabled(self.weight.device.type)
        # S z is a sum of many small terms, and autocast would round it before it is added to the mean.
        with torch.autocast(self.weight.device.type, enabled=False) if autocast_on else nullcontext():
            weight, bias = self.covariance.offset(self.factors, self.shape, z.to(self.weight.dtype))
            return self.weight + weight, None if self.bias is None or bias is None else self.bias + bias

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer with the weights of the draw at hand."""
        draw = self._draw_for(x)
        if draw is None:
            return self.apply_weights(x, self.weight, self.bias)
        if draw.use == "one":
            return self.apply_weights(x, *(draw.weights or self.draw_weights(draw.z)))
        z = draw.z.to(self.weight.dtype)
        if draw.use == "every":
            return forms.every_draw(self, x, z)
        return forms.own_draw(self, x, z, draw.num_examples)

    def _draw_for(self, x: Tensor) -> Draw | None:
        if self.sampler.held:
            return self.current_draw
        if not self.training:
            return None
        # A layer called by itself draws for itself, unless the backward pass of a checkpoint is running it again.
        if not self.sampler.passing and torch._C._current_graph_task_id() == -1:
            self.current_draw = self.sampler.draw(self, len(x))
        return self.current_draw

    def extra_repr(self) -> str:
        """The description of the layer that this one was, and the covariance."""
        return f"{super().extra_repr()}, covariance={self.covariance}"


def _apply_linear(self: RandomLayer, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return nn.functional.linear(x, weight, bias)


def _apply_conv(self: RandomLayer, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if weight.shape == self.weight.shape and weight.stride() != self.weight.stride():
        # Strides are how a convolution knows that its network is in channels_last.
        weight = torch.empty_like(self.weight, dtype=weight.dtype, requires_grad=False).copy_(weight)
    return cast(nn.Conv2d, self)._conv_forward(x, weight, bias)


def _apply_other(self: RandomLayer, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    original = type(self).__mro__[2]
    with _replaced(self, weight, bias):
        return original.forward(self, x)


@contextmanager
def _replaced(layer: nn.Module, weight: Tensor, bias: Tensor | None) -> Iterator[None]:
    # The way of torch.func.functional_call, which cannot be used here: it would call the random layer again.
    mean = dict(layer._parameters)
    parameters = cast("dict[str, Tensor | None]", layer._parameters)
    parameters.update(weight=weight, bias=bias)
    try:
        yield
    finally:
        parameters.update(mean)


def _is_plain(kind: type[nn.Module]) -> bool:
    """Whether a class computes what its torch ancestor does; weight-standardized ones, say, are not linear in w."""
    base = next(base for base in KINDS if issubclass(kind, base))
    own_conv = base is not nn.Linear and getattr(kind, "_conv_forward", None) is not base._conv_forward  # pyright: ignore
    return kind.forward is base.forward and not own_conv


@cache
def _random_class(kind: type[nn.Module]) -> type[RandomLayer]:
    plain = _is_plain(kind)
    apply: Callable[..., Tensor] = _apply_other
    if plain:
        apply = _apply_linear if issubclass(kind, nn.Linear) else _apply_conv
    members = {"apply_weights": apply, "is_plain": plain, "__module__": __name__}
    return type(f"Random{kind.__name__}", (RandomLayer, kind), members)


def make_random(
    layer: nn.Module, covariance: Covariance, sampler: Sampler, generator: torch.Generator | None
) -> RandomLayer:
    """Turn a layer into a random one in place; its weight and bias stay as they are, as the mean."""
    weight = cast(Tensor, layer.weight)
    bias = cast("Tensor | None", layer.bias)
    shape = LayerShape(tuple(weight.shape), 0 if bias is None else bias.numel())
    std = shape.fan_in**-0.5
    for name, factor_shape in covariance.factor_shapes(shape).items():
        layer.register_parameter(name, nn.Parameter(weight.new_empty(factor_shape)))
    layer.__class__ = _random_class(type(layer))
    random = cast(RandomLayer, layer)
    random.covariance, random.shape, random.sampler = covariance, shape, sampler
    random.current_draw, random.prior_std = None, (std, std)
    covariance.initialize_(random.factors, shape, random.prior_std, generator)
    return random
