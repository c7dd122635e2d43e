"""Names that people type: what to say when one is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """Something the user gave is wrong. The message is one line: what is wrong, where, what would be right."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a ``name`` that is not among the ``known`` ones, with the nearest of them.

    Example:
        >>> str(unknown("method", "mpa", ["map", "laplace"]))
        "unknown method 'mpa': did you mean 'map'? (laplace, map)"
    """
    choices = sorted(known)
    near = get_close_matches(name, choices, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else "there is:"
    return UserError(f"unknown {kind} '{name}': {hint} ({', '.join(choices) or 'none'})")
