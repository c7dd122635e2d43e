"""Deep ensemble: several fits of one method from different initial weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, cast

import torch
from annotated_types import Ge
from torch import Tensor, nn

from baselines.map import MAP
from baselines.protocol import Method, Predictor, Problem, recipe_changes


class EnsemblePredictor(nn.Module):
    """The members of several predictors, one after the other."""

    def __init__(self, predictors: Iterable[Predictor]) -> None:
        super().__init__()
        self.predictors = nn.ModuleList(cast("Iterable[nn.Module]", predictors))

    def outputs(self, x: Tensor) -> Tensor:
        """Outputs [members, batch, outputs]."""
        return torch.cat([cast(Predictor, predictor).outputs(x) for predictor in self.predictors])


@dataclass(frozen=True)
class DeepEnsemble:
    """Deep ensemble (Lakshminarayanan, Pritzel, Blundell 2017, arXiv 1612.01474), without adversarial training.

    Member 0 is the method's own fit of the same seed, so that an ensemble of one is that method.

    Attributes:
        members: number of fits.
        of: what each of them is a fit of.
        together: train all members at once, in steps of one stacked network, instead of taking over separate fits.
    """

    members: Annotated[int, Ge(1)] = 5
    of: Method | str = "map"
    together: bool = False

    map_equivalent = {"members": 1, "of": "map"}

    def __post_init__(self) -> None:
        if self.members < 1:
            raise ValueError(f"members must be at least 1, not {self.members}")
        if self.of == "map":
            object.__setattr__(self, "of", MAP())
        if isinstance(self.of, str):
            raise ValueError(f"of is a method or 'map', not the text {self.of!r}")
        if isinstance(self.of, DeepEnsemble):  # member 1 of member 0 is member 1, and so is member 0 of member 1
            raise ValueError("an ensemble of ensembles would hold the same fits twice: give it more members")
        if self.together and not hasattr(self.of, "fit_together"):
            raise ValueError(f"together=true: {type(self.of).__name__} has no fit_together; map has")

    @property
    def uses(self) -> tuple[tuple[Method, int], ...]:
        """The fits that it takes over: none if its members are trained together."""
        return () if self.together else tuple((cast(Method, self.of), index) for index in range(self.members))

    @property
    def recipe_changes(self) -> dict[str, Any]:
        """What its members' method changes: an ensemble trains nothing of its own."""
        return recipe_changes(cast(Method, self.of))

    def predictor(self, problem: Problem) -> EnsemblePredictor:
        """Untrained members."""
        return EnsemblePredictor(map(cast(Method, self.of).predictor, self._problems(problem)))

    def fit(self, problem: Problem) -> EnsemblePredictor:
        """Fit every member by the recipe; those that are fitted already are taken over."""
        if self.together:
            return EnsemblePredictor(cast(Any, self.of).fit_together(self._problems(problem)))
        return EnsemblePredictor(problem.member(index).fit(method) for method, index in self.uses)

    def _problems(self, problem: Problem) -> list[Problem]:
        return [problem.member(index).of(cast(Method, self.of)) for index in range(self.members)]
