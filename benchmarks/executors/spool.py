"""A folder through which a driver hands jobs to workers on other machines and has their outcomes back. No torch.

    jobs/KEY.json       what is to be done; states/SHA: the fitted states that jobs carry, each once
    queue/N-KEY.LOST    waiting: N orders, LOST counts the workers that were lost over it
    taken/N-KEY.LOST.WORKER.NTH    being done, as the NTH job of that worker
    done/KEY.json, done/KEY.bin    what came of it
    closed              there will be no more

A job moves by renaming, which one process alone succeeds at, on any file system. The key is the hash of what is to be
done, so a driver that is started anew finds what the one before it has begun.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.executors.wire import NoOutcome, job_of, outcome_of, outcome_words, read_words, states_of, words_of
from benchmarks.measure.jobs import Answers, Fitted, Job
from benchmarks.measure.run import Outcome
from leaderboard.store import write_once

FOLDERS = ("jobs", "states", "queue", "taken", "done")


@dataclass(frozen=True)
class Taken:
    """A job that a worker has taken.

    Attributes:
        order: place in the queue.
        key: of the job.
        lost: workers that were lost over it before.
        worker: who has it; ``nth``: of the jobs of that worker, from 1.
        since: when it was taken, seconds since the epoch.
    """

    order: int
    key: str
    lost: int
    worker: str
    nth: int
    since: float = 0.0

    @property
    def name(self) -> str:
        """Of its file in ``taken``."""
        return f"{self.order:07d}-{self.key}.{self.lost}.{self.worker}.{self.nth}"


@dataclass(frozen=True)
class Spool:
    """The folder; it is its owner's alone."""

    folder: Path

    def make(self) -> None:
        """Have it there, with nothing waiting: what is still wanted is put in again."""
        for name in FOLDERS:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        for path in (self.folder / "queue").iterdir():
            path.unlink(missing_ok=True)
        self.reopen()
        for key in self.done():
            if not isinstance(self._end(key), Fitted | Answers):  # a failure has a record, or is to be tried again
                self.forget(key)

    def reopen(self) -> None:
        """There may be more to do."""
        (self.folder / "closed").unlink(missing_ok=True)

    def close(self) -> None:
        """Let workers end that find nothing to do."""
        (self.folder / "closed").touch()

    @property
    def closed(self) -> bool:
        """Whether there will be no more; so it is when the folder is gone."""
        return (self.folder / "closed").exists() or not (self.folder / "queue").exists()

    def drop(self) -> None:
        """Remove all of it but what workers have printed."""
        for name in FOLDERS:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def put(self, job: Job) -> str:
        """Write a job down and give its key; it is not waiting yet."""
        names = []
        for state in states_of(job):
            names.append(hashlib.sha256(state).hexdigest())
            if not (path := self.folder / "states" / names[-1]).exists():
                write_once(path, state, replace=True)
        words = words_of(job, names).encode()
        key = hashlib.sha256(words).hexdigest()[:32]
        write_once(self.folder / "jobs" / f"{key}.json", words, replace=True)
        return key

    def enqueue(self, key: str, order: int, lost: int = 0) -> None:
        """Let a job wait."""
        (self.folder / "queue" / f"{order:07d}-{key}.{lost}").touch()

    def has(self, key: str) -> bool:
        """Whether a job waits, is being done, or was; looked for in the order in which it moves."""
        return (
            any(_split(name)[1] == key for name in _names(self.folder / "queue"))
            or any(one.key == key for one in self.taken())
            or key in self.done()
        )

    def take(self, worker: str, nth: int) -> tuple[Taken, Job] | None:
        """The first job that waits; None if none does. Whoever loses a race for one tries the next."""
        for name in sorted(_names(self.folder / "queue")):
            order, key, lost = _split(name)
            taken = Taken(order, key, lost, worker, nth)
            with suppress(FileNotFoundError):
                path = self.folder / "taken" / taken.name
                (self.folder / "queue" / name).rename(path)
                os.utime(path)
                return taken, self.read(key)
        return None

    def read(self, key: str) -> Job:
        """The job itself."""
        words = read_words((self.folder / "jobs" / f"{key}.json").read_bytes())
        names = [*words.shared.values(), *([words.state] if words.state else [])]
        return job_of(words, {name: (self.folder / "states" / name).read_bytes() for name in names})

    def give_back(self, taken: Taken) -> None:
        """Let a job wait again whose worker was lost."""
        with suppress(FileNotFoundError):
            name = f"{taken.order:07d}-{taken.key}.{taken.lost + 1}"
            (self.folder / "taken" / taken.name).rename(self.folder / "queue" / name)

    def release(self, taken: Taken) -> None:
        """Let go of a job that has come to its end."""
        (self.folder / "taken" / taken.name).unlink(missing_ok=True)

    def finish(self, taken: Taken, outcome: Outcome) -> None:
        """Write down what came of a job: the bytes first, so that words that are there have theirs."""
        words, data = outcome_words(outcome)
        path = self.folder / "done" / taken.key
        write_once(path.with_suffix(".bin"), data, replace=True)
        about = {"sha256": hashlib.sha256(data).hexdigest(), "outcome": words}
        write_once(path.with_suffix(".json"), json.dumps(about).encode(), replace=True)
        self.release(taken)

    def done(self) -> set[str]:
        """Keys of the jobs that have come to their end."""
        return {name.removesuffix(".json") for name in _names(self.folder / "done") if name.endswith(".json")}

    def outcome(self, key: str) -> Outcome | None:
        """What came of a job; None if what lies there is no outcome, which is removed.

        It must be this user's own file, with bytes that its words name, and fields of the right types: other
        processes of the user may write there, and nothing in it is ever executed.
        """
        found = self._end(key)
        if found is None:
            self.forget(key)
        return found

    def _end(self, key: str) -> Outcome | None:
        path = self.folder / "done" / f"{key}.json"
        try:
            if path.stat().st_uid != os.getuid():
                return None
            about = json.loads(path.read_bytes())
            data = path.with_suffix(".bin").read_bytes()
            return outcome_of(about["outcome"], data) if hashlib.sha256(data).hexdigest() == about["sha256"] else None
        except (OSError, ValueError, KeyError, TypeError, NoOutcome):
            return None

    def forget(self, key: str) -> None:
        """Remove what came of a job."""
        for ending in (".json", ".bin"):
            (self.folder / "done" / f"{key}{ending}").unlink(missing_ok=True)

    def taken(self) -> Iterator[Taken]:
        """Every job that a worker has."""
        for name in sorted(_names(self.folder / "taken")):
            rest, worker, nth = name.rsplit(".", 2)
            with suppress(FileNotFoundError):
                since = (self.folder / "taken" / name).stat().st_mtime
                yield Taken(*_split(rest), worker, int(nth), since)

    def waiting(self) -> int:
        """How many jobs wait."""
        return len(_names(self.folder / "queue"))


def _names(folder: Path) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if not name.startswith(".")]
    except FileNotFoundError:
        return []


def _split(name: str) -> tuple[int, str, int]:
    order, _, rest = name.partition("-")
    key, _, lost = rest.partition(".")
    return int(order), key, int(lost)
