"""Gradient boosting by scikit-learn, as a row to read the others against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn

from baselines.protocol import Unsupported

if TYPE_CHECKING:
    from baselines.protocol import Problem


class Trees(nn.Module):
    """A sum of regression trees of one depth.

    Its buffers, [trees, scores, nodes] each: ``feature``, ``threshold``, ``left`` and ``right`` (a leaf leads to
    itself) and ``value``; ``base`` [scores] is where the sum starts; ``log_variance`` that of a real number.
    """

    def __init__(self, trees: int, scores: int, depth: int, problem: Problem) -> None:
        super().__init__()
        self.depth, self.is_number = depth, problem.likelihood.kind == "gaussian"
        shape = (trees, scores, 2 ** (depth + 1) - 1)
        for name in ("feature", "left", "right"):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.int64, device=problem.device))
        for name, size in (("threshold", shape), ("value", shape), ("base", (scores,)), ("log_variance", ())):
            self.register_buffer(name, torch.zeros(size, dtype=torch.float64, device=problem.device))

    def outputs(self, x: Tensor) -> Tensor:
        """Logits, or mean and log-variance, [1, batch, outputs]."""
        own: dict[str, Tensor] = dict(self.named_buffers())
        trees, scores, nodes = own["feature"].shape
        flat = {
            name: own[name].reshape(trees * scores, nodes)
            for name in ("feature", "threshold", "left", "right", "value")
        }
        every = torch.arange(trees * scores, device=x.device)[:, None]
        at = torch.zeros(trees * scores, len(x), dtype=torch.int64, device=x.device)
        for _ in range(self.depth):
            goes_left = x.T.double().gather(0, flat["feature"][every, at]) <= flat["threshold"][every, at]
            at = torch.where(goes_left, flat["left"][every, at], flat["right"][every, at])
        sums = own["base"] + flat["value"][every, at].view(trees, scores, len(x)).sum(0).T
        if self.is_number:
            sums = torch.stack([sums[:, 0], own["log_variance"].expand(len(x))], -1)
        elif scores == 1:
            sums = torch.cat([torch.zeros_like(sums), sums], -1)
        return sums.float()[None]


@dataclass(frozen=True)
class GradientBoosting:
    """Gradient boosting of trees (Friedman 2001); a number's variance is the mean squared error of validation rows.

    Attributes:
        trees: rounds of boosting; ``depth``: of each tree; ``rate``: what each is multiplied with.
    """

    trees: Annotated[int, Ge(1)] = 100
    depth: Annotated[int, Ge(1)] = 3
    rate: Annotated[float, Gt(0)] = 0.1

    def predictor(self, problem: Problem) -> Trees:
        """Trees that say nothing."""
        if problem.example.dim() != 2:
            raise Unsupported("gradient_boosting predicts from the rows of a table")
        outputs = problem.likelihood.outputs
        scores = 1 if problem.likelihood.kind == "gaussian" or outputs == 2 else outputs
        return Trees(self.trees, scores, self.depth, problem)

    def fit(self, problem: Problem) -> Trees:
        """Boost, and write the trees down."""
        from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

        predictor = self.predictor(problem)
        kind: Any = GradientBoostingRegressor if predictor.is_number else GradientBoostingClassifier
        seed = problem.seeds.noise("trees") % 2**32
        made = kind(n_estimators=self.trees, max_depth=self.depth, learning_rate=self.rate, random_state=seed)
        x, y = _arrays(problem.train)
        made.fit(x, y)
        state = {name: value.cpu().clone() for name, value in predictor.state_dict().items()}
        for place in np.ndindex(made.estimators_.shape):
            _write(state, place, made.estimators_[place].tree_, self.rate)
        predictor.load_state_dict(state)
        raw = made.predict(x[:1]) if predictor.is_number else np.atleast_2d(made.decision_function(x[:1]))
        sums = predictor.outputs(torch.from_numpy(x[:1]).to(problem.device))[0, 0].double().cpu()
        state["base"] = torch.as_tensor(raw).reshape(-1) - (
            sums[-len(state["base"]) :] if not predictor.is_number else sums[:1]
        )
        if predictor.is_number:
            x, y = _arrays(problem.validation)
            state["log_variance"] = torch.tensor(np.mean((made.predict(x) - y) ** 2)).log()
        predictor.load_state_dict(state)
        return predictor


def _arrays(source: Any) -> tuple[np.ndarray, np.ndarray]:
    x, y = (torch.cat(parts).cpu().numpy() for parts in zip(*source.ordered(1000), strict=True))
    return x, y


def _write(state: dict[str, Tensor], place: tuple[int, ...], tree: Any, rate: float) -> None:
    """One fitted tree as rows of the buffers."""
    own = np.arange(tree.node_count)
    leaf = tree.children_left < 0
    rows = {"left": np.where(leaf, own, tree.children_left), "right": np.where(leaf, own, tree.children_right)}
    rows |= {
        "feature": np.where(leaf, 0, tree.feature),
        "threshold": tree.threshold,
        "value": rate * tree.value[:, 0, 0],
    }
    for name, values in rows.items():
        state[name][place][: tree.node_count] = torch.as_tensor(values)
