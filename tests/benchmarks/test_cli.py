"""The command as a user meets it: what it leaves, what it repeats, what it refuses, and with which exit code."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from commands import ROOT, ivi, ivi_apart, of, records, rows, scores, shas

from baselines.registry import known_methods, variants
from leaderboard.store import writing

METHODS = Path(__file__).parent.parent / "baselines" / "methods"
BROKEN = METHODS / "broken.py"


def stamps(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_every_run_leaves_an_ok_record_with_predictions_scores_cost_and_environment(made):
    found = records(made / "results")
    assert len(found) == 6
    for path, record in found.items():
        assert record["schema_version"] == 2 and record["status"] == "ok"
        assert record["cost"]["steps"] >= 160 and record["cost"]["fit_s"] > 0 and record["cost"]["predict_s"] > 0
        assert record["cost"]["fit_flops"] > 1e8 and record["cost"]["predict_flops"] > 1e4
        assert record["environment"]["packages"]["torch"] and record["environment"]["threads"] == 1
        assert record["environment"]["capability"] and record["environment"]["device_name"]
        assert {"train", "validation", "test"} < set(record["sets"])
        assert path.with_suffix(".safetensors").stat().st_size == record["predictions"]["bytes"]
        assert scores(made / "results", record["label"], record["identity"]["seed"])["test"]["accuracy"] > 0.8


def test_records_name_random_normalizing_and_forgotten_layers(made):
    for record in records(made / "results").values():
        dropout = record["label"].startswith("mc_dropout")
        assert record["audit"]["random"] == (["model.hidden.2", "model.hidden.5"] if dropout else [])
        assert record["audit"]["normalization"] == ["model.hidden.1", "model.hidden.4"]
        assert record["audit"]["not_updated"] == []


def test_laplace_is_charged_for_the_map_fit_that_it_takes_over_and_its_record_names_it(made):
    for seed in (0, 1):
        fit, laplace = (of(made / "results", label, seed) for label in ("map", "laplace"))
        assert laplace["cost"]["shared_s"] == pytest.approx(fit["cost"]["fit_s"], rel=0.01)
        assert laplace["cost"]["fit_s"] > fit["cost"]["fit_s"] and laplace["cost"]["steps"] >= fit["cost"]["steps"]
        assert list(laplace["audit"]["shared"].values()) == [fit["audit"]["state"]]


def test_a_second_run_makes_nothing_and_changes_no_record(made, tiny):
    plan = made / "results" / "tiny.plan.json"
    before, text = stamps(made / "results"), plan.read_bytes()
    done = ivi("run", tiny, cwd=made)
    after = stamps(made / "results")
    assert "runs to make" not in done.stdout and "laplace" in done.stdout
    assert {path for path in before | after if before.get(path) != after.get(path)} <= {plan}
    assert plan.read_bytes() == text


def test_fits_that_runs_shared_are_gone_when_the_suite_is_made(made):
    assert not (made / "results" / ".fits").exists()


def test_a_plan_says_what_is_done_and_what_is_not(made, tiny):
    shown = ivi("plan", tiny, "--seeds", 3, cwd=made).stdout
    assert "9 runs, 3 to do, 0 failed" in shown and "about" in shown and shown.count(" ok ") == 6
    assert "6 runs, 6 to do" in ivi("plan", tiny, "--out", "empty", cwd=made).stdout
    assert not (made / "empty").exists()


def test_all_means_every_method_and_named_variant_once(made, tiny):
    shown = ivi("plan", tiny, "--seeds", 1, "-m", "all,implicit_vi(rank=3)", cwd=made).stdout
    named = {*known_methods(), *variants(), "implicit_vi(rank=3)"} - {"own_rate"}  # which alone is MAP again
    assert f"{len(named)} runs" in shown and {"multi_swag", "vbll"} < named


def test_seeds_are_a_number_or_a_list(made, tiny):
    shown = ivi("plan", tiny, "--seeds", "0,2", "-m", "map", cwd=made).stdout
    lines = [line.split() for line in shown.splitlines() if "digits-mlp" in line]
    assert [(line[3], line[4]) for line in lines] == [("0", "ok"), ("2", "to")]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("columns", ["nll", "rmse", "auroc_near", "SET:METRIC"]),
        ("tasks", ["digits-mlp", "diabetes-mlp", "mlp_table"]),
        ("suites", ["quick", "smoke"]),
        ("methods", ["implicit_vi", "rank=10", "short for"]),
    ],
)
def test_everything_there_is_can_be_listed(kind, words):
    shown = ivi("list", kind).stdout
    assert all(word in shown for word in words), shown


def test_runs_that_end_badly_leave_a_record_and_the_rest_goes_on(tiny, tmp_path):
    bad = {"Raises": "failed", "Diverges": "diverged", "KillsItself": "killed", "CannotDoThis": "skipped"}
    extra = [word for name in bad for word in ("--method", f"{BROKEN}:{name}")]
    arguments = ("run", tiny, "--methods", "map", "--seeds", 1, *extra)
    done = ivi(*arguments, cwd=tmp_path, code=1)
    found = {record["label"]: record for record in records(tmp_path / "results").values()}
    assert {name: record["status"] for name, record in found.items()} == {
        "map": "ok",
        "raises": "failed",
        "diverges": "diverged",
        "kills_itself": "killed",
        "cannot_do_this": "skipped",
    }
    assert found["raises"]["error"]["reason"] == "RuntimeError: the flux capacitor is empty"
    assert "in fit" in found["raises"]["error"]["traceback"] and "SIGKILL" in found["kills_itself"]["error"]["reason"]
    assert "the flux capacitor is empty" in done.stdout and "needs a graph network" in done.stdout
    assert "3 of 5 runs failed" in done.stderr

    assert "1 of 5 runs to make" in ivi(*arguments, cwd=tmp_path, code=1).stdout, "a kill is nobody's fault"
    again = ivi(*arguments, "--retry", cwd=tmp_path, code=1)
    assert "3 of 5 runs to make" in again.stdout
    attempts = sorted((one["label"], one["attempt"]) for one in records(tmp_path / "results").values())
    assert attempts == [("cannot_do_this", 1), *(("diverges", i) for i in (1, 2))] + [
        *(("kills_itself", i) for i in (1, 2, 3)),
        ("map", 1),
        *(("raises", i) for i in (1, 2)),
    ]


ONCE = """
import os, signal
from dataclasses import dataclass
from pathlib import Path

