"""The command as a user meets it: each test runs `ivi` in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

METHODS = Path(__file__).parent.parent / "baselines" / "methods"
IVI = Path(sys.executable).with_name("ivi")
SUITE = """
name = "tiny"
description = "a suite for tests"
tasks = ["digits-mlp"]
methods = ["map", "laplace", "implicit_vi"]
seeds = [0, 1]
"""


def ivi(*arguments, cwd, code=0):
    done = subprocess.run([IVI, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def records(folder):
    return {path: json.loads(path.read_text()) for path in sorted(folder.rglob("*.json"))}


def metrics(folder):
    return {(r["run_id"], r["status"]): r["metrics"] for r in records(folder).values()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder where the tiny suite has been run once."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "tiny.toml").write_text(SUITE)
    ivi("run", "tiny.toml", cwd=folder)
    return folder


def test_every_run_leaves_an_ok_record_with_predictions_cost_and_environment(made):
    found = records(made / "results")
    assert len(found) == 6
    for path, record in found.items():
        assert record["status"] == "ok" and record["metrics"]["test"]["accuracy"] > 0.8
        assert record["cost"]["steps"] >= 160 and record["cost"]["fit_s"] > 0 and record["cost"]["predict_s"] > 0
        assert record["environment"]["packages"]["torch"] and record["environment"]["threads"] >= 1
        assert path.with_suffix(".safetensors").exists()


def test_laplace_is_charged_for_the_map_fit_that_it_takes_over(made):
    by_method = {(r["method"]["label"], r["seed"]): r for r in records(made / "results").values()}
    for seed in (0, 1):
        fit, laplace = by_method["map", seed]["cost"], by_method["laplace", seed]["cost"]
        assert laplace["shared_s"] == pytest.approx(fit["fit_s"], rel=0.01) and laplace["fit_s"] > fit["fit_s"]
        assert laplace["steps"] > fit["steps"]


def test_a_second_run_makes_nothing_and_changes_nothing(made):
    before = {path: path.stat().st_mtime_ns for path in (made / "results").rglob("*.*")}
    done = ivi("run", "tiny.toml", cwd=made)
    assert "runs to make" not in done.stdout and "implicit_vi" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in (made / "results").rglob("*.*")} == before


def test_fits_that_runs_shared_are_gone_when_the_suite_is_made(made):
    assert not (made / "results" / ".fits").exists()


def test_two_fresh_folders_hold_the_same_metrics_to_the_last_digit(made, tmp_path):
    ivi("run", made / "tiny.toml", "--out", tmp_path / "again", "--seeds", 1, cwd=tmp_path)
    ivi("run", made / "tiny.toml", "--out", tmp_path / "third", "--seeds", 1, cwd=tmp_path)
    assert metrics(tmp_path / "again") == metrics(tmp_path / "third")


def test_a_suite_killed_at_any_moment_is_completed_by_the_next_run(made, tmp_path):
    """Kill it at three moments; then nothing is lost, half-written or doubled."""
    expected = metrics(made / "results")
    for delay in (1.0, 6.0, 8.0):
        process = subprocess.Popen([IVI, "run", made / "tiny.toml"], cwd=tmp_path, stdout=subprocess.DEVNULL)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
    ivi("run", made / "tiny.toml", cwd=tmp_path)
    found = records(tmp_path / "results")
    assert len(found) == len({r["run_id"] for r in found.values()}) == 6
    assert metrics(tmp_path / "results") == expected
    assert not list(tmp_path.rglob("*.tmp"))


def test_runs_that_end_badly_leave_a_record_and_the_rest_goes_on(tmp_path):
    broken = METHODS / "broken.py"
    bad = ["Raises", "Diverges", "KillsItself", "CannotDoThis"]
    extra = [word for name in bad for word in ("--method", f"{broken}:{name}")]
    (tmp_path / "tiny.toml").write_text(SUITE)
    done = ivi("run", "tiny.toml", "--methods", "map", "--seeds", 1, *extra, cwd=tmp_path, code=1)
    status = {r["method"]["label"].rpartition(":")[2]: r for r in records(tmp_path / "results").values()}
    assert {name: r["status"] for name, r in status.items()} == {
        "map": "ok",
        "Raises": "failed",
        "Diverges": "diverged",
        "KillsItself": "crashed",
        "CannotDoThis": "skipped",
    }
    assert status["Raises"]["error"]["reason"] == "RuntimeError: the flux capacitor is empty"
    assert "in fit" in status["Raises"]["error"]["traceback"]
    assert "SIGKILL" in status["KillsItself"]["error"]["reason"]
    assert "the flux capacitor is empty" in done.stdout and "needs a graph network" in done.stdout
    again = ivi("run", "tiny.toml", "--methods", "map", "--seeds", 1, *extra, "--retry", cwd=tmp_path, code=1)
    assert "3 of 5 runs to make" in again.stdout
    assert len(records(tmp_path / "results")) == 8, "a retry is a second record beside the first"


def test_a_newcomers_method_runs_from_its_file_and_stands_unranked_in_the_table(made, tmp_path):
    method = f"{METHODS / 'last_layer_ensemble.py'}:LastLayerEnsemble"
    ivi("run", made / "tiny.toml", "--methods", "map", "--seeds", 1, "--method", method, cwd=tmp_path)
    rows = json.loads(ivi("table", made / "tiny.toml", "--seeds", 1, "--format", "json", cwd=tmp_path).stdout)
    row = next(row for row in rows if row["method"] == method)
    assert row["n"] == 1 and row["ranked"] is False and "loaded from a file" in row["reason"]
    assert row["metrics"]["accuracy"]["mean"] > 0.8
    other = next(row for row in rows if row["method"] == "laplace")
    assert other["n"] == 0 and "not run yet" in other["reason"]


@pytest.mark.parametrize("format", ["terminal", "md", "csv", "json", "latex"])
def test_the_table_has_every_method_in_every_format(made, format):
    shown = ivi("table", "tiny.toml", "--format", format, cwd=made).stdout.replace("\\_", "_")
    assert all(name in shown for name in ("map", "laplace", "implicit_vi"))


def test_ivi_check_exits_with_the_number_of_truth(tmp_path):
    assert "every check holds" in ivi("check", "map", cwd=tmp_path).stdout
    done = ivi("check", f"{METHODS / 'broken.py'}:DrawsAnew", cwd=tmp_path, code=1)
    assert "fails   asking twice gives the same logits" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["list", "methods"], ["list", "tasks"], ["list", "suites"], ["plan", "quick"]]
    + [["table", "tiny.toml"], ["run", "tiny.toml"]],
    ids=" ".join,
)
def test_what_only_reads_imports_no_torch(made, arguments):
    code = (
        "import sys; from benchmarks.cli import app; sys.argv = ['ivi', *sys.argv[1:]]\n"
        "try: app()\nexcept SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'timm', 'datasets', 'matplotlib', 'laplace'} & set(sys.modules); assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=made, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "quik"], "unknown suite 'quik': did you mean 'quick'?"),
        (["run", "quick", "--methods", "mpa"], "unknown method 'mpa': did you mean 'map'?"),
        (["run", "quick", "--methods", "implicit_vi(rnk=2)"], "'rnk': did you mean 'rank'?"),
        (["run", "quick", "--seeds", "0"], "--seeds must be at least 1, not 0"),
        (["run", "quick", "--jobs", "0"], "--jobs must be at least 1, not 0"),
        (["run", "quick", "--device", "cdua"], "unknown device 'cdua': did you mean 'cuda'?"),
        (["run", "quick", "--out", "/dev/null/results"], "cannot write to /dev/null/results: Not a directory"),
        (["run", "nowhere.toml"], "no such file: nowhere.toml"),
        (["table", "--out", "empty"], "no records in empty"),
        (["check", "laplce"], "unknown method 'laplce': did you mean 'laplace'?"),
        (["run", "misspelt-task.toml"], "unknown task 'digits-mpl': did you mean 'digits-mlp'?"),
        (["run", "misspelt-key.toml"], "unknown key 'sedes': did you mean 'seeds'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_with_the_mend_and_exit_code_2(tmp_path, arguments, message):
    (tmp_path / "misspelt-task.toml").write_text(SUITE.replace("digits-mlp", "digits-mpl"))
    (tmp_path / "misspelt-key.toml").write_text(SUITE.replace("seeds", "sedes"))
    done = ivi(*arguments, cwd=tmp_path, code=2)
    assert message in done.stderr and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


def test_a_damaged_record_is_named_and_nothing_is_run_over_it(made, tmp_path):
    for source in (made / "results").rglob("*.json"):
        target = tmp_path / "results" / source.relative_to(made / "results")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    target.write_bytes(target.read_bytes()[:50])
    for command in (["run", made / "tiny.toml"], ["table"]):
        done = ivi(*command, cwd=tmp_path, code=2)
        assert target.name in done.stderr and "not a record" in done.stderr


def test_two_runs_cannot_write_to_one_folder(made, tmp_path):
    import fcntl

    (tmp_path / "results").mkdir()
    with (tmp_path / "results" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = ivi("run", made / "tiny.toml", cwd=tmp_path, code=2)
    assert "another 'ivi run' is writing to results" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_named(made, tmp_path):
    (tmp_path / "results").mkdir(mode=0o500)
    assert "Permission denied" in ivi("run", made / "tiny.toml", cwd=tmp_path, code=2).stderr
