"""One task of a bundle: which runs are made again, and what they say of those that were submitted. No torch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from baselines.names import UserError
from baselines.seeds import derive_seed
from baselines.spec import MethodSpec
from benchmarks.measure.process import Gone, Lazily, TimedOut, child
from benchmarks.prepare import Prepared, prepare, read
from benchmarks.rerun import facts, traps
from benchmarks.rerun.claims import Claim
from benchmarks.rerun.judge import LOOKS, Look, differing, look
from benchmarks.rerun.make import Again, Workshop
from benchmarks.rerun.memory import Memory
from benchmarks.runs import Run
from benchmarks.suite import Task
from leaderboard.submission.findings import Finding, doubted

COPYING = 1800.0
"""Seconds that copying a task's data may take."""


@dataclass
class Rerun:
    """What is known of one task while it is run again.

    Attributes:
        claim: what was submitted.
        method, base: what is run, and MAP.
        shop: where.
        draw: what fresh seeds and copies are drawn from.
        fresh: how many seeds are drawn at first.
        suspects: run ids of submitted runs that are made again whatever else is.
        report: for JSON, filled in on the way.
    """

    claim: Claim
    task: Task
    method: MethodSpec
    base: MethodSpec
    shop: Workshop
    draw: str
    fresh: int
    suspects: Collection[str] = ()
    report: dict[str, Any] = field(default_factory=lambda: {"complete": False})

    def judged(self, board: Path) -> list[Finding]:
        """Make what is to be made, and every finding of it."""
        prepared = prepare(self.task, self.shop.progress)
        findings = self._refusals(prepared)
        if findings:
            return findings
        again = self._again_seeds(prepared, board)
        copy = self._copied("relabelled", prepared)
        fresh = [self._seed(i) for i in range(self.fresh)]
        made = self._made([*(self._runs(prepared, s) for s in again), *(self._runs(copy, s) for s in fresh)])
        theirs = [made[prepared.folder, seed] for seed in again]
        findings = facts.same_seeds(self.claim, theirs, self._other_bases(prepared, theirs), self.report)
        if failed := facts.failed([*theirs, *(made[copy.folder, seed] for seed in fresh)]):
            return [*findings, *failed]
        pairs = [made[copy.folder, seed] for seed in fresh]
        findings += self._fresh(copy, pairs)
        findings += traps.asked_again(self._copied("asked_twice", prepared), theirs[0][0], self.shop, self.report)
        findings += facts.costs(self.claim, [*theirs, *pairs], self.report)
        self.report["complete"] = True
        return findings

    def _refusals(self, prepared: Prepared) -> list[Finding]:
        """Why nothing can be run again; none where it can."""
        if prepared.manifest.order is not None:
            return [
                doubted("rerun", self.task.name, "its data are streamed and not sealed", "it cannot be run again yet")
            ]
        seed = self.claim.seeds()[0]
        theirs = self.claim.method[seed].record.identity
        ours = Run(self.task, prepared, self.method, seed, "cpu").identity
        if theirs.device != "cpu":
            return [
                doubted("rerun", self.task.name, f"made on {theirs.device}", "it is run again on a machine with one")
            ]
        if theirs != ours:
            part = "task" if theirs.task != ours.task else "method"
            what = f"its records are of another {part} than the bundle's source and this program make"
            return [doubted("identity", self.task.name, what, "run the suite again and submit anew")]
        return []

    def _again_seeds(self, prepared: Prepared, board: Path) -> list[int]:
        """The submitted seeds that are made again: one, or two of what is too good, or every suspect."""
        seeds = self.claim.seeds()
        suspect = [seed for seed in seeds if self.claim.method[seed].record.run_id in self.suspects]
        first = derive_seed("again", self.draw, self.task.name) % len(seeds)
        good = facts.too_good(self.claim, board)
        self.report["too_good"] = good
        drawn = [seeds[(first + i) % len(seeds)] for i in range(min(len(seeds), 2 if good else 1))]
        return list(dict.fromkeys([*drawn, *suspect]))

    def _seed(self, index: int) -> int:
        """The fresh seed of that number."""
        return derive_seed("fresh", self.draw, self.task.name, index) >> 33

    def _copied(self, kind: str, prepared: Prepared) -> Prepared:
        folder = self.shop.folder / kind
        renames = self.task.model.pretrained is None
        job = (kind, prepared.folder, folder, derive_seed(kind, self.draw, self.task.name), renames)
        with child(Lazily("benchmarks.rerun.copies:make_copy"), job, COPYING) as process:
            try:
                process.receive()
            except (Gone, TimedOut) as error:
                raise UserError(f"the process that copies its data {error}") from None
        found = read(folder)
        if found is None:
            raise UserError("a copy of its data cannot be read back: is the disk full?")
        self._view(found)
        return found

    def _view(self, prepared: Prepared) -> None:
        if self.shop.executor.wall is not None:
            self.shop.executor.wall.show(prepared.folder, self.shop.folder)

    def _runs(self, prepared: Prepared, seed: int) -> list[Run]:
        self._view(prepared)
        return [Run(self.task, prepared, spec, seed, "cpu") for spec in (self.base, self.method)]

    def _made(self, pairs: list[list[Run]]) -> dict[tuple[Path, int], tuple[Again, Again]]:
        """(folder, seed) -> the method's run and MAP's."""
        threads = self.claim.method[self.claim.seeds()[0]].record.environment.threads
        memory = Memory(self.shop.stack, threads, self.shop.executor.wall is not None)
        known = {run.run_id: memory.get(run) for run, _ in pairs}
        missing = [run for pair in pairs for run in pair if known.get(run.run_id) is None]
        made = self.shop.make(missing, threads)
        for base, _ in pairs:
            if base.run_id in made:
                memory.put(made[base.run_id])
        both = {key: one for key, one in (known | made).items() if one is not None}
        return {(base.data.folder, base.seed): (both[own.run_id], both[base.run_id]) for base, own in pairs}

    def _other_bases(self, prepared: Prepared, theirs: list[tuple[Again, Again]]) -> dict[int, Again]:
        """MAP of the submitted seeds, made here where machines differ: the measure of what that may change."""
        known = {base.run.seed: base for _, base in theirs}
        first = theirs[0][0]
        submitted = self.claim.method[first.run.seed].record.environment
        if not first.is_ok or not differing(submitted, first.record.environment):
            return known
        wanted = [Run(self.task, prepared, self.base, seed, "cpu") for seed in self.claim.base if seed not in known]
        made = self.shop.make(wanted, submitted.threads)
        return known | {one.run.seed: one for one in made.values() if one.is_ok}

    def _fresh(self, copy: Prepared, pairs: list[tuple[Again, Again]]) -> list[Finding]:
        """Compare fresh seeds with the submitted ones; draw more while there is a doubt."""
        while (seen := self._look(pairs)).goes_on:
            wanted = next(one for one in LOOKS if one > len(pairs))
            more = [self._seed(i) for i in range(len(pairs), wanted)]
            made = self._made([self._runs(copy, seed) for seed in more])
            pairs += [made[copy.folder, seed] for seed in more]
            if failed := facts.failed(pairs):
                return failed
        return facts.fresh_seeds(self.claim, pairs, seen, self.report)

    def _look(self, pairs: list[tuple[Again, Again]]) -> Look:
        claimed, fresh = facts.comparable_values(self.claim, pairs)
        return look(claimed, fresh, pairs[0][0].size)
