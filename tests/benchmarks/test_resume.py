"""Numbers are those of an undisturbed run: whoever kills the suite, whatever runs beside, wherever it is started."""

import os
import signal
import subprocess
import time

import pytest
from commands import ROOT, command, heeds_interrupts, ivi, ivi_apart, records, shas

MOMENTS = {
    "the data are read": lambda out: (out / ".lock").exists() or (out / ".lock.soft").exists(),
    "a fit is kept": lambda out: any((out / ".fits").glob("*.json")),
    "a record is kept": lambda out: len(records(out)) >= 1,
    "most records are kept": lambda out: len(records(out)) >= 4,
}


def killed_when(moment, folder, tiny):
    """Start the suite in ``folder`` and kill its driver, and nothing else, when ``moment`` has come."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command("run", tiny), cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 400
    while not moment(folder / "results") and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert process.poll() is None, "it ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()


def is_whole(folder, made):
    """Nothing is lost, doubled or half-written, and every number is that of the undisturbed run."""
    found = records(folder / "results")
    assert len(found) == len({record["run_id"] for record in found.values()}) == 6
    assert shas(folder / "results") == shas(made / "results")
    names = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    expected = {path.relative_to(made) for path in (made / "results").rglob("*") if path.is_file()}
    assert names == expected


@pytest.mark.slow
def test_a_suite_whose_driver_is_killed_goes_on_with_the_next_run(made, tiny, tmp_path):
    killed_when(MOMENTS["a record is kept"], tmp_path, tiny)
    before = len(records(tmp_path / "results"))
    done = ivi("run", tiny, cwd=tmp_path)
    assert f"{6 - before} of 6 runs to make" in done.stdout
    is_whole(tmp_path, made)


@pytest.mark.slow
def test_a_suite_killed_again_and_again_is_completed(made, tiny, tmp_path):
    for moment in MOMENTS.values():
        killed_when(moment, tmp_path, tiny)
    ivi("run", tiny, cwd=tmp_path)
    is_whole(tmp_path, made)


def interrupted(number, folder, tiny):
    """Start the suite and send it a signal when records are kept and others are still to come; what it ended with."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command("run", tiny),
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heeds_interrupts,
    )
    while not MOMENTS["a record is kept"](folder / "results"):
        time.sleep(0.005)
    process.send_signal(signal.SIGSTOP)  # on a busy machine the suite might be over before the signal is sent
    assert len(records(folder / "results")) < 6, "it ended before it could be interrupted"
    process.send_signal(number)
    process.send_signal(signal.SIGCONT)
    _, said = process.communicate(timeout=60)
    return process.returncode, said


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_suite_that_is_interrupted_says_so_or_dies_and_goes_on(made, tiny, tmp_path, number):
    code, said = interrupted(number, tmp_path, tiny)
    if number == signal.SIGINT:
        assert code == 130 and said.count("\n") == 1 and "the same command goes on from here" in said
    else:
        assert code == -number
    ivi("run", tiny, cwd=tmp_path)
    is_whole(tmp_path, made)


@pytest.mark.parametrize("jobs", [1, 3])
def test_neither_the_number_of_jobs_nor_other_methods_change_a_prediction(made, tiny, tmp_path, jobs):
    others = "deep_ensemble(members=2),map,laplace" if jobs == 3 else "laplace"
    ivi("run", tiny, "--jobs", jobs, "-m", others, "-s", 1, cwd=tmp_path)
    found, expected = shas(tmp_path / "results"), shas(made / "results")
    assert {key: found[key] for key in found if key[1] in ("map", "laplace")} == {
        key: expected[key] for key in expected if key[1] in others.split(",") and key[2] == 0
    }


@pytest.mark.slow
def test_a_strangers_packages_in_the_working_folder_are_no_part_of_the_program(made, tiny, tmp_path):
    for name in ("benchmarks", "baselines", "leaderboard", "ivi"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('a stranger was imported')")
    done = ivi_apart("run", tiny, "--methods", "map", "--seeds", 1, cwd=tmp_path)
    assert "map · seed 0  ok" in done.stdout
    (key,) = found = shas(tmp_path / "results")
    assert found[key] == shas(made / "results")[key]