from baselines.map import MAP


@dataclass(frozen=True)
class Killed(MAP):
    def fit(self, problem):
        mark = Path("MARK")
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(problem)
"""


def test_a_run_whose_process_was_killed_is_made_by_the_next_run_as_if_nothing_had_been(made, tiny, tmp_path):
    method = tmp_path / "once.py"
    method.write_text(ONCE.replace("MARK", str(tmp_path / "mark")))
    arguments = ("run", tiny, "-m", f"{method}:Killed", "-s", 1)
    ivi(*arguments, cwd=tmp_path, code=1)
    ivi(*arguments, cwd=tmp_path)
    assert of(tmp_path / "results", "killed", attempt=2)["status"] == "ok"
    assert list(shas(tmp_path / "results").values()) == [
        sha for key, sha in shas(made / "results").items() if key[1:] == ("map", 0)
    ]


def test_what_other_code_has_made_is_made_again_with_stale_and_not_without(made, tiny, tmp_path):
    arguments = ("run", tiny, "-m", "map", "-s", 1)
    shutil.copytree(made / "results", tmp_path / "results", ignore=shutil.ignore_patterns("1-*", "mc_*", "laplace"))
    (path,) = records(tmp_path / "results")
    old = path.read_text()
    path.write_text(old.replace(of(made / "results", "map")["environment"]["code"], "0" * 64))
    assert path.read_text() != old
    for option in ((), ("--retry",)):
        assert "runs to make" not in ivi(*arguments, *option, cwd=tmp_path).stdout
    assert "1 of 1 runs to make" in ivi(*arguments, "--stale", cwd=tmp_path).stdout
    assert of(tmp_path / "results", "map", attempt=2)["environment"]["code"] != "0" * 64
    assert "runs to make" not in ivi(*arguments, "--stale", cwd=tmp_path).stdout


def test_a_newcomers_method_runs_from_its_file_and_stands_unranked_in_the_table(tiny, tmp_path):
    method = f"{METHODS / 'last_layer_ensemble.py'}:LastLayerEnsemble"
    ivi("run", tiny, "--methods", "map", "--seeds", 1, "--method", method, cwd=tmp_path)
    found = rows("tiny", "--seeds", 1, cwd=tmp_path)
    row = found["last_layer_ensemble"]
    assert row["n"] == 1 and row["ranked"] is False and "loaded from a file" in row["reason"]
    assert row["metrics"]["accuracy"]["mean"] > 0.8
    assert set(found) == {"map", "last_layer_ensemble"}  # what was asked for is what the folder is about


def test_what_only_reads_and_a_run_with_nothing_to_do_import_no_torch(made, tiny):
    commands = [
        *(["--help"], ["run", "--help"], ["list", "methods"], ["list", "tasks"], ["list", "suites"]),
        *(["list", "columns"], ["plan", str(tiny)], ["table", "tiny"], ["table"], ["compare", "map", "laplace"]),
        ["run", str(tiny)],
    ]
    code = f"""
