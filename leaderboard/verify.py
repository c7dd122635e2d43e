"""Recompute every number of a folder of records from the stored predictions, and name what does not agree."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from leaderboard.checks import LEFT_OUT, check_old, check_record, differences, is_left_out, run_of
from leaderboard.cost import read_costs
from leaderboard.elsewhere import is_elsewhere
from leaderboard.history import OldRecord
from leaderboard.identity import array_sha256
from leaderboard.plan import SUFFIX, read_plan
from leaderboard.predictions import Categorical
from leaderboard.record import Record, RecordError
from leaderboard.results import Result, load_results
from leaderboard.shelf import PREDICTIONS, Finding, Shelf, beside, latest, read_all

Progress = Callable[[int, int], None]
_Pair = tuple[Path, Record | OldRecord]
_AT_ONCE = 8  # records that a process is given at a time
_CASES: list[_Case] = []
"""Of one of several processes: what all of its records share."""
NOT_CHECKED = (
    "not checked, since no file can prove it: seconds and memory, which machine and code a record names, "
    "and that the method saw no test data"
)


def _silent(done: int, total: int) -> None:
    """Show no progress."""


class _Case(NamedTuple):
    """What looking at any record of a folder needs: owners of predictions, places for those that are not here."""

    folder: Path
    owners: dict[str, str]
    keep: Path | None
    scratch: Path


class _Looked(NamedTuple):
    """What was found of one record; ``test``: a digest of its predictions on the test set."""

    findings: list[Finding]
    is_recomputed: bool
    is_elsewhere: bool = False
    is_lost: bool = False
    test: str | None = None


@dataclass
class Report:
    """What `verify` looked at and found.

    Attributes:
        findings: what does not agree; none: all agrees.
        records: how many; ``recomputed``: those whose metrics were computed again from their predictions.
        history: of ``records``, those of the first edition.
        elsewhere: records whose predictions are kept elsewhere or left out by name: nothing was recomputed for them.
        lost: of ``elsewhere``, those that the repository's history should hold and does not.
        plans: suites whose planned runs were looked for.
    """

    findings: list[Finding] = field(default_factory=list)
    records: int = 0
    recomputed: int = 0
    history: int = 0
    elsewhere: int = 0
    lost: int = 0
    plans: int = 0

    def lines(self) -> list[str]:
        """What was checked, and what was not."""
        agree = "every number agrees, to nine digits" if not self.findings else f"{len(self.findings)} findings"
        said = [f"{self.records} records, {self.recomputed} recomputed from their predictions: {agree}"]
        if self.records > self.history:
            said.append(
                "checked: the identity of each run, its sets, labels and classes, its predictions and scores, copies, "
                f"attempts, and that no run is missing of {self.plans} plan{'s' * (self.plans != 1)}"
            )
        if self.history:
            said.append(f"{self.history} of the first edition: their metrics alone, since they name no labels")
        if self.elsewhere:
            said.append(
                f"{self.elsewhere} without predictions here (elsewhere: --fetch; or in {LEFT_OUT}): not recomputed"
            )
        if self.lost:
            said.append(
                f"{self.lost} of these should be in this repository's history and are in no commit of it: whoever has "
                "an older clone may have them; else these runs are to be made again"
            )
        return [*said, NOT_CHECKED]


def verify(folder: Path, progress: Progress = _silent, keep: Path | None = None, jobs: int = 1) -> Report:
    """Check every record below ``folder``.

    Numbers must agree to nine digits, or lie where near ties allow (`leaderboard.last_digits`): another processor sums
    in another order.

    Args:
        folder: the folder of records, or any folder in it.
        progress: (records checked, records in all), called after each.
        keep: folder for predictions that are fetched from where `elsewhere` says; None: none are, but those that this
            clone's history holds.
        jobs: processes that recompute.

    Raises:
        FileNotFoundError: there is no such folder.
        ChildProcessError: one of several processes was killed.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    shelf, report = read_all(folder), Report()
    pairs: list[_Pair] = [*zip(shelf.paths, shelf.records, strict=True), *shelf.history]
    report.findings += shelf.findings + read_costs(folder).findings
    report.records, report.history = len(pairs), len(shelf.history)
    owners = {record.predictions.sha256: run_of(record) for _, record in pairs if record.predictions}
    first: dict[str, _Pair] = {}
    with TemporaryDirectory(prefix="ivi-past-") as scratch:
        case = _Case(folder, owners, keep, Path(scratch))
        for done, (pair, looked) in enumerate(zip(pairs, _looks(case, pairs, jobs), strict=True), 1):
            report.findings += looked.findings
            report.recomputed += looked.is_recomputed
            report.elsewhere += looked.is_elsewhere
            report.lost += looked.is_lost
            if looked.test is not None:
                report.findings += _copies(pair, first.setdefault(looked.test, pair))
            progress(done, len(pairs))
    report.findings += _attempts(pairs) + _planned(folder, shelf, report)
    return report


