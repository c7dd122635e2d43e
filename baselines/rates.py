"""Learning rates that differ within a network, as the recipe says: of trunk and head, and of maximal update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

import ivi
from baselines.protocol import Unsupported
from baselines.recipe import Recipe

Groups = list[dict[str, Any]]


def rated(groups: Groups, model: nn.Module, recipe: Recipe, example: Tensor) -> Groups:
    """``groups`` divided so that every parameter of a group has one factor on its learning rate, as ``rate``.

    The training loop multiplies a group's rate by it at every step, so that it holds for groups and optimizers of a
    method's own too. A recipe with one rate leaves ``groups`` as they are.

    Args:
        groups: optimizer groups.
        model: what is trained.
        recipe: its ``trunk_rate`` and ``parametrization`` decide.
        example: [1, ...]: an input, to find the first and the last layer with.

    Raises:
        Unsupported: the network does not name its classifier, or cannot be followed from its input to its output.
    """
    factors = [_of_trunk(model, recipe.trunk_rate)] if recipe.trunk_rate != 1 else []
    factors += [_of_maximal_update(model, recipe, example)] if recipe.parametrization == "maximal_update" else []
    for one in factors:
        groups = [part for group in groups for part in _divided(group, one)]
    return groups


def _divided(group: dict[str, Any], factors: Mapping[int, float]) -> Groups:
    parts: dict[float, list[Tensor]] = {}
    for parameter in group["params"]:
        parts.setdefault(factors.get(id(parameter), 1.0), []).append(parameter)
    return [group | {"params": some, "rate": group.get("rate", 1.0) * factor} for factor, some in parts.items()]


def _of_trunk(model: nn.Module, rate: float) -> dict[int, float]:
    """``rate`` for all but what the network names as its classifier and what a method has put beside the network.

    Source: Howard & Ruder 2018, arXiv 1801.06146, section 3.2, with two rates.
    """
    net: Any = next((one for one in model.modules() if callable(getattr(one, "get_classifier", None))), None)
    if net is None:
        raise Unsupported(f"trunk_rate: {type(model).__name__} does not say what its classifier is")
    head = {id(parameter) for parameter in net.get_classifier().parameters()}
    return {id(parameter): rate for parameter in net.parameters() if id(parameter) not in head}


def _of_maximal_update(model: nn.Module, recipe: Recipe, example: Tensor) -> dict[int, float]:
    """What maximal update makes of the rate of each parameter, of factors of covariances too.

    Source: Yang et al. 2022, arXiv 2203.03466, table 3, in `ivi.MaximalUpdate`.
    """
    kind = "sgd" if recipe.optimizer == "sgd" else "adam"
    try:
        standard, maximal = (
            {id(p): group["lr"] for group in ivi.param_groups(model, 1.0, one, kind, example) for p in group["params"]}
            for one in (ivi.Standard(), ivi.MaximalUpdate())
        )
    except (ValueError, NotImplementedError) as error:
        raise Unsupported(f"maximal update: no pass through {type(model).__name__} from its input: {error}") from None
    return {key: maximal[key] / standard[key] for key in standard}
