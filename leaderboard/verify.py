"""Recompute every number of a folder of records from the stored predictions, and name what does not agree."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from leaderboard.checks import LEFT_OUT, check_old, check_record, differences, is_left_out, run_of
from leaderboard.cost import read_costs
from leaderboard.history import OldRecord
from leaderboard.identity import array_sha256
from leaderboard.plan import SUFFIX, read_plan
from leaderboard.predictions import AnyPredictions, Categorical
from leaderboard.record import Record, RecordError
from leaderboard.results import Result, load_results
from leaderboard.shelf import PREDICTIONS, Finding, Shelf, beside, latest, read_all

Progress = Callable[[int, int], None]
NOT_CHECKED = (
    "not checked, since no file can prove it: seconds and memory, which machine and code a record names, "
    "and that the method saw no test data"
)


def _silent(done: int, total: int) -> None:
    """Show no progress."""


@dataclass
class Report:
    """What `verify` looked at and found.

    Attributes:
        findings: what does not agree; none: all agrees.
        records: how many; ``recomputed``: those whose metrics were computed again from their predictions.
        history: of ``records``, those of the first edition.
        elsewhere: records whose predictions are at a URL or left out by name: nothing was recomputed for them.
        plans: suites whose planned runs were looked for.
    """

    findings: list[Finding] = field(default_factory=list)
    records: int = 0
    recomputed: int = 0
    history: int = 0
    elsewhere: int = 0
    plans: int = 0

    def lines(self) -> list[str]:
        """What was checked, and what was not."""
        agree = "every number agrees to the last digit" if not self.findings else f"{len(self.findings)} findings"
        said = [f"{self.records} records, {self.recomputed} recomputed from their predictions: {agree}"]
        if self.records > self.history:
            said.append(
                "checked: the identity of each run, its sets, labels and classes, its predictions and scores, copies, "
                f"attempts, and that no run is missing of {self.plans} plan{'s' * (self.plans != 1)}"
            )
        if self.history:
            said.append(f"{self.history} of the first edition: their metrics alone, since they name no labels")
        if self.elsewhere:
            said.append(f"{self.elsewhere} without predictions here (at their URL, or in {LEFT_OUT}): not recomputed")
        return [*said, NOT_CHECKED]


def verify(folder: Path, progress: Progress = _silent) -> Report:
    """Check every record below ``folder``.

    Numbers must agree to the last digit: `score` keeps ten, which are the same on every machine.

    Args:
        folder: the folder of records, or any folder in it.
        progress: (records checked, records in all), called after each.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    shelf, report = read_all(folder), Report()
    pairs: list[tuple[Path, Record | OldRecord]] = [*zip(shelf.paths, shelf.records, strict=True), *shelf.history]
    report.findings += shelf.findings + read_costs(folder).findings
    report.records, report.history = len(pairs), len(shelf.history)
    owners = {record.predictions.sha256: run_of(record) for _, record in pairs if record.predictions}
    seen: dict[str, tuple[Path, Record | OldRecord]] = {}
    for done, (path, record) in enumerate(pairs, 1):
        if isinstance(record, Record):
            checked = check_record(path, record, owners)
        else:
            checked = check_old(path, record, owners, folder)
        report.findings += checked.findings
        report.recomputed += checked.sets is not None
        report.elsewhere += checked.sets is None and _is_elsewhere(path, record, folder)
        if checked.sets is not None and "test" in checked.sets:
            report.findings += _copies(path, record, checked.sets["test"], seen)
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
        for line in differences(mine.metrics, theirs.metrics)
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
    return record.predictions is not None and record.predictions.url is not None


def _copies(
    path: Path, record: Record | OldRecord, test: AnyPredictions, seen: dict[str, tuple[Path, Record | OldRecord]]
) -> list[Finding]:
    """Whether another run made the same predictions, and none of the two says that it took over the other's fit."""
    digest = array_sha256(test.log_probs if isinstance(test, Categorical) else test.mean)
    _, first = seen.setdefault(digest, (path, record))
    if (
        first is record
        or first.run_id == record.run_id
        or isinstance(record, OldRecord)
        or isinstance(first, OldRecord)
    ):
        return []
    if record.identity.seed == first.identity.seed and _fits(record) & _fits(first):
        return []
    return [Finding(path, "copied", f"the predictions of {run_of(record)} are those of {run_of(first)}")]


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
