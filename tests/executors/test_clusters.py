"""On a real Slurm and a real Ray cluster a suite has the numbers of this machine; where they cannot start, a reason."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from commands import ROOT, command, ivi, ivi_apart, records, shas

from baselines.spec import parse
from benchmarks.data.truth import TRUTH
from benchmarks.executors.chosen import Place, chosen
from benchmarks.measure.environment import Stack
from benchmarks.measure.jobs import Found, SearchJob
from benchmarks.measure.run import measure
from benchmarks.nodes import setting_of
from benchmarks.prepare import prepare
from benchmarks.runs import Run
from benchmarks.suite import load_task

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
SUITE = """
name = "tiny"
description = "a suite for tests"
tasks = ["digits-mlp"]
methods = ["map", "laplace"]
seeds = [0, 1]
"""
NEEDS = {"slurm": ("slurmctld", "slurmd", "munged", "sbatch"), "ray": ("ray",)}
ON = {
    "slurm": ("--on", "slurm", "--array", 2, "--every", 1),
    "ray": ("--on", "ray", "--address", f"127.0.0.1:{os.environ.get('RAY_TEST_PORT', 6479)}"),
}


@pytest.fixture(scope="module", params=["slurm", "ray"])
def cluster(request):
    """A cluster for the module: its name, and the folder of what belongs to it."""
    name = request.param
    missing = [program for program in NEEDS[name] if shutil.which(program) is None]
    if missing or (name == "slurm" and os.getuid() != 0):
        pytest.skip(f"{name}: {', '.join(missing) or 'root'} is not here")
    pytest.importorskip("submitit" if name == "slurm" else "ray")
    folder, script = Path(tempfile.mkdtemp(prefix="ivi")), HERE / f"{name}.sh"  # short: sockets lie in it
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    try:
        with (folder / "up.log").open("w") as log:  # not a pipe: what stays in the background would hold it open
            up = subprocess.run(["timeout", "300", script, "up", folder], env=environment, stdout=log, stderr=log)
        if up.returncode != 0:
            pytest.skip(f"{name} does not start: {(folder / 'up.log').read_text().strip()[-300:]}")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
            patch.setenv("PYTHONPATH", str(ROOT))
            yield name, folder
    finally:
        subprocess.run([script, "down", folder], check=False, timeout=120)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    path = tmp_path_factory.mktemp("suite") / "tiny.toml"
    path.write_text(SUITE)
    return path


@pytest.fixture(scope="module")
def here(tiny, tmp_path_factory):
    """SHA-256 of all predictions of the suite, made on this machine."""
    folder = tmp_path_factory.mktemp("here")
    ivi("run", tiny, cwd=folder)
    return shas(folder / "results")


def test_a_suite_has_the_numbers_of_this_machine_to_the_last_digit(cluster, tiny, here, tmp_path):
    name, folder = cluster
    ivi_apart("run", tiny, *ON[name], cwd=tmp_path)
    assert shas(tmp_path / "results") == here and len(here) == 4
    for path in records(tmp_path / "results"):
        assert path.with_suffix(".log").read_text().startswith("made on ")
    assert "tiny: 4 runs: 4 ok" in ivi("status", cwd=tmp_path).stdout
    if name == "slurm":
        logs = {word for path in records(tmp_path / "results") for word in path.with_suffix(".log").read_text().split()}
        assert any((tmp_path / "results" / word).is_file() for word in logs if word.startswith(".slurm/logs/"))
    else:
        truths = list(folder.glob(f"*/cache/nodes/*/{TRUTH}"))
        assert truths and not any(path.stat().st_size for path in truths)


def test_a_process_that_fits_there_has_no_evaluation_data(cluster, tmp_path):
    name, _ = cluster
    task = load_task("digits-mlp")
    setting = setting_of(Run(task, prepare(task), parse("map"), 0), Stack.now(), 1)
    with chosen(name, list(map(str, ON[name][2:]))).opened(Place(tmp_path)) as executor:
        assert executor.submit(measure, SearchJob(setting)).result(600) == Found(0)


@pytest.mark.parametrize("cluster", ["slurm"], indirect=True)
def test_a_second_driver_waits_for_the_workers_of_one_that_was_killed(cluster, tiny, here, tmp_path):
    spool = tmp_path / "results/.slurm"
    with (tmp_path / "log").open("w") as log:
        driver = subprocess.Popen(command("run", tiny, *ON["slurm"]), cwd=tmp_path, stdout=log, stderr=log)
    until = time.monotonic() + 600
    while not any((spool / "taken").glob("*")) and time.monotonic() < until:
        time.sleep(0.1)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    said = ivi("status", cwd=tmp_path).stdout
    assert "tiny: 4 runs: 4 to do" in said and "running" in said and "digits-mlp · map · seed 0" in said
    done = ivi_apart("run", tiny, *ON["slurm"], cwd=tmp_path)
    assert "workers sent" in (tmp_path / "log").read_text() and "workers sent" not in done.stdout
    assert shas(tmp_path / "results") == here
