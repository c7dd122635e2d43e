"""Random numbers by purpose: one run seed gives independent streams that do not disturb each other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, is_dataclass, replace


def derive_seed(*keys: int | str) -> int:
    """Hash ``keys`` to a seed in [0, 2**63): equal keys give equal seeds on every machine, for ever.

    Example:
        >>> derive_seed("order", 0, 1) == derive_seed("order", 0, 1) != derive_seed("order", 1, 0)
        True
    """
    text = "\x1f".join(f"{type(key).__name__}:{key}" for key in keys)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def key_of(method: object) -> str:
    """A method's class and all its hyperparameters in words: equal for equal methods, on every machine."""
    if not is_dataclass(method):
        return type(method).__name__
    values = ((one.name, getattr(method, one.name)) for one in fields(method))
    words = (f"{name}={key_of(value) if is_dataclass(value) else repr(value)}" for name, value in values)
    return f"{type(method).__name__}({', '.join(words)})"


@dataclass(frozen=True)
class Seeds:
    """The random axes of a fit.

    ``init`` (initial weights) and ``order`` (of batches) are the same for every method of a seed, so that differences
    between methods are paired. Noise (dropout masks, weight draws) is the method's own: ``method`` says whose, as
    `key_of` writes it, never as a table calls it. Members of an ensemble differ in all three. The
    split of the data is the task's, the same for every seed, so that all runs are judged on the same test data.
    """

    init: int
    order: int
    root: int
    method: str = ""
    member: int = 0

    @classmethod
    def of(cls, task: str, seed: int) -> Seeds:
        """Seeds of one run."""
        init, order, root = (derive_seed(axis, task, seed) for axis in ("init", "order", "noise"))
        return cls(init, order, root)

    @property
    def weights(self) -> int:
        """Seed of the initial weights."""
        return derive_seed(self.init, self.member)

    def epoch(self, number: int) -> int:
        """Seed of the batch order of one epoch."""
        return derive_seed(self.order, self.member, number)

    def noise(self, purpose: str) -> int:
        """Seed of the method's own noise for one purpose."""
        return derive_seed(self.root, self.method, purpose, self.member)

    def of_member(self, index: int) -> Seeds:
        """Seeds of a member; those of member 0 are one's own. Members of a member are nobody else's."""
        if index == 0:
            return self
        if self.member == 0:
            return replace(self, member=index)
        axes = {axis: derive_seed(axis, getattr(self, axis), self.member) for axis in ("init", "order", "root")}
        return replace(self, **axes, member=index)