def verify_against(folder: Path, other: Path) -> tuple[int, list[str]]:
    """Compare the metrics of runs that two folders both have: how many, and a line for each number that differs.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    sides = []
    for one in (folder, other):
        if not one.is_dir():
            raise FileNotFoundError(f"{one}: no such folder")
        sides.append({run: r for run, r in latest(load_results(one).results).items() if r.is_ok})
    common = sides[0].keys() & sides[1].keys()
    lines = []
    for mine in (result for run, result in sides[0].items() if run in common):
        lines += _compared(mine, sides[1][mine.run_id], other)
    return len(common), lines


def _compared(mine: Result, theirs: Result, other: Path) -> list[str]:
    found = [
        line.replace("is stored as", "is").replace("the predictions give", f"in {other}")
        for line in differences(mine.metrics, theirs.metrics, exact=True)
        if "not stored" not in line and "do not give" not in line
    ]
    odd = sorted({name for name, _ in set(mine.stack) ^ set(theirs.stack)})
    why = f" (made with another {', '.join('code' if name == 'code' else name for name in odd)})" if odd else ""
    run = f"{mine.task} {mine.label} seed {mine.seed}"
    return [f"{run}: {line}{why}" for line in found[:3]] + (
        [f"{run}: and {len(found) - 3} more numbers"] if len(found) > 3 else []
    )


def _is_elsewhere(path: Path, record: Record | OldRecord, folder: Path) -> bool:
    if beside(path, PREDICTIONS).exists():
        return False
    if isinstance(record, OldRecord):
        return is_left_out(path, folder)
    return is_elsewhere(path, record)


def _looks(case: _Case, pairs: Sequence[_Pair], jobs: int) -> Iterator[_Looked]:
    """What `_look` sees of each pair, in their order."""
    if jobs < 2 or len(pairs) < 2 * _AT_ONCE:
        yield from map(partial(_look, case), pairs)
        return
    try:
        with ProcessPoolExecutor(min(jobs, len(pairs)), get_context("spawn"), _begin, (case,)) as pool:
            yield from pool.map(_next, pairs, chunksize=_AT_ONCE)
    except BrokenProcessPool:
        raise ChildProcessError(
            "a process that recomputed was killed, for its memory perhaps: name a folder within"
        ) from None


def _begin(case: _Case) -> None:
    """Keep in a process what all of its records share; an interrupt is its parent's to tell."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _CASES.append(case)


def _next(pair: _Pair) -> _Looked:
    return _look(_CASES[0], pair)


def _look(case: _Case, pair: _Pair) -> _Looked:
    path, record = pair
    if isinstance(record, Record):
        checked = check_record(path, record, case.owners, case.keep, case.scratch)
    else:
        checked = check_old(path, record, case.owners, case.folder)
    if checked.sets is None:
        elsewhere = not checked.findings and _is_elsewhere(path, record, case.folder)
        return _Looked(checked.findings, False, elsewhere, checked.is_lost)
    test = checked.sets.get("test")
    if test is None:
        return _Looked(checked.findings, True)
    digest = array_sha256(test.log_probs if isinstance(test, Categorical) else test.mean)
    return _Looked(checked.findings, True, test=digest)


def _copies(pair: _Pair, first: _Pair) -> list[Finding]:
    """Whether another run made the same predictions, and none of the two says that it took over the other's fit."""
    (path, record), (_, other) = pair, first
    if (
        other is record
        or other.run_id == record.run_id
        or isinstance(record, OldRecord)
        or isinstance(other, OldRecord)
    ):
        return []
    if record.identity.seed == other.identity.seed and _fits(record) & _fits(other):
        return []
    method = record.identity.method
    if method.package is None and method == other.identity.method:
        return []  # from a file, so never ranked: it may well draw nothing
    return [Finding(path, "copied", f"the predictions of {run_of(record)} are those of {run_of(other)}")]


def _fits(record: Record) -> set[str]:
    own = {record.audit.state} if record.audit.state else set()
    return own | set(record.audit.shared.values())


def _attempts(pairs: Iterable[tuple[Path, Record | OldRecord]]) -> list[Finding]:
    """Attempts that came before one that is here, and are not."""
    found: dict[str, dict[int, Path]] = {}
    for path, record in pairs:
        if isinstance(record, Record):
            found.setdefault(record.run_id, {})[record.attempt] = path
    findings = []
    for attempts in found.values():
        missing = [str(i) for i in range(1, max(attempts)) if i not in attempts]
        if missing:
            problem = f"attempt {', '.join(missing)} of this run is missing: every attempt is kept"
            findings.append(Finding(attempts[max(attempts)], "missing", problem))
    return findings


def _planned(folder: Path, shelf: Shelf, report: Report) -> list[Finding]:
    """Planned runs that have no record: a seed that was deleted shows here."""
    made = {record.run_id for record in shelf.records}
    findings = []
    for file in sorted(folder.rglob(f"*{SUFFIX}")):
        try:
            plan = read_plan(file.parent, file.name.removesuffix(SUFFIX))
        except RecordError as error:
            findings.append(Finding(file, "plan", str(error).removeprefix(f"{file}: ")))
            continue
        report.plans += 1
        for run in plan.runs if plan else ():
            if run.run_id not in made:
                problem = f"{run.task} {run.label} seed {run.seed} (run {run.run_id}) is planned and has no record"
                findings.append(Finding(file, "plan", problem))
    return findings
