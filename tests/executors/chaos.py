"""Kill what makes a suite, again and again, and see that nothing is lost: `python tests/executors/chaos.py FOLDER`.

Names of scenarios after the folder: only those.

Each scenario runs a tiny suite under a fixed number of kills at moments that a seed decides, then once undisturbed, and
checks: each run has one good record and no more, whole, with the predictions of an undisturbed suite; every record that
says otherwise says that it was killed; no process is left. Scenarios of Slurm and Ray start their own (`slurm.sh`,
`ray.sh`). The last line of each is its count.
"""

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
from contextlib import contextmanager, suppress
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
PATIENCE = 1200
NO_LINKS = """
import errno, fcntl, os
def refuse(*arguments, **options):
    raise OSError(errno.EPERM, "Operation not permitted")
def nothing(*arguments):
    raise OSError(errno.ENOSYS, "Function not implemented")
os.link, fcntl.flock = refuse, nothing
"""
"""What a process sees of a file system without hard links and without flock."""


class Chaos:
    """One scenario: a folder, where its records are ``out``; how often something was killed."""

    def __init__(self, name, folder, extra=(), **environment):
        self.name, self.folder, self.extra, self.kills = name, folder / name, list(extra), 0
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.out = self.folder / "out"
        self.random = random.Random(f"chaos {name}")
        self.environment = os.environ | {MARK: f"{name}-{os.getpid()}", "PYTHONPATH": str(ROOT)} | environment
        self.suite = folder / "tiny.toml"
        self.suite.write_text(SUITE)

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
        found = {}
        for entry in os.listdir("/proc"):
            with suppress(OSError):
                if entry.isdecimal() and f"{MARK}={self.environment[MARK]}".encode() in (
                    Path(f"/proc/{entry}/environ").read_bytes().split(b"\0")
                ):
                    found[int(entry)] = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def kill(self, pid, how=signal.SIGKILL):
        """Kill one process."""
        with suppress(ProcessLookupError):
            os.kill(pid, how)
            self.kills += 1

    def kill_some(self, wanted, times, each, while_alive):
        """Kill a process whose command line holds ``wanted``, ``times`` over, about every ``each`` seconds."""
        count = 0
        while count < times and while_alive.poll() is None:
            time.sleep(each * self.random.uniform(0.2, 1.8))
            found = sorted(pid for pid, line in self.processes().items() if wanted in line and is_leader(pid))
            if found:
                self.kill(self.random.choice(found))
                count += 1
        return count

    def finish(self, reference):
        """Complete the suite undisturbed and look at all that there is."""
        for _ in range(3):  # a run that was killed three times is recorded so, and made again by the next call
            code = self.run()
            if code == 0:
                break
        assert code == 0, (self.name, code, (self.folder / "driver.log").read_text()[-2000:])
        check(self.out, reference)
        until = time.monotonic() + 60
        while (left := self.processes()) and time.monotonic() < until:
            time.sleep(0.5)
        assert not left, left
        say(
            f"{self.name}: {self.kills} kills; {len(good(self.out))} of {RUNS} runs whole, metrics unchanged, "
            "0 processes left"
        )
        return self.kills


def is_leader(pid):
    """Whether it leads a session: the process of a method does, and so does a driver."""
    with suppress(OSError):
        return os.getsid(pid) == pid
    return False


def say(words):
    print(time.strftime("%H:%M:%S"), words, flush=True)


def records(out):
    """Path -> record, of all files that should be one; each must be whole."""
    paths = (path for path in out.glob("[!.]*/*/*.json") if not path.name.endswith(".scores.json"))
    return {path: json.loads(path.read_text()) for path in paths}


def good(out):
    """(label, seed) -> SHA-256 of its predictions and its scores; one record each."""
    found = {}
    for path, record in records(out).items():
        if record["status"] == "ok":
            key = record["label"], record["identity"]["seed"]
            assert key not in found, f"doubled: {path}"
            data = path.with_suffix(".safetensors").read_bytes()
            assert hashlib.sha256(data).hexdigest() == record["predictions"]["sha256"], path
            scores = json.loads(path.with_suffix(".scores.json").read_text())["sets"]
            found[key] = record["predictions"]["sha256"], json.dumps(scores, sort_keys=True)
        else:
            assert record["status"] == "killed", (path, record["status"], record["error"])
    return found


def check(out, reference):
    """Nothing is lost, doubled, half-written or changed."""
    found = good(out)
    assert len(found) == RUNS and found == reference, (out, len(found))
    left = [path for path in out.rglob("*") if path.name.endswith((".tmp", ".part"))]
    assert not left, left


