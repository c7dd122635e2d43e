"""Random numbers by purpose: one run seed gives independent streams that do not disturb each other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


def derive_seed(*keys: int | str) -> int:
    """Hash ``keys`` to a seed in [0, 2**63): equal keys give equal seeds on every machine, for ever.

    Example:
        >>> derive_seed("order", 0, 1) == derive_seed("order", 0, 1) != derive_seed("order", 1, 0)
        True
    """
    text = "\x1f".join(f"{type(key).__name__}:{key}" for key in keys)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True)
class Seeds:
    """The random axes of a run.

    ``init`` (initial weights) and ``order`` (of batches) are the same for every method of a seed, so that differences
    between methods are paired; ``noise`` (dropout masks, weight draws) is the method's own. The split of the data is
    the task's, the same for every seed, so that all runs of a task are judged on the same test images.
    """

    init: int
    order: int
    noise: int

    @classmethod
    def of(cls, task: str, seed: int, method: str) -> Seeds:
        """Seeds of one run. Only ``noise`` depends on the method."""
        shared = {axis: derive_seed(axis, task, seed) for axis in ("init", "order")}
        return cls(**shared, noise=derive_seed("noise", task, seed, method))
