"""Images by name: `load` for a task's own data, `load_like` for what is shown to its models without belonging to it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import torch

from benchmarks.data.builtin import BUILTIN
from benchmarks.data.images import Images, like
from benchmarks.data.spec import DataError


@lru_cache(maxsize=8)
def load(name: str, split: str = "all") -> Images:
    """The images of one split of the data set ``name``.

    Raises:
        DataError: there is no such data set or split, or it cannot be had here; the message says what to do.
    """
    if name not in BUILTIN:
        raise DataError(f"no data set {name!r}; there are {', '.join(BUILTIN)}")
    if split != "all":
        raise DataError(f"{name} has no split {split!r}; it has 'all'")
    pixels, labels = BUILTIN[name]()
    classes = tuple(str(label) for label in range(int(labels.max()) + 1))
    return Images(torch.from_numpy(pixels), torch.from_numpy(labels), classes)


def load_like(name: str, input_shape: tuple[int, int, int], split: str | None = None) -> Images:
    """Images of ``name`` in another task's input shape (channels, height, width), without labels.

    ``split`` is the data set's evaluation split unless named.
    """
    return replace(like(load(name, split or "all"), input_shape), labels=None)
