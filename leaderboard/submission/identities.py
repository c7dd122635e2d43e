"""Whose records they are: of our task, of the method that the manifest has the source of, every planned seed once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from leaderboard.checks import check_place
from leaderboard.identity import RULES, TaskIdentity
from leaderboard.plan import SUFFIX, read_plan
from leaderboard.record import Record, RecordError
from leaderboard.rows import TASK_PARTS
from leaderboard.submission.case import Case, Entry
from leaderboard.submission.findings import Finding, doubted, noted, refused
from leaderboard.submission.manifest import RECORDS

AGAIN = "run the suite as it is, and submit that"
_SAME = ("code", "python", "device_name", "cpu", "capability", "threads")
"""What the runs of a bundle have in common: they are compared with each other."""
_PAST = 20.0
"""Times the recipe's steps that nobody takes without a word."""


def identities(case: Case, map_sources: frozenset[str], codes: frozenset[str]) -> Iterator[Finding]:
    """What is wrong with whose the records are.

    Args:
        case: the bundle.
        map_sources: source hashes that MAP is known to have; empty: nobody knows.
        codes: hashes of our own code that published rows or this checkout have.
    """
    for entry in case.entries:
        yield from _task(case, entry)
        yield from _method(case, entry, map_sources)
        yield from _record(case, entry, codes)
    yield from _attempts(case.entries)
    yield from _covered(case)
    yield from _plan(case)
    yield from _one_machine(case)


def _task(case: Case, entry: Entry) -> Iterator[Finding]:
    identity = entry.record.identity
    if identity.rules != RULES or identity.rules != case.manifest.rules:
        what = f"was made under rules {identity.rules}, the manifest names {case.manifest.rules}, they are {RULES} now"
        yield refused("identity", entry.where, what, AGAIN)
    truth = case.truths.get(identity.task.name)
    if truth is None:
        what = f"is of the task {identity.task.name}, which the suite {case.manifest.suite} has not"
        yield refused("identity", entry.where, what, AGAIN)
    elif truth.task != identity.task:
        what = f"is of a task {identity.task.name} with another {_differing(truth.task, identity.task)}"
        yield refused("identity", entry.where, what, AGAIN)
    elif identity.seed not in case.seeds[identity.task.name]:
        what = f"is of seed {identity.seed}, which the suite has not"
        yield refused("seeds", entry.where, what, "submit the suite's seeds: all of them, and no others")


def _differing(truth: TaskIdentity, other: TaskIdentity) -> str:
    return ", ".join(part for part in ("data", *TASK_PARTS) if getattr(truth, part) != getattr(other, part))


def _method(case: Case, entry: Entry, map_sources: frozenset[str]) -> Iterator[Finding]:
    wanted, found = case.manifest.method, entry.record.identity.method
    if entry.is_map:
        plain = entry.record.label == "map" and found.package == "ivi-bench" and not found.resolved
        if not plain:
            yield refused("identity", entry.where, "calls itself map and is another method", "give it its own name")
        elif not map_sources:
            yield doubted("identity", entry.where, "no published MAP row tells its source", "publish MAP rows first")
        elif found.source not in map_sources:
            yield doubted("identity", entry.where, "is of another MAP than the published one", "update, and run again")
        return
    source = case.manifest.source_hash
    if (found.name, found.package) != (wanted.name, wanted.package) or entry.record.label != wanted.label:
        what = f"is of {entry.record.label}, the bundle is of {wanted.label}"
        yield refused("identity", entry.where, what, "a bundle holds one method and MAP")
    elif found.source != source:
        what = f"was made with the source {found.source[:12]}…, the snapshot has {source[:12]}…"
        yield refused("source", entry.where, what, "submit the source that made the records")
    elif wanted.package is not None and found.package_version != wanted.version:
        what = f"was made with version {found.package_version}, the manifest names {wanted.version}"
        yield refused("source", entry.where, what, AGAIN)


def _record(case: Case, entry: Entry, codes: frozenset[str]) -> Iterator[Finding]:
    record, environment = entry.record, entry.record.environment
    for found in check_place(entry.path, record):
        yield refused("record", entry.where, found.problem, "leave files where 'ivi run' puts them")
    if record.origin.state not in ("own", "claimed"):
        what = f"says of itself that it is {record.origin.state}"
        yield refused("record", entry.where, what, "states are given by reviews")
    if environment.dirty or (environment.dirty is None and environment.code not in codes):
        what = "was made with uncommitted changes" if environment.dirty else "does not say of which commit its code is"
        yield doubted("code", entry.where, what, "commit, run again and submit that; or install a release")
    elif codes and environment.code not in codes:
        yield noted(
            "code", entry.where, "was made with other code than the board's", "a re-run shows what it gives now"
        )
    packages = {name for name, version in environment.packages.items() if case.manifest.packages.get(name) != version}
    if packages:
        what = f"was made with another {', '.join(sorted(packages))} than the manifest names"
        yield doubted("code", entry.where, what, AGAIN)
    yield from _moment(case, entry)
    if not entry.is_map and record.status == "ok":
        yield from _length(case, entry)


def _moment(case: Case, entry: Entry) -> Iterator[Finding]:
    started, created = _time(entry.record.environment.started), _time(case.manifest.created)
    if started is None or created is None or started > created or created > datetime.now(UTC) + timedelta(days=1):
        what = f"began at {entry.record.environment.started[:40]}, the bundle is of {case.manifest.created}"
        yield doubted("record", entry.where, what, "set the clock, run again and submit that")


