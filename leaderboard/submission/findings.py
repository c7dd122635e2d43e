"""What a review found, each thing with its mend, and the state that follows. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["refuse", "doubt", "note"]
State = Literal["refused", "claimed", "recomputed", "rerun"]


@dataclass(frozen=True)
class Finding:
    """One thing that a review found.

    Attributes:
        check: which check says so, in a word.
        level: ``refuse``: the bundle cannot be taken in; ``doubt``: it can, and its row is no more than claimed;
            ``note``: a reader should know it, and the state stands.
        where: the file or run at fault.
        what: what is wrong, in one line.
        mend: what would be right, or what to do.
    """

    check: str
    level: Level
    where: str
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.mend}"


@dataclass(frozen=True)
class Verdict:
    """What a bundle may be called, and all that was found."""

    state: State
    findings: tuple[Finding, ...]

    @classmethod
    def of(cls, findings: Iterable[Finding], reached: Literal["claimed", "recomputed", "rerun"]) -> Verdict:
        """``reached`` is the state where nothing speaks against it."""
        found = tuple(findings)
        levels = {one.level for one in found}
        return cls("refused" if "refuse" in levels else "claimed" if "doubt" in levels else reached, found)

    @property
    def is_accepted(self) -> bool:
        """Whether its row may be ranked."""
        return self.state in ("recomputed", "rerun")


def refused(check: str, where: str, what: str, mend: str) -> Finding:
    """A `Finding` that closes the door."""
    return Finding(check, "refuse", where, what, mend)


def doubted(check: str, where: str, what: str, mend: str) -> Finding:
    """A `Finding` that leaves the row ``claimed``."""
    return Finding(check, "doubt", where, what, mend)


def noted(check: str, where: str, what: str, mend: str) -> Finding:
    """A `Finding` that a reader should know."""
    return Finding(check, "note", where, what, mend)


def worst(findings: Sequence[Finding]) -> list[Finding]:
    """The findings, those that close the door first."""
    order = ("refuse", "doubt", "note")
    return sorted(findings, key=lambda one: order.index(one.level))
