"""Kill what makes a suite, again and again, and see that nothing is lost: `python tests/executors/chaos.py FOLDER`.

Names of scenarios after the folder: only those; `local_driver=3`: with so many rounds of each of its kinds.

Each scenario runs a tiny suite under a fixed number of kills at moments that a seed decides, then once undisturbed, and
counts: each run must have one good record and no more, whole, with the predictions of an undisturbed suite; every
record that says otherwise must say that it was killed; no process may be left. Scenarios of Slurm and Ray start their
own (`slurm.sh`, `ray.sh`). What was counted is added to FOLDER/counts.jsonl, of which a table is printed at the end.
"""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

from scenario import BAD, HERE, LOOK, MARK, PATIENCE, ROOT, RUNS, Chaos, below, good, is_leader, line_of, say

NO_LINKS = """
import errno, fcntl, os
def refuse(*arguments, **options):
    raise OSError(errno.EPERM, "Operation not permitted")
def nothing(*arguments):
    raise OSError(errno.ENOSYS, "Function not implemented")
os.link, fcntl.flock = refuse, nothing
"""
"""What a process sees of a file system without hard links and without flock."""


def local_methods(folder, reference, rounds=30):
    """SIGKILL of processes that fit or predict."""
    chaos = Chaos("local_methods", folder, ["--jobs", "2"])
    while chaos.kills.total() < rounds:
        chaos.new()
        driver = chaos.start()
        while chaos.kills.total() < rounds and driver.poll() is None:
            chaos.after(chaos.random.uniform(0.4, 3.6), driver)
            found = [pid for pid, line in chaos.processes().items() if "forkserver" in line and is_leader(pid)]
            if found:
                chaos.kill(chaos.random.choice(sorted(found)), "fit or prediction")
        driver.wait(PATIENCE)
    return chaos.finish(reference)


def drivers(chaos, reference, rounds, longest):
    """SIGKILL of the driver, at any moment of its life."""
    for _ in range(rounds):
        driver = chaos.start()
        chaos.after(chaos.random.uniform(0.5, longest), driver)
        if driver.poll() is None:
            chaos.kill(driver.pid, "driver")
        driver.wait()
        chaos.new()
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
        chaos.after(chaos.random.uniform(0, 15), other)
        if other.poll() is None:
            chaos.kill(other.pid, "driver")
        other.wait()
        chaos.new()
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
            chaos.kills["disk full"] += 1
            size += 250
            subprocess.run(["mount", "-o", f"remount,size={size}k", chaos.out], check=True)
        subprocess.run(["mount", "-o", "remount,size=1g", chaos.out], check=True)
        return chaos.finish(reference)
    finally:
        subprocess.run(["umount", chaos.out], check=False)


@contextmanager
def cluster(name, folder):
    """A Slurm or a Ray for the block."""
    script, patient = HERE / f"{name}.sh", {"SLURM_TEST_PATIENCE": "600", "RAY_raylet_start_wait_time_s": "600"}
    surroundings = patient | os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([script, "up", folder], check=True, timeout=PATIENCE, env=surroundings)
    try:
        yield
    finally:
        subprocess.run([script, "down", folder], check=True, timeout=PATIENCE)


def turned(chaos, turns, one_turn, place):
    """Do bad things in an order that a seed decides while suites go on."""
    chaos.random.shuffle(turns)
    driver = chaos.start()
    for turn in turns:
        chaos.after(chaos.random.uniform(1, 8), driver)
        if driver.poll() is not None:
            chaos.new()
            driver = chaos.start()
        driver = one_turn(chaos, turn, driver, place)
        say(f"{chaos.name}: {turn}: {chaos.kills.total()} kills, {len(good(chaos.out))} runs whole")
    driver.wait(PATIENCE)


def slurm(folder, reference, workers=8, methods=8, cancelled=5, daemons=4, driven=6):
    """SIGKILL of workers, of what they run, of slurmd, of the driver; scancel."""
    place = folder / "slurm"
    with cluster("slurm", place):
        conf = str(place / "slurm.conf")
        options = ["--on", "slurm", "--array", "2", "--every", "1", "--idle", "20", "--retries", "5"]
        chaos = Chaos("slurm_jobs", folder, options, SLURM_CONF=conf)
        turns = ["worker"] * workers + ["fit or prediction"] * methods + ["scancel"] * cancelled
        turned(chaos, turns + ["slurmd"] * daemons + ["driver"] * driven, slurm_turn, place)
        return chaos.finish(reference)


