"""Fits that a method takes over from others instead of making them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from safetensors.torch import load

from baselines.protocol import Method, Predictor, Problem, key_of
from benchmarks.measure.jobs import fit_key


@dataclass
class SharedFits:
    """Fits that were made before, of the harness's own problem.

    Attributes:
        states: state dicts as safetensors, by `fit_key`.
        taken: keys of those that were asked for.
    """

    states: Mapping[str, bytes]
    taken: list[str] = field(default_factory=list)
    own: Problem | None = None

    def problem(self, own: Problem) -> Problem:
        """``own``, whose fits these are, asking here for what it is to fit."""
        self.own = replace(own, fitter=self._fit)
        return self.own

    def _fit(self, method: Method, problem: Problem) -> Predictor:
        key = fit_key(key_of(method), problem.seeds.member, problem.recipe)
        if key not in self.states or not self._unchanged(problem):
            return method.fit(problem)
        predictor = method.predictor(problem)
        state = {name: value.to(problem.device) for name, value in load(self.states[key]).items()}
        predictor.load_state_dict(state)
        self.taken.append(key)
        return predictor

    def _unchanged(self, problem: Problem) -> bool:
        """Whether only recipe, member and method differ from the problem whose fits are known: the key says those."""
        own = self.own
        if own is None or (problem.likelihood, problem.device) != (own.likelihood, own.device):
            return False
        axes = [(seeds.init, seeds.order, seeds.root) for seeds in (problem.seeds, own.seeds)]
        parts = ("example", "train", "validation", "make_model")
        return axes[0] == axes[1] and all(getattr(problem, part) is getattr(own, part) for part in parts)
