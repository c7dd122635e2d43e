"""Methods that peek gain nothing; methods that break things leave every other row as it was, and the suite ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
HOSTILE = HERE / "methods" / "hostile.py"
IVI = Path(sys.executable).with_name("ivi")
ROWS = ("map", "laplace", "mc_dropout")
ENDINGS = {
    "HangsForEver": ("timed_out", "still busy"),
    "StopsItself": ("timed_out", "still busy"),
    "Exits": ("failed", "called exit(0)"),
    "ExitsAtOnce": ("crashed", "exit code 0 without a word"),
    "KilledByItself": ("crashed", "SIGSEGV"),
    "ClosesFiles": ("crashed", ""),
    "Forks": ("crashed", ""),
    "SpeaksMarkup": ("failed", "[/INST]"),
    "SendsForgedMessages": ("crashed", "no message"),
    "MoreClasses": ("failed", "outputs have shape"),
}
HARMLESS = ("LeavesThreads", "LeavesProcesses", "Prints", "PatchesScoreAndClock", "PoisonsSharedFits")
PEEKING = (
    "LooksForLabelsWhilePredicting",
    "LooksForTestDataWhileFitting",
    "CountsBatches",
    "JudgesBatches",
    "PlantsRecords",
)


def run(out, methods, *options):
    command = [IVI, "run", "digits-mlp", "-s", "1", "-m", ",".join(ROWS), "--out", out, "--limit", "0.6", *options]
    command += [part for name in methods for part in ("--method", f"{HOSTILE}:{name}")]
    environment = os.environ | {"HOSTILE_OUT": str(out)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)


def records(out):
    found = {}
    for path in out.glob("digits-mlp/*/0-*.1.json"):
        if not path.name.endswith(".scores.json") and path.read_text() != "{}":
            record = json.loads(path.read_text())
            found[record["label"]] = record | {"path": path}
    return found


def scores(record):
    return json.loads(record["path"].with_suffix(".scores.json").read_text())["sets"]


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    out = tmp_path_factory.mktemp("honest")
    done = run(out, [])
    assert done.returncode == 0, done.stderr
    return records(out)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    out = tmp_path_factory.mktemp("hostile")
    return run(out, [*ENDINGS, *HARMLESS, *PEEKING, "Honest", "Bagging"]), out


def label(name):
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


pytestmark = pytest.mark.slow


def test_every_honest_row_is_what_it_was_to_the_last_digit(honest, hostile):
    found = records(hostile[1])
    for name in ROWS:
        assert found[name]["predictions"] == honest[name]["predictions"]
        assert scores(found[name]) == scores(honest[name])


def test_every_run_leaves_a_record_that_says_how_it_ended(hostile):
    done, out = hostile
    found = records(out)
    assert done.returncode == 1 and "Traceback" not in done.stderr + done.stdout
    for name, (status, words) in ENDINGS.items():
        record = found[label(name)]
        assert record["status"] == status, (name, record["error"])
        assert words in record["error"]["reason"], (name, record["error"])
    for name in (*HARMLESS, *PEEKING, "Honest"):
        assert found[label(name)]["status"] == "ok", (name, found[label(name)]["error"])


def test_nothing_that_a_method_says_steers_the_terminal(hostile):
    done, out = hostile
    for text in (done.stdout, done.stderr, *(path.read_text() for path in out.rglob("*.json"))):
        assert not set(text) & set("\x1b\x07\u202e")
    assert "[bold]all ok[/bold]" in done.stdout


def test_nothing_that_a_method_started_is_left(hostile):
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in left.splitlines() if line.startswith("sleep 98")]


def test_what_a_method_prints_goes_to_the_log_of_its_run(hostile):
    done, out = hostile
    log = records(out)["prints"]["path"].with_suffix(".log").read_text()
    assert "said by the method" in log and "and on the other stream" in log and "\x1b" not in log
    assert "said by the method" not in done.stdout + done.stderr


def test_clocks_are_out_of_reach(hostile):
    cost = records(hostile[1])["patches_score_and_clock"]["cost"]
    assert 0 < cost["fit_s"] < 100 and 0 < cost["predict_s"] < 100


@pytest.mark.parametrize("name", ["LooksForLabelsWhilePredicting", "PatchesScoreAndClock"])
def test_looking_inside_the_process_gains_nothing(honest, hostile, name):
    theirs, ours = scores(records(hostile[1])[label(name)])["test"], scores(honest["map"])["test"]
    assert theirs["accuracy"] == ours["accuracy"] and theirs["nll"] == ours["nll"]


@pytest.mark.parametrize("name", ["CountsBatches", "JudgesBatches"])
def test_a_batch_says_nothing_about_its_set(honest, hostile, name):
    theirs, ours = scores(records(hostile[1])[label(name)]), scores(honest["map"])
    for group in ("ood_near", "ood_far"):
        assert theirs[group]["auroc_max_probability"] <= ours[group]["auroc_max_probability"] + 0.02


def test_only_fitting_examples_are_in_the_process_that_fits(hostile):
    record = records(hostile[1])["looks_for_test_data_while_fitting"]
    assert "sets of images [297, 1000]" in record["path"].with_suffix(".log").read_text()


def test_a_fit_of_a_changed_problem_is_another_fit(honest, hostile):
    bagging = records(hostile[1])["bagging"]
    assert bagging["status"] == "ok" and not bagging["audit"]["shared"]
    assert scores(bagging)["test"] != scores(honest["map"])["test"]
