"""MAP without weight decay."""

from dataclasses import dataclass

from baselines.map import MAP


@dataclass(frozen=True)
class NoDecay(MAP):
    """Maximum likelihood: MAP without its weight decay."""

    recipe_changes = {"weight_decay": 0.0}
