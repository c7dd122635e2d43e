"""What runs that were made again say of a claim: each function is one question, and gives findings. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.rerun.claims import Claim, Claimed
from benchmarks.rerun.judge import LOOKS, MAIN, REFUTED_BELOW, SHARE, Look, Values, differing, step_of, tolerance
from benchmarks.rerun.make import Again
from leaderboard.results import load_results
from leaderboard.statistics import detectable_difference
from leaderboard.submission.findings import Finding, doubted
from leaderboard.submission.rivals import NEAR, answers, near

Pair = tuple[Again, Again]
"""The method's run, and MAP's of the same seed."""
OFF_THE_CLOCK = 2.0
"""How many times the processor time of MAP's process, beside its fit, a method's may take beside its own."""
ALSO_NEAR = 10 * NEAR
"""Mean difference of a run made again, to MAP or to what was submitted, that bears out one nearer than `NEAR`: what
another machine does to it may be more, and other seeds are ten times further away still."""
CHEAPER = 2.0
"""How many times cheaper than seen here a method may be said to be."""


def failed(pairs: Sequence[Pair]) -> list[Finding]:
    """Runs that could not be made again. Where MAP's are among them it is the machine, and no method is accused."""
    mend = "a method must work from its source alone, without network or files of its own"
    bases = [base for _, base in pairs if not base.is_ok]
    if bases:
        mend = "MAP itself does not run here, which says nothing of the method: review it on another machine"
    found = []
    for run in bases or [own for own, _ in pairs if not own.is_ok]:
        error = run.record.error
        what = f"seed {run.run.seed} {run.record.status} when run again: {error.reason if error else ''}"
        found.append(doubted("rerun", f"{run.run.task.name} · {run.run.method.label}", what, mend))
    return found[:3]


def same_seeds(claim: Claim, pairs: Sequence[Pair], bases: dict[int, Again], report: dict[str, Any]) -> list[Finding]:
    """Whether submitted seeds come out again: to the bit on an equal machine, else within MAP's own difference."""
    findings, report["again"] = [], []
    for own, base in (pair for pair in pairs if pair[0].is_ok):
        theirs = claim.method[own.run.seed]
        apart = differing(theirs.record.environment, own.record.environment)
        equal = own.data is not None and hashlib.sha256(own.data).hexdigest() == hashlib.sha256(theirs.data).hexdigest()
        entry: dict[str, Any] = {"seed": own.run.seed, "run_id": theirs.record.run_id, "equal_to_the_bit": equal}
        entry |= {"machines_differ_in": apart, "like_map": base.is_ok and _near(own, base), "near": _near(own, theirs)}
        report["again"].append(entry)
        where = f"{claim.task} · seed {own.run.seed}"
        if not equal and not apart:
            shift = _shift(theirs.values, own.values)
            what = f"made again with equal code, threads and processor it is another run: {shift}"
            findings.append(doubted("same-seed", where, what, "submit what the source makes"))
        elif not equal:
            findings += _within(claim, own, theirs, bases, where, entry)
    return findings


def _near(own: Again, other: Again | Claimed) -> bool:
    return near(answers(own.sets["test"]), answers(other.sets["test"]), ALSO_NEAR)


def _within(
    claim: Claim, own: Again, theirs: Claimed, bases: dict[int, Again], where: str, entry: dict[str, Any]
) -> list[Finding]:
    findings, entry["tolerance"] = [], {}
    seeds = sorted(claim.base.keys() & bases.keys())
    known = [theirs, *claim.method.values(), *(claim.base[seed] for seed in seeds)]
    for column, value in own.values.items():
        if not all(column in one.values for one in known):
            what = f"a run has no {_name(column)}"
            findings.append(doubted("same-seed", where, what, "submit runs of the whole task"))
            continue
        allowed = tolerance(
            [claim.base[seed].values[column] for seed in seeds],
            [bases[seed].values[column] for seed in seeds],
            [one.values[column] for one in claim.method.values()],
            step_of(column, own.size),
        )
        off = abs(value - theirs.values[column])
        entry["tolerance"][":".join(column)] = {"off": off, **vars(allowed)}
        if not off <= allowed.value:
            what = f"{_name(column)} is {value:.4g} when made again, {theirs.values[column]:.4g} as submitted"
            why = f"MAP of both machines allows {allowed.value:.2g}"
            findings.append(doubted("same-seed", where, f"{what}; {why}", "submit what the source makes"))
    return findings


def comparable_values(claim: Claim, pairs: Sequence[Pair]) -> tuple[list[Values], list[Values]]:
    """Claimed and fresh values: as they are where the machines are equal, else less those of MAP of the same seed.

    Without MAP of two seeds at least there is nothing to subtract.
    """
    first = next(iter(claim.method.values())).record.environment
    if not differing(first, pairs[0][0].record.environment):
        return [one.values for one in claim.method.values()], [own.values for own, _ in pairs]
    both = [(own.values, claim.base[seed].values) for seed, own in claim.method.items() if seed in claim.base]
    if len(both) < 2:
        return [one.values for one in claim.method.values()], [own.values for own, _ in pairs]
    return [_less(*one) for one in both], [_less(own.values, base.values) for own, base in pairs]


