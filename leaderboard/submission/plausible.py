"""Costs that can be: seconds that were spent, on as many operations as the record counts. They stay claims.

What cannot be on any machine is ``cost``. What cannot be on a machine that does little else is ``pace``: a re-run,
which measures both on one machine, settles it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from leaderboard.cost import CostRecord, MethodCost, quartiles, ratios, read_costs
from leaderboard.record import Cost
from leaderboard.submission.case import Case, Entry
from leaderboard.submission.findings import Finding, doubted, refused
from leaderboard.submission.manifest import COST

MEND = "submit what 'ivi run' and 'ivi cost' have measured, on a machine that does little else"
CORE, GPU = 1e12, 4e15
"""Floating-point operations a second that no core and no GPU reaches."""
FASTER = 4.0
"""Times MAP's speed a step that a step of the same operations does not reach, and times that two measurements of one
ratio differ at most, on a machine that does little else."""
BUSY = 100.0
"""The same on any machine: other work has been seen to lengthen a fit fifteenfold."""


def costs(case: Case) -> Iterator[Finding]:
    """What cannot be in the costs of a bundle."""
    for entry in case.entries:
        if entry.record.cost is not None:
            yield from _possible(case, entry, entry.record.cost)
    for task in case.seeds:
        yield from _beside_map(case, task)
        for is_map in (False, True):
            seconds = [one.record.cost.fit_s for one in case.ok(task, is_map=is_map).values() if one.record.cost]
            if len(set(seconds)) < len(seconds):
                yield doubted("cost", f"records/{task}", "two seeds took the same time to the last digit", MEND)
    yield from _measured(case)


def _possible(case: Case, entry: Entry, cost: Cost) -> Iterator[Finding]:
    where, truth = entry.where, case.truths.get(entry.record.identity.task.name)
    if cost.fit_s <= 0 or cost.predict_s <= 0 or cost.shared_s > cost.fit_s:
        yield doubted("cost", where, "took no time, or shared more than it took", MEND)
        return
    if not cost.state_bytes or (cost.steps and not cost.parameters):
        yield doubted("cost", where, "has no state, or steps and nothing to train", MEND)
    # What torch does not train, trees for one, has no steps, no parameters, and no operations that are counted.
    operations = (cost.fit_flops if cost.steps else None, cost.predict_flops if cost.parameters else None)
    if 0 in (*operations, cost.peak_memory_fit, cost.peak_memory_predict):
        yield doubted("cost", where, "took no operations or no memory", MEND)
    evaluated = sum(one.n for name, one in truth.sets.items() if name != "train") if truth else 0
    if truth and entry.record.status == "ok" and cost.predict_examples != evaluated:
        what = f"names {cost.predict_examples} predicted examples, the task has {evaluated}"
        yield doubted("cost", where, what, MEND)
    fastest = GPU if entry.record.identity.device == "cuda" else CORE * max(1, entry.record.environment.threads)
    done = ((cost.fit_flops, cost.fit_s), ((cost.predict_flops or 0) * cost.predict_examples, cost.predict_s))
    for flops, seconds in done:
        if flops and flops / seconds > fastest:
            yield doubted("cost", where, f"{flops:.3g} operations in {seconds:.3g} s are beyond any machine", MEND)


def _beside_map(case: Case, task: str) -> Iterator[Finding]:
    """A step of at least half of MAP's operations is not several times faster than MAP's: one of the two is wrong.

    Whatever else a machine does lengthens seconds and shortens none, so MAP's fastest seed is what others are held to.
    """
    base = [one.record.cost for one in case.ok(task, is_map=True).values()]
    known = [one for one in base if one and one.steps and one.fit_s]
    if not known:
        return
    other = min(known, key=lambda one: one.fit_s / one.steps)
    for entry in case.ok(task, is_map=False).values():
        mine = entry.record.cost
        if mine is None or not (mine.steps and mine.fit_s):
            continue
        if mine.fit_flops and other.fit_flops and mine.fit_flops / mine.steps < other.fit_flops / other.steps / 2:
            continue
        times = other.fit_s / other.steps / (mine.fit_s / mine.steps)
        if times > FASTER:
            what = f"a step is {times:.3g} times faster than one of MAP, of no fewer operations"
            yield doubted(_check(times), entry.where, what, MEND)


def _check(times: float) -> str:
    """What says that something is so many times off."""
    return "pace" if times <= BUSY else "cost"


def _measured(case: Case) -> Iterator[Finding]:
    """The measurements of `ivi cost`: of these runs, and of the ratios that the runs have."""
    shelf = read_costs(case.bundle / COST)
    for found in shelf.findings:
        yield refused("cost", found.path.relative_to(case.bundle).as_posix(), found.problem, MEND)
    seen = set[str]()
    for record in shelf.records:
        if not isinstance(record, CostRecord) or record.task.name not in case.truths:
            yield refused("cost", COST, "holds a measurement of another task or edition", MEND)
            continue
        seen.add(record.task.name)
        yield from _one(case, record)
    for task in case.seeds.keys() - seen:
        yield doubted("cost", COST, f"no measurement of {task} with MAP in turns", "make it with 'ivi cost'")


def _one(case: Case, record: CostRecord) -> Iterator[Finding]:
    task, where = record.task.name, f"{COST}/{record.task.name}"
    runs = {is_map: list(case.ok(task, is_map=is_map).values()) for is_map in (True, False)}
    if record.task != case.truths[task].task:
        yield refused("cost", where, "is of a task of that name with other contents", MEND)
        return
    entries = {one.method.model_dump_json(): one for one in record.methods}
    methods = [runs[is_map][0].record.identity.method if runs[is_map] else None for is_map in (True, False)]
    found = [entries.get(method.model_dump_json()) if method else None for method in methods]
    if None in found or len(record.methods) != 2:
        yield doubted("cost", where, "measures not just this method and MAP", MEND)
        return
    environments = {_machine(one.record.environment) for one in runs[False]}
    if environments and _machine(record.environment) not in environments:
        yield doubted("cost", where, "was measured on another machine or with other code than the runs", MEND)
    base, mine = found
    assert base is not None and mine is not None
    yield from _agrees(where, mine, base, runs)


def _machine(environment: object) -> tuple[object, ...]:
    return tuple(getattr(environment, name) for name in ("code", "device_name", "capability", "threads"))


def _agrees(where: str, mine: MethodCost, base: MethodCost, runs: Mapping[bool, list[Entry]]) -> Iterator[Finding]:
    if mine.error or base.error:
        yield doubted("cost", where, f"could not be measured: {(mine.error or base.error)[:200]}", MEND)
        return
    for one, is_map in ((mine, False), (base, True)):
        sizes = {(e.record.cost.parameters, e.record.cost.state_bytes) for e in runs[is_map] if e.record.cost}
        if sizes and (one.parameters, one.state_bytes) not in sizes:
            yield doubted("cost", where, f"{one.label} has other parameters or state than in its runs", MEND)
    for kind in ("fit", "predict"):
        values = list(ratios(mine, base, kind).values())
        if not values:
            yield doubted("cost", where, f"has no rounds of {kind}", MEND)
            continue
        turns, own = quartiles(values).median, _of_runs(runs, f"{kind}_s")
        if kind == "fit" and own and not 1 / FASTER <= turns / own <= FASTER:
            what = f"{kind}: {turns:.3g} times MAP in turns, {own:.3g} times in the runs"
            yield doubted(_check(max(turns / own, own / turns) if turns else math.inf), where, what, MEND)
    if not (base.fit_memory and base.predict_memory and mine.fit_memory and mine.predict_memory):
        yield doubted("cost", where, "took no memory", MEND)


def _of_runs(runs: Mapping[bool, list[Entry]], name: str) -> float:
    """Ratio to MAP's of the seconds of the run that was disturbed least, of either; 0 where there are none."""
    mine, base = (
        [getattr(one.record.cost, name) for one in runs[is_map] if one.record.cost] for is_map in (False, True)
    )
    return min(mine) / min(base) if mine and base and min(base) else 0.0
