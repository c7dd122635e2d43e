"""A method at a learning rate of its own, where the rest of the board is trained at the task's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, cast

from annotated_types import Gt

from baselines.map import MAP
from baselines.protocol import Method, Predictor, Problem, recipe_changes


@dataclass(frozen=True)
class OwnRate:
    """Another method, trained by the task's recipe but for the learning rate.

    A row of a grid of rates: which of them a method is judged by is chosen on the validation set
    (``ivi table --choose lr``), never on the test set. With the recipe's rate it is the method itself, to the bit. What
    the method takes over from other fits (Laplace from MAP) is trained at this rate too, and within this fit.

    Attributes:
        of: the method.
        lr: the learning rate, or ``recipe``: the task's.
    """

    of: Method | str = "map"
    lr: Annotated[float, Gt(0)] | Literal["recipe"] = "recipe"

    map_equivalent = {"of": "map", "lr": "recipe"}

    def __post_init__(self) -> None:
        if self.of == "map":
            object.__setattr__(self, "of", MAP())
        if isinstance(self.of, str):
            raise ValueError(f"of is a method or 'map', not the text {self.of!r}")
        if isinstance(self.of, OwnRate):
            raise ValueError("a method has one learning rate: own_rate inside of own_rate has two")

    @property
    def recipe_changes(self) -> dict[str, Any]:
        """What the method changes, and the rate."""
        return recipe_changes(cast(Method, self.of)) | self._rate

    @property
    def _rate(self) -> dict[str, Any]:
        return {} if self.lr == "recipe" else {"lr": self.lr}

    def _given(self, problem: Problem) -> Problem:
        """The problem as the method would be given it on a task with this rate, with the same noise as there."""
        declared = problem.declared
        task = declared[0] if declared and declared[1] == problem.recipe else problem.recipe
        return replace(problem, recipe=task.changed(self._rate), declared=None).of(cast(Method, self.of))

    def predictor(self, problem: Problem) -> Predictor:
        """An untrained predictor of the method."""
        return cast(Method, self.of).predictor(self._given(problem))

    def fit(self, problem: Problem) -> Predictor:
        """Fit the method at this rate."""
        return cast(Method, self.of).fit(self._given(problem))