import sys
from benchmarks.cli import app
for arguments in {commands}:
    try:
        app(arguments)
    except SystemExit as end:
        assert not end.code, (arguments, end.code)
    heavy = {{"torch", "timm", "datasets", "matplotlib", "laplace", "sklearn"}} & set(sys.modules)
    assert not heavy, (arguments, heavy)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=made, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_installed_command_is_this_program():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["scripts"] == {"ivi": "benchmarks.cli:main"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "quik"], "unknown suite or task 'quik': did you mean 'quick'?"),
        (["run", "digits-mpl"], "unknown suite or task 'digits-mpl': did you mean 'digits-mlp'?"),
        (["run", "quick", "--methods", "mpa"], "unknown method 'mpa': did you mean 'map'?"),
        (["run", "quick", "--methods", "implicit_vi(rnk=2)"], "'rnk': did you mean 'rank'?"),
        (["plan", "quick", "--methods", "implicit_vi(rank=-2)"], "rank=-2"),
        (["run", "quick", "--methods", ""], "--methods names no method"),
        (["run", "smoke", "--tasks", "digits-mpl"], "unknown task 'digits-mpl': did you mean 'digits-mlp'?"),
        (["plan", "quick", "--tasks", ","], "--tasks names no task"),
        (["run", "quick", "--seeds", "0"], "--seeds must be a number of seeds, at least 1, or a list"),
        (["run", "quick", "--seeds", "-1"], "--seeds must be a number of seeds, at least 1, or a list"),
        (["run", "quick", "--seeds", "1,x"], "--seeds must be a number of seeds, at least 1, or a list"),
        (["run", "quick", "--jobs", "0"], "--jobs must be at least 1, not 0"),
        (["run", "quick", "--limit", "0"], "--limit must be more than 0 minutes, not 0"),
        (["run", "quick", "--limit", "nan"], "--limit must be more than 0 minutes, not nan"),
        (["run", "quick", "--device", "cdua"], "unknown device 'cdua': did you mean 'cuda'?"),
        (["check", "map", "--device", "cdua"], "unknown device 'cdua': did you mean 'cuda'?"),
        (["run", "digits-mlp", "--out", "/dev/null/results"], "cannot write to /dev/null/results: Not a directory"),
        (["run", "nowhere.toml"], "no such file: nowhere.toml"),
        (["table", "--out", "empty"], "no records in empty"),
        (["table", "quik"], "unknown suite or task 'quik': did you mean 'quick'?"),
        (["table", "quick"], "no records of quick in results: make them with 'ivi run quick'"),
        (["table", "digits-mlp"], "no records of digits-mlp in results: make them with 'ivi run digits-mlp'"),
        (["score"], "results: no such folder: make records with 'ivi run quick'"),
        (["site"], "results: no such folder: make records with 'ivi run quick'"),
        (["predict", "map", "x.png"], "no kept predictor 'map' in results; make some with: ivi run ... --keep-models"),
        (["cost", "quick"], "'quick' is a suite: name a task, one of its own for example: mnist5k-lenet5"),
        (["check", "map", "--task", "quick"], "'quick' is a suite: name a task"),
        (["check", "laplce"], "unknown method 'laplce': did you mean 'laplace'?"),
        (["check", "map", "--task", "digits-mpl"], "unknown task 'digits-mpl': did you mean 'digits-mlp'?"),
        (["run", "misspelt-task.toml"], "unknown task 'digits-mpl': did you mean 'digits-mlp'?"),
        (["run", "misspelt-key.toml"], "unknown key 'sedes': did you mean 'seeds'?"),
        (["run", "latin.toml"], "latin.toml: not valid TOML"),
        (["run", "deep.toml"], "deep.toml: not valid TOML"),
        (["plan", "digits-mlp", "--method", "nowhere.py:Mine"], "nowhere.py"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_with_the_mend_and_exit_code_2(tiny, tmp_path, arguments, message):
    text = tiny.read_text()
    (tmp_path / "misspelt-task.toml").write_text(text.replace("digits-mlp", "digits-mpl"))
    (tmp_path / "misspelt-key.toml").write_text(text.replace("seeds", "sedes"))
    (tmp_path / "latin.toml").write_bytes(text.replace("a suite", "une suite enchaîn\u00e9e").encode("latin-1"))
    (tmp_path / "deep.toml").write_text("name = " + "[" * 5000)
    done = ivi(*arguments, cwd=tmp_path, code=2)
    assert message in done.stderr and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert not done.stdout and not list(tmp_path.rglob("*.json"))


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="there is a GPU here")
@pytest.mark.parametrize(
    "command", [["run", "digits-mlp"], ["run", "digits-mlp", "-s", "1"], ["cost", "digits-mlp"], ["plan", "digits-mlp"]]
)
def test_a_device_that_is_not_here_is_one_line_and_no_record(tmp_path, command):
    for device in ("cuda", "cuda:1"):
        done = ivi(*command, "--device", device, cwd=tmp_path, code=2)
        assert f"--device {device}: torch sees no GPU here; use --device cpu, or auto" in done.stderr
        assert done.stderr.count("\n") == 1 and not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_process_itself_ends_with_these_codes(tmp_path):
    done = ivi_apart("run", "quik", cwd=tmp_path, code=2)
    assert done.stderr.count("\n") == 1 and "did you mean 'quick'" in done.stderr
    assert "columns" in ivi_apart("list", "--help", cwd=tmp_path).stdout


def test_a_damaged_record_is_named_stays_and_its_run_is_made_again(made, tiny, tmp_path):
    shutil.copytree(made / "results", tmp_path / "results")
    path = next(path for path in records(tmp_path / "results") if path.parent.name == "map")
    path.write_bytes(damaged := path.read_bytes()[:50])
    for command in (["run", tiny], ["table", "tiny"]):
        done = ivi(*command, cwd=tmp_path)
        assert path.name in done.stderr and "set aside" in done.stderr
    assert path.read_bytes() == damaged and shas(tmp_path / "results") == shas(made / "results")


def test_two_runs_cannot_write_to_one_folder(tiny, tmp_path):
    with writing(tmp_path / "results"):
        done = ivi("run", tiny, cwd=tmp_path, code=2)
    assert "another 'ivi run' is writing to results" in done.stderr and done.stderr.count("\n") == 1
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_named(tiny, tmp_path):
    (tmp_path / "results").mkdir(mode=0o500)
    assert "Permission denied" in ivi("run", tiny, cwd=tmp_path, code=2).stderr
