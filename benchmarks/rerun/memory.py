"""Runs of MAP that this machine has made for earlier reviews, by identity: they need not be made a second time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from benchmarks.executors.usage import Usage
from benchmarks.machine import cache_folder, cpu_name
from benchmarks.measure.environment import Stack
from benchmarks.rerun.make import Again
from benchmarks.runs import Run
from leaderboard.identity import digest
from leaderboard.predictions import parse_predictions
from leaderboard.record import Record
from leaderboard.store import write_once


@dataclass(frozen=True)
class Memory:
    """Kept below the cache, where no process behind a wall can reach; ``trusted`` is False where there is no wall."""

    stack: Stack
    threads: int
    trusted: bool

    def get(self, run: Run) -> Again | None:
        """The run, if it was made with this code on this processor."""
        path = self._path(run)
        try:
            if not self.trusted:
                return None
            about = json.loads(path.with_suffix(".json").read_bytes())
            record = Record.model_validate(about["record"])
            data = path.read_bytes()
            usages = tuple(Usage(**one) for one in about["usages"])
            return Again(run, record, parse_predictions(data, str(path)), data, b"", about["steps"], usages)
        except (OSError, ValueError, KeyError, TypeError, ValidationError):
            return None

    def put(self, made: Again) -> None:
        """Keep a run that is ok."""
        if not self.trusted or made.data is None:
            return
        path = self._path(made.run)
        usages = [vars(one) for one in made.usages]
        about = {"record": made.record.model_dump(mode="json"), "steps": made.steps, "usages": usages}
        write_once(path, made.data, replace=True)
        write_once(path.with_suffix(".json"), json.dumps(about).encode(), replace=True)

    def _path(self, run: Run) -> Path:
        parts = [run.identity.model_dump(mode="json"), self.stack.code, self.stack.packages, self.threads, cpu_name()]
        return cache_folder() / "reruns" / f"{digest(parts)[:32]}.safetensors"
