"""Where a row stands: what reviews found, who holds what against it, whether it was taken back. Nothing is deleted.

Reviews and challenges are files of the board beside what was submitted; `ivi review --write`, `ivi challenge` and
`ivi withdraw` write them. A review speaks of the bundle whose digest it names, and of no other.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import Field, ValidationError

from leaderboard.identity import Count, Part, Sha256
from leaderboard.record import Label, Prose, RecordError, State
from leaderboard.shelf import first_of, read_bytes
from leaderboard.store import write_once
from leaderboard.submission.findings import Finding, Verdict
from leaderboard.submission.findings import State as ReviewState
from leaderboard.submission.manifest import CHALLENGES, REVIEWS, bundle_digest

BESIDE = ("cost", "pace", "sandbox", "like map", "copied", "too good")
"""Checks whose notes stand beside the row; those of attempts and recipes stand there by the records themselves."""
T = TypeVar("T", bound=Part)
Line = Annotated[Prose, Field(min_length=1, max_length=2000)]


class Found(Part):
    """A `findings.Finding` as it is kept."""

    check: Prose
    level: Literal["refuse", "doubt", "note"]
    where: Prose
    what: Prose
    mend: Prose


class Review(Part):
    """What one review found.

    Attributes:
        bundle: digest of what was reviewed (`manifest.bundle_digest`).
        state: that it may be called.
        code: of our own, with which it was recomputed or re-run.
        reviewer: who ran it, and where.
        rerun: what the re-run saw; None where there was none.
    """

    schema_version: Literal[1] = 1
    bundle: Sha256
    state: ReviewState
    findings: list[Found] = []
    code: Sha256 | None = None
    reviewer: Prose = ""
    at: Prose
    rerun: dict[str, Any] | None = None


class Note(Part):
    """What somebody holds against a row, or that its author took it back.

    Attributes:
        kind: ``challenge``: it stands until it is answered; ``answer``: it no longer does; ``withdrawal``: for good.
        who, reason: who says so, and why.
        evidence: SHA-256 of a file that shows it, if there is one; ``seeds``: that it is about; none: all.
        answers: of an answer: the name of the challenge's file.
        label, row: of a row of ours, which has no bundle.
    """

    schema_version: Literal[1] = 1
    kind: Literal["challenge", "answer", "withdrawal"]
    who: Line
    reason: Line
    at: Prose
    evidence: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=120)], Sha256] = {}
    seeds: tuple[Count, ...] = ()
    answers: Prose = ""
    label: Label | None = None
    row: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")] | None = None


class Standing(NamedTuple):
    """A row's state, why in a line, the code that its review was made with, and what stands beside the row."""

    state: State
    why: str
    code: str | None = None
    notes: tuple[str, ...] = ()


def keep_review(bundle: Path, verdict: Verdict, code: str | None, who: str, rerun: dict[str, Any] | None) -> Path:
    """Write down what a review found; earlier reviews stay."""
    review = Review(
        bundle=bundle_digest(bundle),
        state=verdict.state,
        findings=[Found.model_validate(_kept(one)) for one in verdict.findings],
        code=code,
        reviewer=who,
        at=_now(),
        rerun=rerun,
    )
    return _numbered(bundle / REVIEWS, review)


def _kept(one: Finding) -> dict[str, str]:
    return {name: str(value) for name, value in vars(one).items()}


def keep_note(folder: Path, note: Note) -> Path:
    """Write a note into ``folder``, the challenges of a bundle or of a folder of records."""
    return _numbered(folder, note)


def now() -> str:
    """This moment."""
    return _now()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _numbered(folder: Path, part: Part) -> Path:
    """The next free number: nothing is ever written over."""
    number = 1 + max((int(path.stem) for path in folder.glob("*.json") if path.stem.isdecimal()), default=0)
    path = folder / f"{number:04d}.json"
    write_once(path, part.model_dump_json(indent=1).encode() + b"\n")
    return path


def reviews(bundle: Path) -> list[Review]:
    """Every review of a bundle, the oldest first.

    Raises:
        RecordError: one cannot be read.
    """
    return [_read(path, Review) for path in sorted((bundle / REVIEWS).glob("*.json"))]


def notes(folder: Path) -> dict[str, Note]:
    """File name -> note, of a folder of challenges, the oldest first.

    Raises:
        RecordError: one cannot be read.
    """
    return {path.name: _read(path, Note) for path in sorted(folder.glob("*.json"))}


def _read(path: Path, kind: type[T]) -> T:
    try:
        return kind.model_validate_json(read_bytes(str(path)))
    except ValidationError as error:
        raise RecordError(f"{path}: {first_of(error)}") from None
    except RecordError as error:
        raise RecordError(f"{path}: {error}") from None


def standing(bundle: Path) -> Standing:
    """The state of a bundle's row.

    Raises:
        RecordError: a review or a note cannot be read.
    """
    against = standing_notes(notes(bundle / CHALLENGES))
    if against is not None:
        return against
    digest, done = bundle_digest(bundle), reviews(bundle)
    mine = [one for one in done if one.bundle == digest]
    if not mine:
        why = "changed since it was reviewed" if done else "nobody but its author has computed it"
        return Standing("claimed", why)
    last = mine[-1]
    if last.state in ("refused", "claimed"):
        reasons = [one for one in last.findings if one.level != "note"]
        return Standing("claimed", reasons[0].what if reasons else "nobody but its author has computed it")
    beside = tuple(f"{one.where}: {one.what}" for one in last.findings if one.level == "note" and one.check in BESIDE)
    return Standing(last.state, f"reviewed {last.at[:10]}", last.code, beside)


def standing_notes(found: dict[str, Note]) -> Standing | None:
    """The state that notes give a row; None where nothing stands against it."""
    for note in found.values():
        if note.kind == "withdrawal":
            return Standing("withdrawn", f"by {note.who}: {note.reason}")
    answered = {note.answers for note in found.values() if note.kind == "answer"}
    for name, note in found.items():
        if note.kind == "challenge" and name not in answered:
            return Standing("challenged", f"by {note.who}: {note.reason}")
    return None
