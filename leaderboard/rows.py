"""Which runs make a row, and whether it may stand beside the others: by identity, never by name alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from leaderboard.plan import BASE, Plan, PlannedRun
from leaderboard.results import Result
from leaderboard.shelf import counting

TASK_PARTS = ("version", "likelihood", "outputs", "split", "model", "recipe", "evaluation")


class Make(NamedTuple):
    """Machine and software of a run, as far as they decide its numbers."""

    device_name: str
    metrics_version: int
    stack: tuple[tuple[str, str], ...]


def makes_of(results: Iterable[Result]) -> frozenset[Make]:
    """With what some runs were made."""
    return frozenset(Make(one.device_name, one.metrics_version, one.stack) for one in results)


@dataclass(frozen=True)
class Group:
    """The runs of one row.

    Attributes:
        name: what the row is called: its label, with more where another row of the task has the same.
        runs: seed -> run id of all that belong to it, made or not.
        results: seed -> what counts of each run that was made; ``ok``: those that succeeded.
        is_planned: whether the plan has it.
        is_base: whether it is the MAP row that others are compared with.
        reason: why it is not ranked; empty if it is.
        state: the reason in a word, to tell rows of one label apart.
        notes: what a reader should know, one footnote each.
    """

    task: str
    label: str
    name: str
    runs: Mapping[int, str]
    results: Mapping[int, Result]
    ok: Mapping[int, Result]
    is_planned: bool = False
    is_base: bool = False
    reason: str = ""
    state: str = ""
    notes: tuple[str, ...] = ()

    @property
    def one(self) -> Result | None:
        """Any of its results: what they have in common."""
        return next(iter((self.ok or self.results).values()), None)

    @cached_property
    def makes(self) -> frozenset[Make]:
        """With what its ok runs were made: of most rows one."""
        return makes_of(self.ok.values())

    @cached_property
    def at_chance(self) -> tuple[int, ...]:
        """The seeds of ok runs that are no better than a guess."""
        return tuple(seed for seed, one in self.ok.items() if is_at_chance(one))

    @property
    def standing(self) -> str:
        """What the board has seen of it: the state of its results."""
        return self.one.state if self.one else "own"


@dataclass
class _Bench:
    """What the rows of one task are held against.

    Attributes:
        setting: the identity that ranked rows share but for method and seed; None where nothing was made.
        base: the MAP row; None where there is none.
        seeds: that every row needs.
        planned: labels of the plan; empty without one.
    """

    setting: str | None
    base: Group | None
    seeds: set[int]
    planned: frozenset[str]


def groups_of(results: Sequence[Result], plan: Plan | None = None, tasks: Iterable[str] | None = None) -> list[Group]:
    """The rows of a board, tasks in the order of the plan, each row with the reason why it is not ranked.

    Args:
        results: all that there are.
        plan: what the board is about: its runs, and whatever else was made on tasks of the same name; None: everything.
        tasks: only these.
    """
    attempts: dict[str, list[Result]] = {}
    for result in results:
        attempts.setdefault(result.run_id, []).append(result)
    planned: dict[tuple[str, str], list[PlannedRun]] = {}
    of_task: dict[str, list[PlannedRun]] = {}
    for run in plan.runs if plan else ():
        planned.setdefault((run.task, run.row), []).append(run)
        of_task.setdefault(run.task, []).append(run)
    made: dict[tuple[str, str], list[Result]] = {}
    for result in counting(attempts).values():
        made.setdefault((result.task, result.row), []).append(result)
    names = dict.fromkeys(task for task, _ in (planned if plan else made))
    rows: dict[str, list[Group]] = {task: [] for task in names if tasks is None or task in set(tasks)}
    for key in dict.fromkeys([*planned, *made]):
        if key[0] in rows:
            rows[key[0]].append(_group(planned.get(key, []), made.get(key, []), attempts))
    return [
        group for task, members in rows.items() for group in _judged(members, _bench(of_task.get(task, []), members))
    ]


def _group(planned: Sequence[PlannedRun], made: Sequence[Result], attempts: Mapping[str, Sequence[Result]]) -> Group:
    runs = {run.seed: run.run_id for run in planned} or {one.seed: one.run_id for one in made}
    results = {one.seed: one for one in sorted(made, key=lambda one: one.seed) if runs.get(one.seed) == one.run_id}
    ok = {seed: one for seed, one in results.items() if one.is_ok}
    first = planned[0] if planned else made[0]
    is_base = planned[0].base if planned else made[0].is_base
    notes = [note for one in results.values() for note in one.notes]
    for seed, one in results.items():
        notes += _told(seed, one, attempts[one.run_id])
    group = Group(first.task, first.label, first.label, runs, results, ok, bool(planned), is_base)
    if group.at_chance:
        notes.append(f"no better than chance: seed {', '.join(map(str, group.at_chance))}")
    unranked = [one.metrics.number("test", "nll") for one in ok.values() if one.doubt]  # `verify` lets those repeat
    if len(unranked) > 1 and len({*unranked} - {None}) == 1:
        notes.append("the same for every seed: it draws nothing")
    return replace(group, notes=tuple(dict.fromkeys(notes)))


def _told(seed: int, one: Result, attempts: Sequence[Result]) -> list[str]:
    """What other attempts a run has that do not count."""
    if one.status != "ok" or len(attempts) == 1:
        return []
    others = [other for other in attempts if other is not one]
    notes = []
    before = [other for other in others if other.status != "ok"]
    if before:
        notes.append(f"seed {seed} ok at attempt {one.attempt}; {len(before)} other{'s' * (len(before) > 1)} not ok")
    again = [f"{other.attempt}{'' if other.code == one.code else ', other code'}" for other in others if other.is_ok]
    if again:
        notes.append(f"seed {seed} was made more than once (attempt {'; '.join(again)}): attempt {one.attempt} counts")
    return notes


def is_at_chance(one: Result) -> bool:
    """Whether the accuracy is within the error, at 97.5 %, of one that guesses among the classes."""
    accuracy = one.metrics.number("test", "accuracy")
    if accuracy is None or not one.classes or not one.test_size:
        return False
    chance = 1.0 / one.classes
    return accuracy <= chance + 1.96 * math.sqrt(chance * (1.0 - chance) / one.test_size)


def _bench(runs: Sequence[PlannedRun], members: Sequence[Group]) -> _Bench:
    """What the rows ``members`` of a task are held against; ``runs``: those that the plan has of it."""
    if runs:
        setting = next((run.setting for run in runs if run.base), runs[0].setting)
        base = next((group for group in members if group.is_base and group.is_planned), None)
        seeds = {run.seed for run in runs}
        return _Bench(setting, base, seeds, frozenset(run.label for run in runs))
    setting = _main_setting(members)
    bases = [g for g in members if g.is_base and g.one and g.one.setting == setting]
    base = max(bases, key=lambda g: (len(g.ok), g.one.row if g.one else ""), default=None)
    return _Bench(setting, base, set(base.runs) if base else set(), frozenset())


def _main_setting(members: Sequence[Group]) -> str | None:
    """Without a plan: the setting in which most was made, of this edition and with a MAP row if there is one."""
    weights: Counter[str] = Counter()
    facts: dict[str, tuple[bool, bool]] = {}
    for group in members:
        if group.one is not None:
            weights[group.one.setting] += len(group.ok)
            had = facts.get(group.one.setting, (False, False))
            facts[group.one.setting] = (not group.one.is_history, had[1] or group.is_base)
    return max(weights, key=lambda s: (facts[s], weights[s], s), default=None)


def _judged(members: Sequence[Group], bench: _Bench) -> list[Group]:
    judged = []
    for group in members:
        state, reason = _reason(group, bench)
        is_base = bench.base is not None and group is bench.base
        judged.append(replace(group, state=state, reason=reason, is_base=is_base))
    return _named(judged)


def _named(members: Sequence[Group]) -> list[Group]:
    """``members`` with names that differ: the ranked row keeps its label, others say what they are."""
    taken: Counter[str] = Counter(group.label for group in members)
    named, seen = [], Counter[str]()
    for group in sorted(members, key=lambda group: group.state not in ("", "seeds")):
        name = group.label
        if taken[name] > 1 and group.state not in ("", "seeds"):
            name = f"{name} ({group.state})"
        if group.one is not None and group.label == BASE and group.one.method[0] != BASE:
            name = f"{name} (method {group.one.method[0]})"
        seen[name] += 1
        named.append((group, name if seen[name] == 1 else f"{name} ({seen[name]})"))
    names = {id(group): name for group, name in named}
    return [replace(group, name=names[id(group)]) for group in members]


def _reason(group: Group, bench: _Bench) -> tuple[str, str]:
    """Why a row is not ranked, in a word and in a line; empty if it is."""
    one = group.one
    if one is not None and one.is_history:
        return "history", one.doubt
    if one is not None and one.setting != bench.setting:
        return _other_setting(one, bench.base.one if bench.base else None)
    if group.label in bench.planned and not group.is_planned:
        return "stale", "stale: not in the plan any more"
    missing = sorted(seed for seed in bench.seeds | set(group.runs) if seed not in group.ok)
    if missing:
        wanted = len(bench.seeds | set(group.runs))
        return "seeds", f"{len(group.ok)} of {wanted} seeds ok; {_missing(group, missing[0])}"
    doubts = [result.doubt for result in group.ok.values() if result.doubt]
    if doubts:
        return ("doubtful" if group.standing == "own" else group.standing), doubts[0]
    return _other_stack(group, bench.base)


def _missing(group: Group, seed: int) -> str:
    result = group.results.get(seed)
    if result is None:
        return f"seed {seed} not run yet"
    if result.status == "ok":
        return f"seed {seed}: {result.doubt or 'no scores'}"
    return f"seed {seed} {result.status}: {result.reason}"


def _other_setting(one: Result, base: Result | None) -> tuple[str, str]:
    """What differs in task, rules or device from the MAP row."""
    if base is None or base.identity is None or one.identity is None:
        return "another task", "made on another task or device than the others"
    if one.device != base.device:
        return "another device", f"made on {one.device}, the MAP row on {base.device}"
    mine, other = one.identity, base.identity
    if mine.data != other.data:
        what = "spec" if mine.data.spec != other.data.spec else "content"
        name = f": {mine.data.name}, not {other.data.name}" if mine.data.name != other.data.name else f", by its {what}"
        return "other data", f"other data than the MAP row's{name}"
    for part in TASK_PARTS:
        if getattr(mine, part) != getattr(other, part):
            values = f": {mine.version}, not {other.version}" if part == "version" else ""
            return "another task", f"another {part} of the task than the MAP row's{values}"
    return "other rules", "made under other rules than the MAP row"


def _other_stack(group: Group, base: Group | None) -> tuple[str, str]:
    """What differs in machine or software among the runs of a row, or from the MAP row."""
    if base is None or not base.ok:
        return "no MAP", "no MAP row beside it that was made"
    # A submitted row stands beside MAP of its own machine; a review held that one against ours.
    theirs = group.one.beside if group.one else None
    mine, beside = group.makes, group.makes | (makes_of(theirs.values()) if theirs else base.makes)
    for makes, whose in ((mine, "its seeds were not all made"), (beside, "it and the MAP row were not made")):
        devices = {make.device_name for make in makes}
        if len(devices) > 1:
            return "another device", f"{whose} on one device: {', '.join(sorted(devices))}"
        if len({make.metrics_version for make in makes}) > 1:
            return "stale", f"stale: {whose} with one version of the metrics: 'ivi score' makes all anew"
        parts = {name for make in makes for name, _ in make.stack}
        stacks = [dict(make.stack) for make in makes]
        odd = sorted(name for name in parts if len({stack.get(name) for stack in stacks}) > 1)
        if odd:
            return "stale", f"stale: {whose} with the same {', '.join(map(_part, odd))}"
    return "", ""


def _part(name: str) -> str:
    return "our code" if name == "code" else name


def comparable(one: Result, other: Result) -> bool:
    """Whether two runs may be paired: same task, rules, device and software."""
    is_alike = one.setting == other.setting and one.device_name == other.device_name
    return is_alike and one.stack == other.stack and one.metrics_version == other.metrics_version
