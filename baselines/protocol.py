"""What a method is: read this file first.

A method is a frozen dataclass whose fields are its hyperparameters. It is given a `Problem` and returns a `Predictor`.
The harness owns the data, the networks, the likelihood, the clock and the metrics; no method sees a test image.
The protocol is structural: a method from elsewhere need not import this package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from baselines.recipe import Recipe
    from baselines.seeds import Seeds


class Unsupported(Exception):
    """Raised by a method that cannot work on a problem: the run is recorded as skipped, with this reason."""


@runtime_checkable
class Predictor(Protocol):
    """A fitted method. In practice a `torch.nn.Module`, which has the last two members for nothing."""

    def logits(self, x: Tensor) -> Tensor:
        """Logits of every member (weight draw, pass, ensemble member; one for a point estimate).

        Weight-space methods fix their draws once, so that the logits of an image depend neither on the batch it
        stands in nor on how often one asks.

        Args:
            x: normalized images, [batch, channels, height, width], on the problem's device.

        Returns:
            [members, batch, classes]. The harness averages the members' *probabilities*.
        """
        ...

    def state_dict(self) -> Mapping[str, Tensor]:
        """Everything that `logits` depends on and the method's fields do not say, as named tensors."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Tensor], /) -> Any:
        """Take the state of another predictor of the same method and problem; `logits` is then the same."""
        ...


@runtime_checkable
class Method(Protocol):
    """Hyperparameters, and the two things one can do with them."""

    def predictor(self, problem: Problem) -> Predictor:
        """An untrained predictor for ``problem``, ready to be fitted or to load a state."""
        ...

    def fit(self, problem: Problem) -> Predictor:
        """Train on ``problem.train`` (``problem.validation`` is there for early decisions) and return the predictor."""
        ...


class BatchSource(Protocol):
    """Labelled images, normalized, on the device: ``x`` float [batch, channels, height, width], ``y`` int64 [batch]."""

    @property
    def num_examples(self) -> int:
        """How many images there are."""
        ...

    def shuffled(self, batch_size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch, augmented as the recipe says, in an order that only ``seed`` decides.

        Yields ``max(1, num_examples // batch_size)`` batches: an incomplete last batch is left out.
        """
        ...

    def ordered(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every image once, in its stored order, never augmented."""
        ...


def _no_progress(done: int, total: int) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Problem:
    """All that a method may know.

    Attributes:
        num_classes: number of classes.
        input_shape: (channels, height, width).
        train, validation: batch sources; there is no test data in a problem.
        recipe: the task's training recipe, after the changes that the method declares in an attribute
            ``recipe_changes`` (a mapping of recipe fields, if it has one); they stand in the record.
        device: where networks and batches live.
        seeds: random axes; only ``noise`` differs between methods.
        make_model: (init seed) -> a new network on ``device``.
        reuse: (method, problem) -> its fitted predictor, fitted once and its cost charged to whoever uses it.
        progress: (steps done, steps in all), called now and then by the training loop.
    """

    num_classes: int
    input_shape: tuple[int, int, int]
    train: BatchSource
    validation: BatchSource
    recipe: Recipe
    device: torch.device
    seeds: Seeds
    make_model: Callable[[int], nn.Module] = field(repr=False)
    reuse: Callable[[Method, Problem], Predictor] = field(default=lambda m, p: m.fit(p), repr=False)
    progress: Callable[[int, int], None] = field(default=_no_progress, repr=False)

    def new_model(self, member: int = 0) -> nn.Module:
        """A network with the initial weights of ``member``: the same for every method of a seed."""
        from baselines.seeds import derive_seed

        return self.make_model(derive_seed(self.seeds.init, member))

    def fit(self, method: Method) -> Predictor:
        """Fit another method on this problem, or take it from where it has been fitted already (Laplace on MAP)."""
        return self.reuse(method, self)
