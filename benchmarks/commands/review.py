"""`ivi review`, `challenge`, `withdraw`: what a machine says of a bundle, and what people hold against a row."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from baselines.names import UserError
from benchmarks.commands.options import console, errors

if TYPE_CHECKING:
    from leaderboard.submission import Finding, Verdict

commands = typer.Typer()
Bundle = Annotated[Path, typer.Argument(help="Folder of a bundle: leaderboard/submissions/<method>/<version>.")]
Who = Annotated[str | None, typer.Option(help="Your name. Default: git's user.name.")]
ACCEPTED = {"claimed": 1, "refused": 1, "recomputed": 0, "rerun": 0}
"""Exit codes."""


@commands.command()
def review(
    bundles: Annotated[list[Path], typer.Argument(help="Folders of bundles, or .zip files of them.")],
    json_: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="For a pull request.")] = False,
    rerun: Annotated[bool, typer.Option(help="Also fit and predict again, blind: minutes.")] = True,
    write: Annotated[
        bool, typer.Option("--write", help="Keep what was found in the bundle's reviews/: for the board's own machine.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="The bundle is on the board and may have reviews.")] = False,
    published: Annotated[
        Path | None, typer.Option(help="Records to hold it against. Default: leaderboard/records of this checkout.")
    ] = None,
) -> None:
    """Say of each bundle whether it is well-formed, recomputed, or re-run, and what to mend.

    A re-run runs the method: in a sandbox where there is one. Without it (--no-rerun) no line of it is run.

    Exit code 1 if one is no more than claimed.
    """
    from benchmarks.submission.reviewing import reviewed_all, with_rerun

    found = []
    with ExitStack() as stack:
        opened = [stack.enter_context(_opened(path)) for path in bundles]
        there = [bundle for bundle, _ in opened if bundle is not None]
        verdicts = iter(reviewed_all(there, published, incoming=not again))
        for path, (bundle, refusals) in zip(bundles, opened, strict=True):
            verdict, report = _refused(refusals) if bundle is None else next(verdicts), None
            if rerun and bundle is not None and verdict.state != "refused":
                verdict, report = with_rerun(bundle, verdict, _say)
            found.append((_name(bundle or path), verdict, report))
            if write and bundle is not None:
                _keep(bundle, verdict, report)
    _show(found, "json" if json_ else "markdown" if markdown else "")
    raise typer.Exit(max(ACCEPTED[verdict.state] for _, verdict, _ in found))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Path | None, list[Finding]]]:
    """A bundle's folder; of an archive that of what was unpacked, as long as the block runs."""
    from leaderboard.submission.archive import open_archive

    if not path.exists():
        raise UserError(f"{path}: no such bundle; 'ivi submit' makes one")
    if path.is_file():
        with tempfile.TemporaryDirectory() as folder:
            yield open_archive(path, Path(folder))
    else:
        yield path, []


def _refused(findings: list[Finding]) -> Verdict:
    from leaderboard.submission import Verdict

    return Verdict.of(findings, "claimed")


def _say(words: str) -> None:
    from leaderboard.views.text import plain

    errors.print(Text(plain(words), "dim"), soft_wrap=True)


def _keep(bundle: Path, verdict: Verdict, report: dict[str, Any] | None) -> None:
    from benchmarks.machine import cpu_name
    from benchmarks.measure.environment import code_hash
    from leaderboard.submission.standing import keep_review

    path = keep_review(bundle, verdict, code_hash(), cpu_name(), report)
    errors.print(f"wrote {path}", highlight=False, soft_wrap=True)


def _name(bundle: Path) -> str:
    return "/".join(bundle.absolute().parts[-2:])


def _show(found: list[tuple[str, Verdict, dict[str, Any] | None]], form: str) -> None:
    from leaderboard.submission.report import as_json, as_markdown, lines
    from leaderboard.views.text import plain

    if form == "json":
        typer.echo(json.dumps([as_json(*one) for one in found], indent=1, default=str))
        return
    for name, verdict, report in found:
        if form == "markdown":
            typer.echo(as_markdown(name, verdict, report))
            continue
        console.print(Text(plain(name), "bold"))
        for line in lines(verdict):
            console.print(Text(line), soft_wrap=True)


@commands.command()
def challenge(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle, or of records with --row.")],
    row: Annotated[str, typer.Option(help="Of a folder of records: the label of the row, e.g. kl_vi.")] = "",
    reason: Annotated[str, typer.Option(help="What is wrong with the row, in a sentence.")] = "",
    evidence: Annotated[
        list[Path] | None, typer.Option(help="A file that shows it, a record of yours for one: its SHA-256 is kept.")
    ] = None,
    answers: Annotated[str, typer.Option(help="Answer this challenge instead, by its file's name: 0001.json.")] = "",
    who: Who = None,
) -> None:
    """File what refutes a row, beside it: the row is 'challenged' until that is answered. Nothing is deleted."""
    from leaderboard.submission.standing import notes

    folder, about = _ours(bundle, row) if row else (_challenges(bundle), {})
    if answers and answers not in notes(folder):
        raise UserError(f"{folder} has no challenge {answers}; it has {', '.join(notes(folder)) or 'none'}")
    kind = "answer" if answers else "challenge"
    _note(folder, kind, who, reason, evidence or [], answers, about)


@commands.command()
def withdraw(bundle: Bundle, reason: Annotated[str, typer.Option(help="Why, in a sentence.")], who: Who = None) -> None:
    """Take a row of yours back: it stays visible, with the reason, and is never ranked again."""
    _note(_challenges(bundle), "withdrawal", who, reason, [], "")


def _challenges(bundle: Path) -> Path:
    from leaderboard.submission.manifest import CHALLENGES, read_manifest

    read_manifest(bundle)
    return bundle / CHALLENGES


def _ours(records: Path, label: str) -> tuple[Path, dict[str, str]]:
    """Where challenges of our own rows lie, and the row that ``label`` means."""
    from baselines.names import unknown
    from leaderboard.results import load_results
    from leaderboard.submission.board import challenges_of

    folder = challenges_of(records)
    if folder is None:
        raise UserError(f"{records} is no folder of the board's records: name leaderboard/records/<suite>")
    rows = {one.label: one.row for one in load_results(records).results if not one.is_history}
    if label not in rows:
        raise unknown("row", label, rows)
    return folder, {"label": label, "row": rows[label]}


def _note(
    folder: Path,
    kind: str,
    who: str | None,
    reason: str,
    evidence: list[Path],
    answers: str,
    about: dict[str, str] | None = None,
) -> None:
    from pydantic import ValidationError

    from benchmarks.submission.publish import git_user
    from leaderboard.shelf import first_of
    from leaderboard.submission.standing import Note, keep_note, now

    name = who or git_user()
    if not name:
        raise UserError("--who is missing: a note says who wrote it")
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in evidence}
    values = {"kind": kind, "who": name, "reason": reason, "at": now(), "evidence": files, "answers": answers}
    values |= about or {}
    try:
        note = Note.model_validate(values)
    except ValidationError as error:
        raise UserError(f"the note cannot be kept: {first_of(error)}") from None
    path = keep_note(folder, note)
    for one in evidence:
        _copy(one, folder / path.stem / one.name)
    console.print(f"wrote {path}", highlight=False, soft_wrap=True)


def _copy(file: Path, target: Path) -> None:
    from leaderboard.store import write_once

    write_once(target, file.read_bytes())
