"""What a method is: read this file first.

A method is a frozen dataclass whose fields are its hyperparameters. It is given a `Problem` and returns a `Predictor`.
The harness owns the data, the networks, the likelihood, the clock and the metrics; the process in which a method is
fitted holds no evaluation data. The protocol is structural: a method from elsewhere need not import this package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from baselines.seeds import Seeds, key_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from baselines.likelihood import Likelihood
    from baselines.recipe import Recipe


class Unsupported(Exception):
    """Raised by a method that cannot work on a problem: the run is recorded as skipped, with this reason."""


@runtime_checkable
class Predictor(Protocol):
    """A fitted method. In practice a `torch.nn.Module`, which has the last two members for nothing."""

    def outputs(self, x: Tensor) -> Tensor:
        """Outputs of every member (weight draw, pass, ensemble member; one for a point estimate).

        Weight-space methods fix their draws once, so that the outputs of an example depend neither on the batch it
        stands in nor on how often one asks.

        Args:
            x: one tensor [batch, ...] on the problem's device: normalized pixels or features.

        Returns:
            [members, batch, outputs]: logits, or mean and log-variance in standardized units. The harness averages the
            members' predictive distributions.
        """
        ...

    def state_dict(self) -> Mapping[str, Tensor]:
        """Everything that `outputs` depends on and the method's fields do not say, as named tensors."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Tensor], /) -> Any:
        """Take the state of another predictor of the same method and problem; `outputs` is then the same."""
        ...


@runtime_checkable
class Method(Protocol):
    """Hyperparameters, and the two things one can do with them.

    It may have three more attributes: ``recipe_changes``, recipe fields that it must change, which stand in its record;
    ``uses``, pairs (method, member) of the fits that it asks its problem for, which are made once for all who use them;
    ``map_equivalent``, hyperparameters with which it is MAP.
    """

    def predictor(self, problem: Problem) -> Predictor:
        """An untrained predictor for ``problem``, ready to be fitted or to load a state."""
        ...

    def fit(self, problem: Problem) -> Predictor:
        """Train on ``problem.train`` (``problem.validation`` is there for early decisions) and return the predictor."""
        ...


class BatchSource(Protocol):
    """Labelled examples on the device: ``x`` [batch, ...]; ``y`` [batch], int64 classes or float32 numbers."""

    @property
    def num_examples(self) -> int:
        """How many examples there are."""
        ...

    def shuffled(self, batch_size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch, augmented as the recipe says, in an order that only ``seed`` decides.

        Yields ``max(1, num_examples // batch_size)`` batches: an incomplete last batch is left out.
        """
        ...

    def ordered(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every example once, in its stored order, never augmented."""
        ...


@dataclass(frozen=True)
class Problem:
    """All that a method may know. A changed one (`dataclasses.replace`) is another problem, and its fits are others.

    Attributes:
        likelihood: what outputs mean, and the loss to train them with.
        example: [1, ...]: an input of zeros of the right shape and type, on ``device``.
        train, validation: batch sources; there is no evaluation data in a problem, nor in its process.
        recipe: the task's training recipe, after the changes that the method declares.
        device: where networks and batches live.
        seeds: random axes; only noise differs between methods.
        make_model: (seed) -> a new network on ``device`` with initial weights that the seed decides.
        fitter: (method, problem) -> its fitted predictor; the harness gives one that knows what is fitted already.
        progress: (steps done, steps in all), called now and then by the training loop.
        declared: the task's recipe, and what the changes that the method declares have made of it.
    """

    likelihood: Likelihood
    example: Tensor
    train: BatchSource
    validation: BatchSource
    recipe: Recipe
    device: torch.device
    seeds: Seeds
    make_model: Callable[[int], nn.Module] = field(repr=False)
    fitter: Callable[[Method, Problem], Predictor] = field(default=lambda method, own: method.fit(own), repr=False)
    progress: Callable[[int, int], None] = field(default=lambda done, total: None, repr=False)
    declared: tuple[Recipe, Recipe] | None = field(default=None, repr=False)

    def new_model(self) -> nn.Module:
        """A network with the initial weights of this seed and member: the same for every method."""
        return self.make_model(self.seeds.weights)

    def member(self, index: int) -> Problem:
        """Another member's problem: other initial weights, order and noise. Member 0 is the problem itself."""
        return replace(self, seeds=self.seeds.of_member(index))

    def of(self, method: Method) -> Problem:
        """The problem as ``method`` is given it: with noise of its own, and the task's recipe changed as it declares.

        What another method has declared to change is undone first; a recipe that somebody has *replaced* stays.
        """
        task = self.declared[0] if self.declared and self.declared[1] == self.recipe else self.recipe
        recipe = task.changed(recipe_changes(method))
        seeds = replace(self.seeds, method=key_of(method))
        return replace(self, recipe=recipe, seeds=seeds, declared=(task, recipe))

    def fit(self, method: Method) -> Predictor:
        """Fit a method on this problem, or take it from where it has been fitted already (Laplace on MAP)."""
        return self.fitter(method, self.of(method))


def recipe_changes(method: Method) -> dict[str, Any]:
    """What ``method`` declares to change in the task's recipe."""
    return dict(getattr(method, "recipe_changes", {}))
