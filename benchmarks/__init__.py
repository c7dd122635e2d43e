"""What a task is, and how a run of a method on it is measured.

from benchmarks import load_predictor

load_predictor("map").predict(["one.png", "another.png"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.own.predictor import load_predictor as load_predictor

__all__ = ["load_predictor"]


def __getattr__(name: str) -> Any:
    """`load_predictor`, imported when it is asked for: it loads torch, which most commands do without."""
    if name in __all__:
        from benchmarks.own import predictor

        return getattr(predictor, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
