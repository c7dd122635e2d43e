"""The metrics of a run: numbers in a row, and where each lies, which thousands of runs have in common."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

Layout = Mapping[str, Mapping[str, int]]
"""Evaluation set -> metric -> place among the numbers of a run, in the order of the places."""
_NOTHING: Mapping[str, int] = {}


class Packed(Mapping[str, Mapping[str, float]]):
    """Evaluation set -> metric -> value. Ten thousand runs have a million numbers, of which a table shows few.

    Attributes:
        layout: shared by all that have the same metrics of the same sets.
        numbers: those of this run begin at ``start``.
    """

    __slots__ = ("layout", "numbers", "start")

    def __init__(self, layout: Layout, numbers: Sequence[float], start: int = 0) -> None:
        self.layout, self.numbers, self.start = layout, numbers, start

    @classmethod
    def of(cls, sets: Mapping[str, Mapping[str, float]]) -> Packed:
        """What ``sets`` hold."""
        layout = layout_of(tuple((name, tuple(row)) for name, row in sets.items()))
        return cls(layout, array("d", [value for row in sets.values() for value in row.values()]))

    def number(self, name: str, key: str) -> float | None:
        """The metric ``key`` of the set ``name``; None where it was not measured."""
        place = self.layout.get(name, _NOTHING).get(key)
        return None if place is None else self.numbers[self.start + place]

    def in_a_row(self) -> Sequence[float]:
        """All numbers, in the order of their places."""
        return self.numbers[self.start : self.start + size(self.layout)]

    def __getitem__(self, name: str) -> Mapping[str, float]:
        return {key: self.numbers[self.start + place] for key, place in self.layout[name].items()}

    def __iter__(self) -> Iterator[str]:
        return iter(self.layout)

    def __len__(self) -> int:
        return len(self.layout)

    def __repr__(self) -> str:
        return f"Packed({dict(self)!r})"


class Row(Mapping[str, float]):
    """Name -> number; names and places are shared by all that have the same names.

    Attributes:
        places: of each name among ``numbers``, counted from ``start``.
    """

    __slots__ = ("numbers", "places", "start")

    def __init__(self, places: Mapping[str, int], numbers: Sequence[float], start: int = 0) -> None:
        self.places, self.numbers, self.start = places, numbers, start

    @classmethod
    def of(cls, named: Mapping[str, float]) -> Row:
        """What ``named`` holds."""
        return cls({name: i for i, name in enumerate(named)}, array("d", named.values()))

    def __getitem__(self, name: str) -> float:
        return self.numbers[self.start + self.places[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def __repr__(self) -> str:
        return f"Row({dict(self)!r})"


@lru_cache(maxsize=256)
def layout_of(names: tuple[tuple[str, tuple[str, ...]], ...]) -> Layout:
    """The layout of metrics of these sets, one after another; one object for equal names.

    Raises:
        ValueError: a name stands twice.
    """
    total = sum(len(keys) for _, keys in names)
    places = iter(range(total))
    layout = {name: dict(zip(keys, places, strict=False)) for name, keys in names}
    if size(layout) != total:
        raise ValueError("a set has a metric twice")
    return layout


def size(layout: Layout) -> int:
    """How many numbers it places."""
    return sum(map(len, layout.values()))
