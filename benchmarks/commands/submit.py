"""`ivi submit`: a method's rows, from this machine to a pull request."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from baselines.names import UserError
from benchmarks.commands.options import RESULTS, Chosen, Device, Out, chosen_runs, console, say

if TYPE_CHECKING:
    from baselines.spec import MethodSpec
    from benchmarks.submission.bundle import Words
    from benchmarks.suite import Suite
    from leaderboard.submission import Verdict

commands = typer.Typer()
ROUNDS, STEPS = 3, 60
"""Of the measurement of costs with MAP in turns: enough to see them; the board makes its own."""
OPEN_LICENCES = "MIT, BSD-3-Clause, Apache-2.0 ..."


@commands.command()
def submit(
    method: Annotated[str, typer.Argument(help="path/to/file.py:Class, or the name of an installed method.")],
    suite: Annotated[str, typer.Option("--suite", help="Name of the suite that it is compared in.")] = "quick",
    author: Annotated[str | None, typer.Option(help="Who to name. Default: git's user.name, else asked.")] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", "--license", help=f"Of the source: {OPEN_LICENCES}")
    ] = None,
    tuning: Annotated[
        str | None, typer.Option(help="What was tuned and on what: 'nothing', 'rate, on validation of mnist5k' ...")
    ] = None,
    citation: Annotated[str, typer.Option(help="Paper or BibTeX.")] = "",
    link: Annotated[str, typer.Option(help="https://... where the method lives.")] = "",
    version: Annotated[str, typer.Option(help="Of a method from a file; an installed one has its package's.")] = "1",
    device: Device = "auto",
    out: Out = RESULTS,
    to: Annotated[Path | None, typer.Option(help="Folder of submissions. Default: this program's checkout.")] = None,
    archive: Annotated[Path | None, typer.Option(help="Also write the bundle as this .zip: nothing of git.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Jobs at a time, for runs that are still to be made.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, make and write nothing.")] = False,
) -> None:
    """Check a method, make what is missing of its rows and of MAP's, and put all into a bundle, a branch and a commit.

    Nothing is sent anywhere: the text of a pull request is printed at the end.
    """
    from baselines.spec import parse
    from benchmarks.submission.bundle import Words, missing, snapshot

    spec = parse(method)
    snapshot(spec)
    words = Words(*_asked(author, licence, tuning), citation, link, version)
    _check_words(_announced(spec, suite), spec, words, out)
    chosen = _runs(method, suite, device)
    todo = missing(chosen.runs, out)
    _preflight(spec)
    console.print(f"{len(chosen.runs) - len(todo)} of {len(chosen.runs)} runs are made", highlight=False)
    if dry_run:
        for run in todo:
            console.print(Text(f"to make: {run.title}"))
        console.print("a dry run: nothing was written")
        return
    bundle, verdict = _made(chosen, spec, words, out, to, jobs)
    _finish(bundle, verdict, archive, git=archive is None and to is None)


def _asked(author: str | None, licence: str | None, tuning: str | None) -> tuple[str, str, str]:
    """What only the author can say; asked for where there is a terminal."""
    from benchmarks.submission.publish import git_user

    wanted = (
        ("author", author or git_user(), "Who to name as the author"),
        ("licence", licence, f"Licence of the source ({OPEN_LICENCES})"),
        ("tuning", tuning, "What was tuned, and on what ('nothing' if nothing was)"),
    )
    given = []
    for name, value, question in wanted:
        if not value and not console.is_terminal:
            raise UserError(f"--{name} is missing: {question[0].lower()}{question[1:]}")
        given.append(value or typer.prompt(question))
    return given[0], given[1], given[2]


def _announced(spec: MethodSpec, name: str) -> Suite:
    """The suite, after what is going to be done was said."""
    from benchmarks.checked import TASKS
    from benchmarks.suite import load_suite

    needed = _needed(name)
    suite = load_suite(name)
    seeds = ", ".join(map(str, sorted({seed for some in needed.values() for seed in some})))
    tasks = ", ".join(suite.tasks)
    say(f"{spec.label} and map in {suite.name}: {tasks}; seeds {seeds}. First ivi check on {', '.join(TASKS)}")
    return suite


def _needed(suite: str) -> Mapping[str, Collection[int]]:
    """By task, the seeds that a row of the suite needs."""
    from benchmarks.suite import names
    from leaderboard.submission.truth import read_truths, required

    if suite.endswith(".toml"):
        raise UserError(f"--suite {suite}: submit to a suite that comes with the program; see ivi list suites")
    needed = required(read_truths(), suite)
    if not needed and suite in names("suite"):
        raise UserError(f"--suite {suite}: nothing can be submitted to it yet: there is no table of truth of its tasks")
    return needed


def _runs(method: str, suite: str, device: str) -> Chosen:
    """The runs of MAP and the method that a row of the suite needs."""
    needed = _needed(suite)
    is_file = method.rpartition(":")[0].endswith(".py")
    methods = "map" if is_file else f"map,{method}"
    seeds = sorted({seed for some in needed.values() for seed in some})
    listed = ",".join(map(str, seeds)) if needed else None
    chosen = chosen_runs(suite, methods, listed, device, [method] if is_file else None)
    return replace(chosen, runs=[run for run in chosen.runs if run.seed in needed.get(run.task.name, ())])


def _check_words(suite: Suite, spec: MethodSpec, words: Words, out: Path) -> None:
    """What cannot stand in a manifest is said before anything is computed."""
    from benchmarks.submission.bundle import Draft, manifest_of, snapshot

    draft = Draft(spec, suite.name, suite.description, (), out, words)
    manifest_of(draft, snapshot(spec), {})


def _preflight(spec: MethodSpec) -> None:
    from benchmarks.check import check_method

    if not check_method(spec, console):
        raise UserError(f"{spec.label} fails a check: mend it first; 'ivi check' says more")


def _made(
    chosen: Chosen, spec: MethodSpec, words: Words, out: Path, to: Path | None, jobs: int | None
) -> tuple[Path, Verdict]:
    """The bundle, with everything made that was missing, and what a review says of it."""
    from benchmarks.execute import make_runs
    from benchmarks.submission.bundle import Draft, make_bundle, measured, submissions_folder
    from benchmarks.submission.reviewing import published, reviewed

    for name, level in (("KINETO_LOG_LEVEL", "99"), ("TORCH_CPP_LOG_LEVEL", "3")):
        os.environ.setdefault(name, level)  # before torch is imported: its profiler writes to stderr
    make_runs(chosen.runs, out, console, workers=jobs, plan=chosen.plan(out))
    draft = Draft(spec, chosen.suite.name, chosen.suite.description, chosen.runs, out, words)

    def measure(folder: Path) -> None:
        console.print("measuring costs in turns with MAP")
        measured(chosen.runs, spec, ROUNDS, STEPS, folder)

    said = [f"ivi submit {spec.text} --suite {chosen.suite.name}", f"{len(chosen.runs)} runs, and costs in turns"]
    bundle = make_bundle(draft, to or submissions_folder(), measure, lambda: "\n".join(said) + "\n")
    return bundle, reviewed(bundle, published(without=[bundle]))


def _finish(bundle: Path, verdict: Verdict, archive: Path | None, *, git: bool) -> None:
    from benchmarks.submission.publish import committed, pull_request
    from leaderboard.submission.archive import write_archive
    from leaderboard.submission.report import lines

    for line in lines(verdict):
        console.print(Text(line), soft_wrap=True)
    if verdict.state == "refused":
        raise UserError(f"a review would refuse {bundle}: mend what it names; nothing was committed")
    if archive is not None:
        console.print(f"wrote {write_archive(bundle, archive)}", highlight=False, soft_wrap=True)
    branch = committed(bundle) if git else None
    console.print(f"bundle: {bundle}", highlight=False, soft_wrap=True)
    if branch:
        console.print(f"committed on the branch {branch}: push it, and open a pull request:", highlight=False)
    typer.echo(pull_request(bundle, verdict))
