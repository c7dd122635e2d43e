"""A layer with random weights: any Linear or Conv1d/2d/3d whose class gains a drawn weight in place of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from ivi import forms
from ivi.covariance import Covariance, LayerShape, normal_
from ivi.sampler import Draw, Noise, Sampler, Unreadable, Weights

Unit = Literal["own", "fan_in", "published"]
UNITS = ("own", "fan_in", "published")
KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


# A generator cannot enter a compiled graph: with one, the noise is drawn outside and breaks the graph in two.
@torch.compiler.disable
def _randn(shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device, dtype=dtype)


class RandomLayer(nn.Module, ABC):
    """A layer whose weight and bias are a draw from N(mu, S Sᵀ) while training, their mean mu otherwise.

    ``mean_weight`` and ``mean_bias`` are the mean, under the names ``weight`` and ``bias`` in the state dict. The
    factors of S stand beside them under the names of the covariance. Made by `make_random`, never by hand.
    """

    covariance: Covariance
    shape: LayerShape
    sampler: Sampler
    noise: Noise
    current_draw: Draw | None
    prior_std: tuple[float, float]
    is_plain: bool
    replaced: bool

    @property
    def mean_weight(self) -> Tensor:
        """Mean of the weight."""
        return cast(Tensor, self._parameters["weight"])

    @property
    def mean_bias(self) -> Tensor | None:
        """Mean of the bias, None for a layer without."""
        return self._parameters["bias"]

    @property
    def weight(self) -> Tensor:
        """The mean; in a pass under a draw what other code that reads the weight must see: the drawn one."""
        return cast(Tensor, self._seen(0, self.mean_weight))

    @property
    def bias(self) -> Tensor | None:
        """As for ``weight``."""
        return self._seen(1, self.mean_bias)

    def _seen(self, index: int, mean: Tensor | None) -> Tensor | None:
        draw = self.current_draw
        # While ``replaced`` the layer's own forward reads what was put in the place of the mean.
        if mean is None or draw is None or self.replaced or not self._in_pass():
            return mean
        return self.weights_of(draw)[index] if draw.use == "one" else mean.as_subclass(Unreadable)

    def _in_pass(self) -> bool:
        # The backward pass of a checkpoint runs a part of the network again.
        return self.sampler.held or self.sampler.passing or torch._C._current_graph_task_id() != -1

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
        dtype = torch.float64 if self.mean_weight.dtype == torch.float64 else torch.float32
        shape = (*lead, self.covariance.noise_size(self.shape))
        if generator is None:
            return torch.randn(shape, device=self.mean_weight.device, dtype=dtype)
        noise: Tensor = _randn(shape, generator, dtype)  # pyright: ignore[reportCallIssue]
        return noise.to(self.mean_weight.device)

    def draw_weights(self, z: Tensor) -> tuple[Tensor, Tensor | None]:
        """mu + S z for z [..., D]: weight [..., *shape], bias [..., outputs]."""
        autocast_on = torch.is_autocast_enabled(self.mean_weight.device.type)
        # S z is a sum of many small terms, and autocast would round it before it is added to the mean.
        with torch.autocast(self.mean_weight.device.type, enabled=False) if autocast_on else nullcontext():
            weight, bias = self.covariance.offset(self.factors, self.shape, z.to(self.mean_weight.dtype))
            mean, mean_bias = self.mean_weight, self.mean_bias
            return mean + weight, None if mean_bias is None or bias is None else mean_bias + bias

    def weights_of(self, draw: Draw) -> Weights:
        """Weight and bias of a draw that serves the whole batch."""
        return draw.make() if draw.make is not None else self.draw_weights(cast(Tensor, draw.z))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer with the weights of the draw at hand."""
        draw = self._draw_for(x)
        if draw is None:
            return self.apply_weights(x, self.mean_weight, self.mean_bias)
        if draw.use == "one":
            return self.apply_weights(x, *self.weights_of(draw))
        z = cast(Tensor, draw.z).to(self.mean_weight.dtype)
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

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A checkpoint of the plain network has no factors: S then stays as it is."""
        names = {prefix + name for name in self.factors}
        super()._load_from_state_dict(state_dict, prefix, *rest)
        missing: list[str] = rest[2]
        if prefix + "weight" in state_dict and not names & state_dict.keys():
            missing[:] = [key for key in missing if key not in names]

    def extra_repr(self) -> str:
        """The description of the layer that this one was, and the covariance."""
        return f"{super().extra_repr()}, covariance={self.covariance}, noise={self.noise}"


def _apply_linear(self: RandomLayer, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return nn.functional.linear(x, weight, bias)


def _apply_conv(self: RandomLayer, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    mean = self.mean_weight
    if weight.shape == mean.shape and weight.stride() != mean.stride():
        # Strides are how a convolution knows that its network is in channels_last.
        weight = torch.empty_like(mean, dtype=weight.dtype, requires_grad=False).copy_(weight)
    return cast(nn.Conv2d, self)._conv_forward(x, weight, bias)


def _apply_other(self: RandomLayer, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    original = type(self).__mro__[2]
    with _replaced(self, weight, bias):
        return original.forward(self, x)


@contextmanager
def _replaced(layer: RandomLayer, weight: Tensor, bias: Tensor | None) -> Iterator[None]:
    # The way of torch.func.functional_call, which cannot be used here: it would call the random layer again.
    mean = dict(layer._parameters)
    parameters = cast("dict[str, Tensor | None]", layer._parameters)
    parameters.update(weight=weight, bias=bias)
    layer.replaced = True
    try:
        yield
    finally:
        parameters.update(mean)
        layer.replaced = False


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


def initial_std(weight: Tensor, shape: LayerShape, unit: Unit) -> tuple[float, float]:
    """Unit of the initial std of a layer's weights and biases; see `ivi.variationalize`.

    "own" measures the weights as they stand, about their mean. Biases start at zero in most networks and say nothing:
    one counts as the weight of one more input. A layer of (nearly) constant weights, as zero-initialized ones are, has
    no size of its own; it gets the std of torch's default initialization, (3 fan_in)^-1/2.
    """
    if unit == "published":
        return shape.fan_in**-0.5, 1.0
    if unit == "fan_in":
        return shape.fan_in**-0.5, shape.fan_in**-0.5
    std = weight.detach().double().std(correction=0).item()
    own = std if std > 1e-3 * shape.fan_in**-0.5 else (3 * shape.fan_in) ** -0.5
    return own, own


def make_random(
    layer: nn.Module,
    covariance: Covariance,
    sampler: Sampler,
    generator: torch.Generator | None,
    unit: Unit = "own",
) -> RandomLayer:
    """Turn a layer into a random one in place; weight and bias become the mean, drawn anew only if "published"."""
    weight = cast(Tensor, layer.weight)
    bias = cast("Tensor | None", layer.bias)
    shape = LayerShape(tuple(weight.shape), 0 if bias is None else bias.numel())
    std = initial_std(weight, shape, unit)
    for name, factor_shape in covariance.factor_shapes(shape).items():
        layer.register_parameter(name, nn.Parameter(weight.new_empty(factor_shape)))
    layer.__class__ = _random_class(type(layer))
    random = cast(RandomLayer, layer)
    random.covariance, random.shape, random.sampler = covariance, shape, sampler
    random.current_draw, random.prior_std, random.noise, random.replaced = None, std, sampler.noise, False
    if unit == "published":
        for parameter, sigma in zip((weight, bias), std, strict=True):
            if parameter is not None:
                normal_(parameter, sigma, generator)
    covariance.initialize_(random.factors, shape, random.prior_std, generator)
    return random