def slurm_turn(chaos, turn, driver, place):
    """Do one bad thing; the driver that goes on."""
    if turn in ("worker", "fit or prediction"):
        while driver.poll() is None:
            mine, lines = below(driver.pid), chaos.processes()
            if turn == "worker":
                found = [pid for pid, line in lines.items() if "submitit.core._submit" in line and "bash" not in line]
            else:
                found = [pid for pid, line in lines.items() if "forkserver" in line and is_leader(pid)]
            if found := sorted({*found} - mine):
                chaos.kill(chaos.random.choice(found), turn)
                break
            time.sleep(LOOK)
    elif turn == "scancel":
        done = subprocess.run(["squeue", "-h", "-o", "%A"], env=chaos.environment, capture_output=True, text=True)
        if done.stdout.split():
            subprocess.run(["scancel", chaos.random.choice(done.stdout.split())], env=chaos.environment, check=False)
            chaos.kills["scancel"] += 1
    elif turn == "slurmd":
        chaos.kill(int((place / "slurmd.pid").read_text()), "slurmd")
        time.sleep(3)
        again = ["slurmd", "-f", place / "slurm.conf", "-N", "node1"]
        subprocess.run(again, check=True, env=os.environ | {"SLURM_CONF": str(place / "slurm.conf")})
    else:
        driver = replaced(chaos, driver)
    return driver


def replaced(chaos, driver):
    """Kill the driver and start another."""
    chaos.kill(driver.pid, "driver")
    driver.wait()
    return chaos.start()


def ray(folder, reference, nodes=3, workers=6, methods=6, driven=3):
    """SIGKILL of nodes, of Ray's workers, of what they run, of the driver."""
    place = folder / "ray"
    with cluster("ray", place):
        address = f"127.0.0.1:{os.environ.get('RAY_TEST_PORT', 6479)}"
        chaos = Chaos("ray_tasks", folder, ["--on", "ray", "--address", address, "--retries", "10"])
        turns = ["node"] * nodes + ["worker"] * workers + ["fit or prediction"] * methods + ["driver"] * driven
        turned(chaos, turns, ray_turn, place)
        return chaos.finish(reference)


def ray_turn(chaos, turn, driver, place):
    """Do one bad thing; the driver that goes on."""
    if turn == "node":
        name = chaos.random.choice(["second", "third"])
        for pid in below(int((place / f"{name}.pid").read_text())):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        chaos.kills["node"] += 1
        # A node is the cluster's and goes down with it: with the suite's mark it would be counted as left over.
        surroundings = {key: value for key, value in chaos.environment.items() if key != MARK}
        subprocess.run([HERE / "ray.sh", "again", place, name], check=True, timeout=PATIENCE, env=surroundings)
    elif turn == "driver":
        driver = replaced(chaos, driver)
    else:
        while driver.poll() is None:
            nodes = (int((place / f"{name}.pid").read_text()) for name in ("head", "second", "third"))
            lines = {pid: line_of(pid) for pid in set().union(*map(below, nodes))}
            busy = [pid for pid, line in lines.items() if "forkserver" in line and is_leader(pid)]
            idle = [pid for pid, line in lines.items() if line.startswith("ray::on_node")]
            if found := idle if turn == "worker" else busy:
                chaos.kill(chaos.random.choice(sorted(found)), turn)
                break
            time.sleep(LOOK)
    return driver


SCENARIOS = {one.__name__: one for one in (local_methods, local_driver, no_links, two_drivers, full_disk, slurm, ray)}


def undisturbed(folder):
    """(label, seed) -> predictions and scores of a suite that nobody disturbs, kept for the next call."""
    kept = folder / "reference.json"
    if not kept.exists():
        chaos = Chaos("undisturbed", folder)
        assert chaos.run() == 0, (chaos.folder / "driver.log").read_text()[-2000:]
        kept.write_text(json.dumps([[*key, *value] for key, value in good(chaos.out).items()]))
    reference = {(a, b): (c, d) for a, b, c, d in json.loads(kept.read_text())}
    assert len(reference) == RUNS
    return reference


def table(lines):
    """A Markdown table of what was counted: what was killed, how often, and how many records are bad."""
    kills, bad = {}, {}
    for line in lines:
        kills.setdefault(line["scenario"], Counter()).update(line["kills"])
        bad.setdefault(line["scenario"], Counter()).update({name: line[name] for name in BAD})
    rows = [f"| scenario | killed | times | {' | '.join(BAD)} |", "|---|---|--:" + "|--:" * len(BAD) + "|"]
    for name, count in [*kills.items(), ("in all", sum(kills.values(), Counter()))]:
        words = ", ".join(f"{what} {n}" for what, n in sorted(count.items())) if name in kills else ""
        found = bad.get(name) or sum(bad.values(), Counter())
        rows.append(f"| {name} | {words} | {count.total()} | {' | '.join(str(found[one]) for one in BAD)} |")
    return "\n".join(rows)


def main(folder, *wanted):
    folder = Path(folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    reference, counts = undisturbed(folder), folder / "counts.jsonl"
    for name, _, rounds in (one.partition("=") for one in wanted or SCENARIOS):
        scenario = SCENARIOS[name]
        kinds = list(inspect.signature(scenario).parameters)[2:]
        found = scenario(folder, reference, **{kind: int(rounds) for kind in kinds if rounds})
        with counts.open("a") as file:
            file.write(json.dumps(found) + "\n")
        assert not any(found[name] for name in BAD), found
    print(table(map(json.loads, counts.read_text().splitlines())))


if __name__ == "__main__":
    main(*sys.argv[1:])