def _time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _length(case: Case, entry: Entry) -> Iterator[Finding]:
    record, truth = entry.record, case.truths.get(entry.record.identity.task.name)
    if truth is None or record.cost is None or not truth.steps:
        return
    times = record.cost.steps / truth.steps
    changes = record.audit.recipe_changes
    if changes:
        said = ", ".join(f"{key} {value}" for key, value in changes.items())
        yield noted("recipe", entry.where, f"changes the recipe: {said}", "it stands beside the row")
    if times > _PAST and not changes:
        what = f"took {times:.3g} times the recipe's steps and declares no change"
        yield doubted("recipe", entry.where, what, "declare recipe_changes, or take the recipe's steps")
    elif times > 1 + 1e-9 and not changes:
        yield noted("recipe", entry.where, f"took {times:.3g} times the recipe's steps", "it stands beside the row")


def _attempts(entries: Iterable[Entry]) -> Iterator[Finding]:
    found: dict[str, dict[int, Entry]] = {}
    for entry in entries:
        attempts = found.setdefault(entry.record.run_id, {})
        if entry.record.attempt in attempts:
            yield refused("attempts", entry.where, f"attempt {entry.record.attempt} is there twice", AGAIN)
        attempts[entry.record.attempt] = entry
    for attempts in found.values():
        last = attempts[max(attempts)]
        missing = [str(i) for i in range(1, max(attempts)) if i not in attempts]
        if missing:
            what = f"attempt {', '.join(missing[:5])} of this run is missing"
            yield refused("attempts", last.where, what, "every attempt is kept and shown")
        elif len(attempts) > 1:
            ends = ", ".join(attempts[i].record.status for i in sorted(attempts))
            yield noted("attempts", last.where, f"was made {len(attempts)} times: {ends}", "it stands beside the row")
        ok = [attempts[i].record for i in sorted(attempts) if attempts[i].record.status == "ok"]
        if len({_numbers(record) for record in ok if record.environment.code == ok[0].environment.code}) > 1:
            what = "gave other numbers when it was made again with the same code"
            yield doubted("attempts", last.where, what, "draw all noise from the problem's seeds")


def _numbers(record: Record) -> str:
    return record.predictions.sha256 if record.predictions else ""


def _covered(case: Case) -> Iterator[Finding]:
    """Every task and seed of the suite, of the method and of MAP."""
    for task, seeds in case.seeds.items():
        for is_map in (False, True):
            found, whose = case.of(task, is_map=is_map), "MAP" if is_map else case.manifest.method.label
            where = f"{RECORDS}/{task}"
            missing = [str(seed) for seed in seeds if seed not in found]
            if missing:
                what = f"{whose} has no record of seed {', '.join(missing)}"
                yield refused(
                    "plan", where, what, "every planned seed leaves a record, good or bad: 'ivi run' makes it"
                )
            for seed, entry in sorted(found.items()):
                if entry.record.status != "ok":
                    reason = entry.record.error.reason[:200] if entry.record.error else ""
                    what = f"{whose} seed {seed} {entry.record.status}: {reason}"
                    mend = "repeat it with 'ivi run --retry'; a failed attempt stays beside it"
                    yield (doubted if is_map else noted)("plan", entry.where, what, mend)
        if not case.ok(task, is_map=False):
            yield doubted("plan", f"{RECORDS}/{task}", "no seed of the method succeeded", "there is nothing to rank")


def _plan(case: Case) -> Iterator[Finding]:
    suite = case.manifest.suite
    where, mend = f"{RECORDS}/{suite}{SUFFIX}", "leave the plan as 'ivi submit' writes it"
    try:
        plan = read_plan(case.bundle / RECORDS, suite)
    except RecordError as error:
        what = str(error).rpartition(f"{SUFFIX}: ")[2]
        yield refused("plan", where, what, mend)
        return
    made = {entry.record.run_id for entry in case.entries}
    if plan is None or plan.suite != suite or {run.run_id for run in plan.runs} != made:
        what = "is not there" if plan is None else "plans other runs than those that are here"
        yield refused("plan", where, what, mend)
    for file in (case.bundle / RECORDS).glob(f"*{SUFFIX}"):
        if file.name != f"{suite}{SUFFIX}":
            yield refused("plan", f"{RECORDS}/{file.name}", "is the plan of another suite", "one suite a bundle")


def _one_machine(case: Case) -> Iterator[Finding]:
    """The method and MAP were made on one machine with one program, or their difference says nothing."""
    counting = list(case.counting.values())
    for part in _SAME:
        values = {str(getattr(one.record.environment, part)) for one in counting}
        if len(values) > 1:
            what = f"its runs differ in {part}"
            yield doubted("machine", RECORDS, what, "make all runs, and MAP's, on one machine with one program")
    packages = [one.record.environment.packages for one in counting]
    names = set().union(*packages) if packages else set()
    odd = sorted(name for name in names if len({one[name] for one in packages if name in one}) > 1)
    if odd:
        yield doubted("machine", RECORDS, f"its runs differ in the version of {', '.join(odd)}", AGAIN)
    if len({one.record.identity.device for one in counting}) > 1:
        yield refused("machine", RECORDS, "its runs are of several kinds of device", "make all runs on one")
