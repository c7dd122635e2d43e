"""A layer with random weights: any Linear or Conv1d/2d/3d whose class gains a drawn weight in place of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, cast, final

import torch
from torch import Tensor, nn

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
        use: "one": these weights serve the whole batch. "split": the batch is cut into K contiguous groups of as equal
            size as can be, group k sees draw k. "grow": every example sees every draw, the output is [K * batch, ...].
    """

    z: Tensor
    use: Literal["one", "split", "grow"]


@final
@dataclass(eq=False)
class Sampler:
    """What the random layers of one network share: how noise is drawn, from where, and for how many examples.

    Attributes:
        noise: see `ivi.variationalize`.
        generator: None for the global one.
        layers: by their name in the network, in the order in which they are called where that is known.
        held: whether predictions hold the draws: then forward passes draw nothing.
        num_examples: size of the batch now passing through.
    """

    noise: Noise
    generator: torch.Generator | None = None
    layers: dict[str, RandomLayer] = field(default_factory=dict, repr=False)
    held: bool = False
    num_examples: int = 0

    def draw(self, layer: RandomLayer) -> Draw:
        """Draw the noise of one layer for one training pass."""
        if self.noise == "shared":
            return Draw(layer.noise_like(self.generator), "one")
        if self.noise == "per_example":
            return Draw(layer.noise_like(self.generator, self.num_examples), "split")
        z = layer.noise_like(self.generator)
        return Draw(torch.stack([z, -z]), "split") if self.num_examples > 1 else Draw(z, "one")


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

    @abstractmethod
    def apply_weights(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The layer that this one was, with these weights in place of its own."""

    @property
    def factors(self) -> dict[str, Tensor]:
        """The factors of S by name."""
        return {name: self.get_parameter(name) for name in self.covariance.factor_shapes(self.shape)}

    def noise_like(self, generator: torch.Generator | None, *lead: int) -> Tensor:
        """Draw z, [*lead, D], on the generator's device, and bring it to the layer's."""
        device = self.weight.device if generator is None else generator.device
        # Half-precision weights get the noise of single precision, rounded: the stream of draws is the same.
        dtype = torch.float64 if self.weight.dtype == torch.float64 else torch.float32
        size = self.covariance.noise_size(self.shape)
        z = torch.randn(*lead, size, generator=generator, device=device, dtype=dtype)
        return z.to(self.weight.device)

    def draw_weights(self, z: Tensor) -> tuple[Tensor, Tensor | None]:
        """mu + S z for z [..., D]: weight [..., *shape], bias [..., outputs]."""
        autocast_on = torch.is_autocast_enabled(self.weight.device.type)
        # S z is a sum of many small terms, and autocast would round it before it is added to the mean.
        with torch.autocast(self.weight.device.type, enabled=False) if autocast_on else nullcontext():
            weight, bias = self.covariance.offset(self.factors, self.shape, z.to(self.weight.dtype))
            return self.weight + weight, None if self.bias is None or bias is None else self.bias + bias

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer with the weights of the draw at hand."""
        draw = self.current_draw if self.training or self.sampler.held else None
        if draw is None:
            return self.apply_weights(x, self.weight, self.bias)
        weight, bias = self.draw_weights(draw.z)
        if draw.use == "one":
            return self.apply_weights(x, weight, bias)
        groups = self._groups(x, len(draw.z)) if draw.use == "split" else [x] * len(draw.z)
        biases = [None] * len(draw.z) if bias is None else bias.unbind()
        return torch.cat([self.apply_weights(*group) for group in zip(groups, weight, biases, strict=True)])

    def _groups(self, x: Tensor, num_groups: int) -> tuple[Tensor, ...]:
        examples = self.sampler.num_examples
        if x.shape[0] % examples:
            raise RuntimeError(
                f"noise {self.sampler.noise!r} gives each example its draw, but of the {x.shape[0]} rows that reach "
                f"this layer one cannot tell which belong to which of {examples} examples; use noise='shared'"
            )
        each = x.shape[0] // examples
        sizes = [part.numel() * each for part in torch.empty(examples).tensor_split(num_groups)]
        return x.split(sizes)

    def extra_repr(self) -> str:
        """The description of the layer that this one was, and the covariance."""
        return f"{super().extra_repr()}, covariance={self.covariance}"


def _apply_linear(self: RandomLayer, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return nn.functional.linear(x, weight, bias)


def _apply_conv(self: RandomLayer, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
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


def is_plain(kind: type[nn.Module]) -> bool:
    """Whether a layer class computes what its torch ancestor does; weight-standardized ones, say, do not."""
    return any(kind.forward is base.forward for base in KINDS) and (
        not issubclass(kind, KINDS[1:])
        or any(getattr(kind, "_conv_forward", None) is b._conv_forward for b in KINDS[1:])
    )


@cache
def _random_class(kind: type[nn.Module]) -> type[RandomLayer]:
    if not is_plain(kind):
        apply: Callable[..., Tensor] = _apply_other
    else:
        apply = _apply_linear if issubclass(kind, nn.Linear) else _apply_conv
    return type(f"Random{kind.__name__}", (RandomLayer, kind), {"apply_weights": apply, "__module__": __name__})


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