def fresh_seeds(claim: Claim, pairs: Sequence[Pair], seen: Look, report: dict[str, Any]) -> list[Finding]:
    """Whether the submitted seeds are better than seeds that nobody chose."""
    claimed, fresh = comparable_values(claim, pairs)
    columns = list(seen.p)
    report["fresh"] = {
        "seeds": [own.run.seed for own, _ in pairs],
        "test": f"one-sided Welch t; after {LOOKS} fresh seeds levels {REFUTED_BELOW}, x {SHARE} but for {MAIN[1]}",
        "p": {":".join(column): p for column, p in seen.p.items()},
        "claimed": {":".join(one): [values[one] for values in claimed] for one in columns},
        "made": {":".join(one): [values[one] for values in fresh] for one in columns},
    }
    if len({own.data for own, _ in pairs}) < len(pairs):
        what = "different seeds give the same predictions to the bit: its interval over seeds says nothing"
        return [doubted("fresh-seeds", claim.task, what, "take all randomness from problem.seeds")]
    return [_too_lucky(claim, seen, claimed, fresh, column) for column in seen.refuted]


def _too_lucky(
    claim: Claim, seen: Look, claimed: Sequence[Values], fresh: Sequence[Values], column: tuple[str, str]
) -> Finding:
    means = [mean(values[column] for values in some) for some in (claimed, fresh)]
    what = (
        f"{_name(column)} of {len(claimed)} submitted seeds is {means[0]:.4g}, of {len(fresh)} fresh ones on classes "
        f"renamed {means[1]:.4g} (p = {seen.p[column]:.1g} that these are one method)"
    )
    return doubted(
        "fresh-seeds", claim.task, what, "submit every planned seed as it comes, and learn from `problem` alone"
    )


def costs(claim: Claim, pairs: Sequence[Pair], report: dict[str, Any]) -> list[Finding]:
    """What it costs seen from outside, over whole trees of processes; footnotes where more is spent than is said."""
    where, findings = claim.task, []
    spent = [(own, base) for own, base in pairs if own.usages and base.usages]
    ratio = mean(own.cpu for own, _ in spent) / max(1e-9, mean(base.cpu for _, base in spent))
    fits = mean(_fit(own) for own, _ in pairs) / max(1e-9, mean(_fit(base) for _, base in pairs))
    beside, usual = mean(_beside(own) for own, _ in spent), mean(_beside(base) for _, base in spent)
    report["cost"] = {
        "fit_over_map": fits,
        "processor_over_map": ratio,
        "memory": max(own.memory for own, _ in spent),
        "processes": max(usage.processes for own, _ in spent for usage in own.usages),
        "processor_beside_the_clock_s": beside,
        "processor_beside_the_clock_of_map_s": usual,
    }
    said = [_fit_of(one) / _fit_of(claim.base[seed]) for seed, one in claim.method.items() if seed in claim.base]
    if said and fits > CHEAPER * mean(said):
        what = f"a fit takes {fits:.2g} times MAP's here, {mean(said):.2g} times as submitted"
        findings.append(Finding("cost", "note", where, what, "its costs are claimed; the board measures its own"))
    if beside > OFF_THE_CLOCK * usual + 1.0:
        what = f"{beside:.1f} s of processor time beside its timed fit, where MAP takes {usual:.1f} s"
        findings.append(
            Finding("cost", "note", where, what, "work belongs into `fit`, on the clock and in its process")
        )
    return findings + _steps(claim, [own for own, _ in pairs])


def _steps(claim: Claim, runs: Sequence[Again]) -> list[Finding]:
    run = runs[0]
    recipe = run.run.task.recipe.changed(run.record.audit.recipe_changes)
    allowed = recipe.steps(run.run.task.data.train)
    if run.steps <= allowed:
        return []
    what = f"{run.steps} optimizer steps of its own, where the recipe that it declares has {allowed}"
    return [doubted("steps", claim.task, what, "declare them in recipe_changes, and submit anew")]


def too_good(claim: Claim, board: Path) -> list[str]:
    """Columns in which it beats the best published row by more than what its seeds can show."""
    setting = next(iter(claim.method.values())).record.identity.setting
    rows: dict[str, dict[int, Any]] = {}
    for one in load_results(board).results if board.is_dir() else ():
        if one.setting == setting and one.is_ok and not one.is_history:
            rows.setdefault(one.label, {})[one.seed] = one.metrics
    found = []
    for set_name, metric in next(iter(claim.method.values())).values:
        values = {
            label: {
                seed: float(sets[set_name][metric])
                for seed, sets in by_seed.items()
                if metric in sets.get(set_name, {})
            }
            for label, by_seed in rows.items()
        }
        sign = 1.0 if _higher(metric) else -1.0
        best = max((sign * mean(row.values()) for row in values.values() if row), default=None)
        ours = sign * mean(one.values[set_name, metric] for one in claim.method.values())
        if best is not None and ours - best > detectable_difference(values):
            found.append(_name((set_name, metric)))
    return found


def _higher(metric: str) -> bool:
    from leaderboard.scoring import better

    return better(metric) == "higher"


def _fit(run: Again) -> float:
    return run.record.cost.fit_s if run.record.cost else 0.0


def _fit_of(claimed: Claimed) -> float:
    return max(1e-9, claimed.record.cost.fit_s) if claimed.record.cost else 1e-9


def _beside(run: Again) -> float:
    """Seconds of processor time of a run's own processes that its clocks did not see."""
    cost = run.record.cost
    return max(0.0, run.cpu - (cost.fit_s - cost.shared_s + cost.predict_s if cost else 0.0))


def _less(values: Values, base: Values) -> dict[tuple[str, str], float]:
    return {column: values[column] - base[column] for column in values if column in base}


def _shift(theirs: Values, ours: Values) -> str:
    return ", ".join(f"{_name(one)} {ours[one]:.4g} in place of {theirs[one]:.4g}" for one in ours if one in theirs)


def _name(column: tuple[str, str]) -> str:
    return f"{column[0]}:{column[1]}"
