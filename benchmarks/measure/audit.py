"""What one would want to look up before believing a number, read off a fitted predictor."""

from __future__ import annotations

import sys
from collections.abc import Collection
from importlib.metadata import packages_distributions, version

from torch import nn

from baselines.protocol import Predictor


def audit(untrained: Predictor, fitted: Predictor, random: list[str]) -> dict[str, list[str]]:
    """Names of the random and the normalizing modules, and of the trainable parameters that fitting left alone.

    Args:
        untrained: the method's predictor before it is fitted; it is started alike every time.
        fitted: after it.
        random: names of the random modules, from `benchmarks.measure.probe`.
    """
    if not isinstance(fitted, nn.Module):
        return {"random": random}
    before, after = untrained.state_dict(), fitted.state_dict()
    trainable = [name for name, p in fitted.named_parameters() if p.requires_grad]
    return {
        "random": random,
        "normalization": [name for name, module in fitted.named_modules() if "Norm" in type(module).__name__],
        "not_updated": [name for name in trainable if name in before and before[name].equal(after[name])],
    }


def loaded(before: Collection[str]) -> dict[str, str]:
    """Distributions, and their versions, that modules come from which were imported since ``before``."""
    names = {name.partition(".")[0] for name in set(sys.modules) - set(before)} - {name for name in before}
    names -= sys.stdlib_module_names
    if not names:
        return {}
    homes = packages_distributions()
    return {home: version(home) for name in sorted(names) for home in homes.get(name, [])}


def count_parameters(predictor: Predictor) -> int:
    """Trainable numbers."""
    return sum(p.numel() for p in predictor.parameters()) if isinstance(predictor, nn.Module) else 0


def state_bytes(predictor: Predictor) -> int:
    """Bytes of everything that has to be kept to predict again."""
    return sum(value.numel() * value.element_size() for value in predictor.state_dict().values())
