"""The command `ivi` for tests: in this process, where the server of processes is started once, or in one of its own."""

import io
import json
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.cli import main
from benchmarks.measure.environment import Stack
from leaderboard.store import SCORES, beside

ROOT = Path(__file__).parents[2]
DIRTY = "the code had uncommitted changes"


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it wrote."""

    code: int
    stdout: str
    stderr: str


def ivi(*arguments, cwd=None, code=0):
    """What `ivi` does with these arguments, as its entry point calls it; it must end with ``code``."""
    out, err = io.StringIO(), io.StringIO()
    ended = 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["ivi", *map(str, arguments)])
        patch.setenv("COLUMNS", "300")
        if cwd is not None:
            patch.chdir(cwd)
        try:
            main()
        except SystemExit as end:
            ended = int(end.code or 0)
    done = Done(ended, out.getvalue(), err.getvalue())
    assert code is None or done.code == code, done
    return done


def heeds_interrupts():
    """For ``preexec_fn``: a child of a shell's background job would ignore SIGINT, as the job does."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def command(*arguments):
    """`ivi` with these arguments as a command line of a process of its own."""
    return [sys.executable, "-P", "-c", "from benchmarks.cli import main; main()", *map(str, arguments)]


def ivi_apart(*arguments, cwd, code=0, **environment):
    """`ivi` in a process of its own, with other environment variables."""
    surroundings = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "300"} | environment
    done = subprocess.run(command(*arguments), cwd=cwd, env=surroundings, capture_output=True, text=True, timeout=600)
    assert done.returncode == code, done.stdout + done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def records(folder):
    """Path -> content of every record below ``folder``."""
    paths = sorted(folder.glob("*/*/*.json"))
    texts = {path: path.read_text() for path in paths if not path.name.endswith((SCORES, ".cost.json"))}
    return {path: json.loads(text) for path, text in texts.items() if text.endswith("}\n")}  # whole ones


def of(folder, label, seed=0, attempt=1):
    """The record of one run."""
    found = [
        record
        for record in records(folder).values()
        if (record["label"], record["identity"]["seed"], record["attempt"]) == (label, seed, attempt)
    ]
    assert len(found) == 1, (label, seed, attempt, len(found))
    return found[0]


def scores(folder, label, seed=0):
    """Evaluation set -> metric -> value of one run."""
    (path,) = [
        path
        for path, record in records(folder).items()
        if record["label"] == label and record["identity"]["seed"] == seed
    ]
    return json.loads(beside(path, SCORES).read_text())["sets"]


def shas(folder):
    """(run id, label, seed) -> SHA-256 of its predictions, of every run that is ok."""
    return {
        (record["run_id"], record["label"], record["identity"]["seed"]): record["predictions"]["sha256"]
        for record in records(folder).values()
        if record["status"] == "ok"
    }


def rows(*arguments, cwd):
    """Name -> row of `ivi table`; rows that only a changed checkout makes doubtful have their plain name."""
    found = json.loads(ivi("table", *arguments, "-f", "json", cwd=cwd).stdout)["rows"]
    named = {row["method"].removesuffix(" (doubtful)") if is_ranked(row) else row["method"]: row for row in found}
    assert len(named) == len(found)
    return named


def is_ranked(row):
    """Whether a row is ranked, or is not for the one reason that work in a checkout brings."""
    return row["ranked"] or (row["reason"] == DIRTY and bool(Stack.now().dirty))
