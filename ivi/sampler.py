"""The noise of a network's random layers: which draw each of them sees in a forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, final

import torch
from torch import Tensor, nn

from ivi.inputs import count_examples

if TYPE_CHECKING:
    from ivi.layers import RandomLayer

Noise = Literal["shared", "antithetic", "per_example"]
NOISES = ("shared", "antithetic", "per_example")
Weights = tuple[Tensor, Tensor | None]


@final
@dataclass(frozen=True, eq=False)
class Draw:
    """The noise of one layer for one forward pass.

    Attributes:
        z: [D] for one draw, else [K, D]; None where ``make`` makes the weights.
        use: "one": these weights serve the whole batch. "own": the batch is cut into K contiguous groups of as equal
            size as can be, group k sees draw k. "every": every example sees every draw, the output is [K batch, ...],
            draws outermost.
        num_examples: size of the network's batch, for "own".
        make: for "one": gives mu + S z, weight and bias, the same at every call.
    """

    z: Tensor | None
    use: Literal["one", "own", "every"] = "one"
    num_examples: int = 0
    make: Callable[[], Weights] | None = None


@final
@dataclass(eq=False)
class Sampler:
    """What the random layers of one network share; a forward pre-hook of the network.

    Attributes:
        noise: see `ivi.variationalize`; a layer's own may be "shared" in its place.
        generator: None for the global one.
        layers: random layers by their name in the network.
        calls: every Linear and Conv in the order of its use in a forward pass, None where no pass was traced.
        example: inputs of that pass, cut to two examples.
        held: whether a prediction holds the draws: then forward passes draw nothing.
        passing: whether a forward pass of the whole network is under way.
        tried: ways of predicting, for a network of these modules -> whether they were seen to be right.
    """

    noise: Noise
    generator: torch.Generator | None = None
    layers: dict[str, RandomLayer] = field(default_factory=dict, repr=False)
    calls: tuple[nn.Module, ...] | None = field(default=None, repr=False)
    example: Any = field(default=None, repr=False)
    held: bool = False
    passing: bool = False
    tried: dict[tuple[str, int], bool] = field(default_factory=dict, repr=False)

    def __call__(self, net: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Draw the weights of a training pass, before it."""
        if self.held:
            return
        own = any(layer.training and layer.noise != "shared" for layer in self.layers.values())
        num_examples = count_examples(args, kwargs) if own else 1
        self.passing = True
        for layer in self.layers.values():
            layer.current_draw = self.draw(layer, num_examples) if layer.training else None

    def end_pass(self, net: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Note that the pass is over. The draws stay: gradient checkpointing runs layers again in the backward pass."""
        self.passing = False

    def draw(self, layer: RandomLayer, num_examples: int) -> Draw:
        """Draw the noise of one layer for one training pass."""
        is_still = not any(factor.numel() for factor in layer.factors.values())  # rank 0: a point, whatever the noise
        if layer.noise == "shared" or is_still:
            return Draw(layer.noise_like(self.generator))
        if layer.noise == "per_example":
            return Draw(layer.noise_like(self.generator, num_examples), "own", num_examples)
        z = layer.noise_like(self.generator)
        return Draw(torch.stack([z, -z]), "own", num_examples) if num_examples > 1 else Draw(z)


@contextmanager
def unfused() -> Iterator[None]:
    """Inside, torch's attention modules compute by their submodules, as in training.

    Their fused kernels read the submodules' weights and call none of them.
    """
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@final
class Unreadable(Tensor):
    """A weight of which several draws are in use at once: its shape and format can be asked for, nothing computed."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Refuse whatever gives a tensor."""
        result = super().__torch_function__(func, types, args, kwargs)
        if isinstance(result, Tensor):
            raise RuntimeError(
                "code outside of a random layer computes with its weights, of which this pass has several draws at "
                "once: use noise='shared'"
            )
        return result
