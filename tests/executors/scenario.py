"""What the scenarios of `chaos.py` share: a tiny suite, whom to kill and when, and what must be there at the end."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SUITE = """
name = "tiny"
description = "a suite for tests"
tasks = ["digits-mlp"]
methods = ["map", "laplace", "mc_dropout(passes=2)"]
seeds = [0, 1, 2, 3]
"""
RUNS = 12
MARK = "IVI_CHAOS"
"""In the environment of every process that a scenario starts: what has it at the end was left over."""
PATIENCE = 7200
"""Seconds after which a suite hangs, on however busy a machine."""
LOOK = 1.0
"""Seconds between two looks at what the processes have computed."""
TICKS = os.sysconf("SC_CLK_TCK")
BAD = ("lost", "doubled", "half-written", "changed", "left over")


class Chaos:
    """One scenario: a folder, where its records are ``out``; how often something was killed, by what it was."""

    def __init__(self, name, folder, extra=(), **environment):
        self.name, self.folder, self.extra, self.kills = name, folder / name, list(extra), Counter()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.out = self.folder / "out"
        self.random = random.Random(f"chaos {name}")
        self.environment = os.environ | {MARK: f"{name}-{os.getpid()}", "PYTHONPATH": str(ROOT)} | environment
        self.suite = folder / "tiny.toml"
        self.suite.write_text(SUITE)
        self.computed, self.known = 0.0, {}

    def start(self):
        """Start the driver."""
        command = [sys.executable, "-P", "-c", "from benchmarks.cli import main; main()"]
        command += ["run", self.suite, "--out", self.out, *self.extra]
        with (self.folder / "driver.log").open("a") as log:
            return subprocess.Popen(
                list(map(str, command)),
                env=self.environment,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def run(self):
        """Run undisturbed; how it ended."""
        return self.start().wait(PATIENCE)

    def processes(self):
        """Number -> command line of every process of this scenario."""
        found, mark = {}, f"{MARK}={self.environment[MARK]}".encode()
        for entry in os.listdir("/proc"):
            with suppress(OSError):
                if entry.isdecimal() and mark in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                    found[int(entry)] = line_of(int(entry))
        return found

    def after(self, seconds, driver):
        """Wait until the scenario's processes have computed for so many seconds more, or the driver has ended.

        Processor time and not the clock's: a moment in a suite's life is then the same on a busy machine.
        """
        until = self._seconds() + seconds
        while driver.poll() is None and self._seconds() < until:
            time.sleep(LOOK)

    def _seconds(self):
        for pid in self.processes():
            now = processor_time(pid)
            self.computed += max(0.0, now - self.known.get(pid, 0.0))
            self.known[pid] = now
        return self.computed

    def kill(self, pid, what, how=signal.SIGKILL):
        """Kill one process."""
        with suppress(ProcessLookupError):
            os.kill(pid, how)
            self.kills[what] += 1

    def new(self):
        """Begin from nothing where all is done."""
        if self.out.exists() and len(good(self.out)) == RUNS:
            shutil.rmtree(self.out)

    def finish(self, reference):
        """Complete the suite undisturbed and look at all that there is: what was killed how often, and what is bad."""
        for _ in range(3):  # a run that was killed three times is recorded so, and made again by the next call
            code = self.run()
            if code == 0:
                break
        assert code == 0, (self.name, code, (self.folder / "driver.log").read_text()[-2000:])
        bad = faults(self.out, reference)
        until = time.monotonic() + 60
        while (left := self.processes()) and time.monotonic() < until:
            time.sleep(LOOK)
        bad["left over"] = len(left)
        for pid, line in left.items():
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:4]
            say(f"left over: {pid}, state, parent, group, session {' '.join(stat)}: {line}")
        counted = {"scenario": self.name, "kills": dict(self.kills)} | bad
        say(counted)
        return counted


def processor_time(pid):
    """Seconds that a process has computed; 0 where it is gone."""
    with suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS
    return 0.0


def is_leader(pid):
    """Whether it leads a session: the process of a method does, and so does a driver."""
    with suppress(OSError):
        return os.getsid(pid) == pid
    return False


def line_of(pid):
    """The command line of a process."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def below(pid):
    """Numbers of a process and of all processes below it."""
    text = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in text.splitlines()]
    found = {pid}
    while more := {one for one, parent in pairs if parent in found} - found:
        found |= more
    return found


def say(words):
    print(time.strftime("%H:%M:%S"), words, flush=True)


def files(out):
    """Every file that should be a record."""
    return [path for path in out.glob("[!.]*/*/*.json") if not path.name.endswith(".scores.json")]


def good(out):
    """(label, seed) -> SHA-256 of its predictions and its scores, of every whole good record; the last of several."""
    found, _ = read(out)
    return {key: values[-1] for key, values in found.items()}


def read(out):
    """Key -> what was found of it, each whole; and how many files are not whole, or say what no kill explains."""
    found, half = {}, 0
    for path in files(out):
        try:
            record = json.loads(path.read_text())
            if record["status"] != "ok":
                half += record["status"] != "killed"
                continue
            data = path.with_suffix(".safetensors").read_bytes()
            scores = json.loads(path.with_suffix(".scores.json").read_text())["sets"]
            half += hashlib.sha256(data).hexdigest() != record["predictions"]["sha256"]
        except (OSError, ValueError, KeyError):
            half += 1
            continue
        key = record["label"], record["identity"]["seed"]
        found.setdefault(key, []).append((record["predictions"]["sha256"], json.dumps(scores, sort_keys=True)))
    return found, half


def faults(out, reference):
    """How many records are lost, doubled, half-written or changed, seen from those of an undisturbed suite."""
    found, half = read(out)
    half += sum(path.name.endswith((".tmp", ".part")) for path in out.rglob("*"))
    return {
        "lost": len(reference.keys() - found.keys()),
        "doubled": sum(len(values) - 1 for values in found.values()),
        "half-written": half,
        "changed": sum(any(one != reference.get(key) for one in values) for key, values in found.items()),
    }