def local_methods(folder, reference, rounds=30):
    """SIGKILL of processes that fit or predict."""
    chaos = Chaos("local_methods", folder, ["--jobs", "2"])
    left = rounds
    while left > 0:
        shutil.rmtree(chaos.out, ignore_errors=True) if left < rounds and len(good(chaos.out)) == RUNS else None
        driver = chaos.start()
        left -= chaos.kill_some("forkserver", left, 2.0, driver)
        driver.wait(PATIENCE)
    return chaos.finish(reference)


def drivers(chaos, reference, rounds, longest):
    """SIGKILL of the driver, at any moment of its life."""
    for _ in range(rounds):
        driver = chaos.start()
        with suppress(subprocess.TimeoutExpired):
            driver.wait(chaos.random.uniform(0.5, longest))
        if driver.poll() is None:
            chaos.kill(driver.pid)
        driver.wait()
        if chaos.out.exists() and len(good(chaos.out)) == RUNS:
            shutil.rmtree(chaos.out)
    return chaos.finish(reference)


def local_driver(folder, reference, rounds=12):
    return drivers(Chaos("local_driver", folder, ["--jobs", "2"]), reference, rounds, 30)


def no_links(folder, reference, rounds=5):
    """A store without hard links and flock, whose driver is killed."""
    (folder / "no_links_site").mkdir(exist_ok=True)
    (folder / "no_links_site" / "sitecustomize.py").write_text(NO_LINKS)
    paths = f"{folder / 'no_links_site'}:{ROOT}"
    return drivers(Chaos("no_links", folder, ["--jobs", "2"], PYTHONPATH=paths), reference, rounds, 30)


def two_drivers(folder, reference, rounds=4):
    """Two drivers on one folder: one is turned away; then the other is killed."""
    chaos = Chaos("two_drivers", folder, ["--jobs", "2"])
    for _ in range(rounds):
        pair = [chaos.start(), chaos.start()]
        until = time.monotonic() + PATIENCE
        while all(one.poll() is None for one in pair) and time.monotonic() < until:
            time.sleep(0.2)
        ended = next(one for one in pair if one.poll() is not None)
        assert ended.returncode in (0, 2), ended.returncode
        other = pair[1 - pair.index(ended)]
        time.sleep(chaos.random.uniform(0, 10))
        if other.poll() is None:
            chaos.kill(other.pid)
        other.wait()
    assert "another 'ivi run' is writing" in (chaos.folder / "driver.log").read_text()
    return chaos.finish(reference)


def full_disk(folder, reference, rounds=4):
    """A small file system that is full before the suite is done; there is room for one more piece each time."""
    chaos = Chaos("full_disk", folder, ["--jobs", "2"])
    chaos.out.mkdir()
    size = 250
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", chaos.out], check=True)
    try:
        for _ in range(rounds):
            code = chaos.run()
            assert code in (1, 2), code
            text = (chaos.folder / "driver.log").read_text()
            assert "No space left" in text and "Traceback" not in text, text[-2000:]
            good(chaos.out)
            size += 250
            subprocess.run(["mount", "-o", f"remount,size={size}k", chaos.out], check=True)
        subprocess.run(["mount", "-o", "remount,size=1g", chaos.out], check=True)
        chaos.finish(reference)
    finally:
        subprocess.run(["umount", chaos.out], check=False)
    say(f"full_disk: full {rounds} times")
    return 0


@contextmanager
def cluster(name, folder):
    """A Slurm or a Ray for the block."""
    script = HERE / f"{name}.sh"
    subprocess.run([script, "up", folder], check=True, timeout=600, env=os.environ | {"PYTHONPATH": str(ROOT)})
    try:
        yield
    finally:
        subprocess.run([script, "down", folder], check=True, timeout=120)


def slurm(folder, reference, workers=8, methods=8, cancelled=5, daemons=4, driven=6):
    """SIGKILL of workers, of what they run, of slurmd, of the driver; scancel."""
    place = folder / "slurm"
    with cluster("slurm", place):
        conf = str(place / "slurm.conf")
        options = ["--on", "slurm", "--array", "2", "--every", "1", "--idle", "20", "--retries", "5"]
        chaos = Chaos("slurm_jobs", folder, options, SLURM_CONF=conf)
        turns = ["worker"] * workers + ["method"] * methods + ["cancel"] * cancelled + ["daemon"] * daemons
        turns += ["driver"] * driven
        chaos.random.shuffle(turns)
        driver = chaos.start()
        for turn in turns:
            time.sleep(chaos.random.uniform(1, 8))
            if driver.poll() is not None:
                if len(good(chaos.out)) == RUNS:
                    shutil.rmtree(chaos.out)
                driver = chaos.start()
            driver = slurm_turn(chaos, turn, driver, place)
            say(f"slurm: {turn}: {chaos.kills} kills, {len(good(chaos.out))} runs whole")
        driver.wait(PATIENCE)
        return chaos.finish(reference)


