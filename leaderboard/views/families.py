"""Methods that come with several numbers of members or draws."""

from __future__ import annotations

import re
from collections.abc import Mapping

from leaderboard.results import Result

COUNTS = ("members", "passes", "draws")
"""Parameters of methods that say how many predictions are averaged."""


def families_of(methods: Mapping[str, Mapping[int, Result]]) -> dict[str, dict[int, str]]:
    """Methods that differ in the number of members or draws alone: name -> number -> label, the fewest first."""
    families: dict[str, dict[int, str]] = {}
    for label, runs in methods.items():
        _, _, resolved = next(iter(runs.values())).method
        assert isinstance(resolved, dict)
        key = next((key for key in COUNTS if isinstance(resolved.get(key), int)), None)
        if key is not None:
            families.setdefault(_without(label, key), {})[int(resolved[key])] = label
    return {name: dict(sorted(family.items())) for name, family in families.items() if len(family) > 1}


def _without(label: str, key: str) -> str:
    """``laplace(link=mc, draws=8)`` less ``draws``: ``laplace(link=mc)``."""
    name, _, inside = label.partition("(")
    others = [part.strip() for part in inside.rstrip(")").split(",") if part.strip()]
    others = [part for part in others if not re.match(rf"{key}\s*=", part)]
    return f"{name}({', '.join(others)})" if others else name