def slurm_turn(chaos, turn, driver, place):
    """Do one bad thing; the driver that goes on."""
    wanted = {"worker": "submitit.core._submit", "method": "forkserver"}
    until = time.monotonic() + 120
    if turn in wanted:
        while time.monotonic() < until and driver.poll() is None:
            lines = chaos.processes()
            mine = [pid for pid in below(driver.pid)] if turn == "method" else []
            found = [
                pid for pid, line in lines.items() if wanted[turn] in line and pid not in mine and "bash" not in line
            ]
            found = [pid for pid in found if turn == "worker" or is_leader(pid)]
            if found:
                chaos.kill(chaos.random.choice(sorted(found)))
                break
            time.sleep(0.3)
    elif turn == "cancel":
        done = subprocess.run(["squeue", "-h", "-o", "%A"], env=chaos.environment, capture_output=True, text=True)
        if done.stdout.split():
            subprocess.run(["scancel", chaos.random.choice(done.stdout.split())], env=chaos.environment, check=False)
            chaos.kills += 1
    elif turn == "daemon":
        chaos.kill(int((place / "slurmd.pid").read_text()))
        time.sleep(3)
        again = ["slurmd", "-f", place / "slurm.conf", "-N", "node1"]
        subprocess.run(again, check=True, env=os.environ | {"SLURM_CONF": str(place / "slurm.conf")})
    else:
        chaos.kill(driver.pid)
        driver.wait()
        driver = chaos.start()
    return driver


def below(pid):
    """Numbers of all processes below one."""
    text = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in text.splitlines()]
    found = {pid}
    while more := {one for one, parent in pairs if parent in found} - found:
        found |= more
    return found


def ray(folder, reference, nodes=3, workers=6, methods=6, driven=3):
    """SIGKILL of nodes, of Ray's workers, of what they run, of the driver."""
    place = folder / "ray"
    with cluster("ray", place):
        address = f"127.0.0.1:{os.environ.get('RAY_TEST_PORT', 6479)}"
        chaos = Chaos("ray_tasks", folder, ["--on", "ray", "--address", address, "--retries", "10"])
        turns = ["node"] * nodes + ["worker"] * workers + ["method"] * methods + ["driver"] * driven
        chaos.random.shuffle(turns)
        driver = chaos.start()
        for turn in turns:
            time.sleep(chaos.random.uniform(2, 8))
            if driver.poll() is not None:
                if len(good(chaos.out)) == RUNS:
                    shutil.rmtree(chaos.out)
                driver = chaos.start()
            driver = ray_turn(chaos, turn, driver, place)
            say(f"ray: {turn}: {chaos.kills} kills, {len(good(chaos.out))} runs whole")
        driver.wait(PATIENCE)
        return chaos.finish(reference)


def ray_turn(chaos, turn, driver, place):
    """Do one bad thing; the driver that goes on."""
    until = time.monotonic() + 150
    if turn == "node":
        name = chaos.random.choice(["second", "third"])
        group = int((place / f"{name}.pid").read_text())
        for pid in below(group):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        chaos.kills += 1
        subprocess.run([HERE / "ray.sh", "again", place, name], check=True, timeout=600, env=chaos.environment)
    elif turn == "driver":
        chaos.kill(driver.pid)
        driver.wait()
        driver = chaos.start()
    else:
        nodes = set().union(*(below(int((place / f"{name}.pid").read_text())) for name in ("head", "second", "third")))
        while time.monotonic() < until and driver.poll() is None:
            lines = {pid: line_of(pid) for pid in set().union(*(below(one) for one in nodes))}
            busy = [pid for pid, line in lines.items() if "forkserver" in line and is_leader(pid)]
            idle = [pid for pid, line in lines.items() if line.startswith("ray::on_node")]
            if found := busy if turn == "method" else idle:
                chaos.kill(chaos.random.choice(sorted(found)))
                break
            time.sleep(0.3)
    return driver


def line_of(pid):
    """The command line of a process."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


SCENARIOS = [local_methods, local_driver, no_links, two_drivers, full_disk, slurm, ray]


def main(folder, *names):
    folder = Path(folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    undisturbed = Chaos("undisturbed", folder) if not (folder / "reference.json").exists() else None
    if undisturbed is not None:
        assert undisturbed.run() == 0, (undisturbed.folder / "driver.log").read_text()[-2000:]
        reference = good(undisturbed.out)
        (folder / "reference.json").write_text(json.dumps([[*key, *value] for key, value in reference.items()]))
    reference = {(a, b): (c, d) for a, b, c, d in json.loads((folder / "reference.json").read_text())}
    assert len(reference) == RUNS
    kills = sum(one(folder, reference) for one in SCENARIOS if not names or one.__name__ in names)
    say(f"{kills} kills in all")


if __name__ == "__main__":
    main(*sys.argv[1:])
