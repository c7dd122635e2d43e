"""What was changed after a run is named: a byte of the predictions, a digit of a metric, the file of another run."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.special import log_softmax

from leaderboard import record
from leaderboard.predictions import Predictions, save_predictions
from leaderboard.scoring import score
from leaderboard.verify import LEFT_OUT, Finding, predictions_path, verify


def predictions(seed: int, labelled: bool = True) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, 200)
    each = log_softmax(rng.normal(size=(3, 200, 5)) + 2 * np.eye(5)[labels], axis=2)
    mean = np.log(np.exp(each).mean(axis=0)).astype(np.float32)
    expected = -np.sum(np.exp(each) * each, axis=2).mean(axis=0).astype(np.float32)
    return Predictions(mean, expected, rng.normal(size=200).astype(np.float32), labels if labelled else None)


def stored(folder: Path, seed: int, status: record.Status = "ok") -> Path:
    """The record of one run with its predictions beside it."""
    sets = {
        "validation": predictions(seed),
        "test": predictions(seed + 50),
        "ood_near/x": predictions(seed + 99, False),
    }
    one = record.Record(
        run_id=f"run{seed}",
        task=record.TaskInfo(name="task", version=1),
        method=record.MethodInfo(
            label="map", name="map", package="ivi-bench", source_sha256="0", parameters={}, resolved={}
        ),
        seed=seed,
        status=status,
        environment=record.Environment(
            commit=None,
            dirty=None,
            packages={},
            python="3",
            device="cpu",
            device_name="",
            cpu="",
            threads=1,
            started="",
        ),
    )
    if status == "ok":
        file = predictions_path(record.path_of(folder, one))
        file.parent.mkdir(parents=True, exist_ok=True)
        info = record.PredictionsInfo(sha256=save_predictions(file, sets), sets=sorted(sets))
        one = one.model_copy(update={"metrics": score(sets), "predictions": info})
    return record.write(folder, one)


@pytest.fixture
def folder(tmp_path) -> Path:
    for seed in range(3):
        stored(tmp_path, seed)
    stored(tmp_path, 3, "failed")
    return tmp_path


def first(folder: Path) -> Path:
    return next(record.record_files(folder))


def edited(path: Path, change) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def only(findings: list[Finding]) -> Finding:
    (finding,) = findings
    assert "\n" not in str(finding)
    return finding


def test_what_was_not_touched_agrees_to_the_last_digit(folder):
    assert verify(folder) == []
    assert verify(folder / "task" / "map") == []


def test_the_numbers_agree_on_a_processor_without_the_newer_instructions(folder):
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])  # type: ignore[index]
    if not found:
        pytest.skip("numpy has no newer instructions to leave out on this processor")
    code = "import sys, pathlib, leaderboard.verify as v; sys.exit(len(v.verify(pathlib.Path(sys.argv[1]))))"
    env = os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(found)}
    assert subprocess.run([sys.executable, "-c", code, str(folder)], env=env).returncode == 0


def test_nan_and_infinity_agree_with_themselves(tmp_path):
    path = stored(tmp_path, 0)
    sets = {"validation": predictions(0), "test": predictions(1)}
    log_probs, labels = sets["validation"].log_probs, sets["validation"].labels
    assert labels is not None
    log_probs[0] = np.where(np.arange(5) == (labels[0] + 1) % 5, 0.0, -np.inf)
    sets["validation"].expected_entropy[0] = 0.0
    one = record.read(path)
    info = record.PredictionsInfo(sha256=save_predictions(predictions_path(path), sets), sets=sorted(sets))
    path.unlink()
    record.write(tmp_path, one.model_copy(update={"metrics": score(sets), "predictions": info}))
    read = record.read(path).metrics["validation"]
    assert read["nll"] == math.inf and math.isnan(read["temperature"])
    assert verify(tmp_path) == []


def test_missing_predictions_are_named_unless_a_list_says_they_are_elsewhere(folder):
    path = first(folder)
    predictions_path(path).unlink()
    assert only(verify(folder)).kind == "missing"
    pattern = f"{path.relative_to(folder).parent.as_posix()}/*"
    (folder / LEFT_OUT).write_text(f"# too large\n{pattern}  # all seeds\n")
    assert verify(folder) == [] and verify(path.parent) == []
    (folder / LEFT_OUT).write_text("another/*\n")
    assert only(verify(folder)).kind == "missing"


def test_predictions_that_are_there_are_recomputed_whatever_the_list_says(folder):
    (folder / LEFT_OUT).write_text("*\n")
    edited(first(folder), lambda data: data["metrics"]["test"].update(nll=0.5))
    assert only(verify(folder)).kind == "metric"


@pytest.mark.parametrize("at", [0.0, 0.02, 0.5, 0.999])
def test_one_changed_byte_of_a_predictions_file_is_named(folder, at):
    file = predictions_path(first(folder))
    data = bytearray(file.read_bytes())
    data[int(at * len(data))] ^= 1
    file.write_bytes(data)
    finding = only(verify(folder))
    assert (finding.path, finding.kind) == (file, "damaged")


def test_each_changed_digit_of_a_metric_is_named(folder):
    path = first(folder)
    metrics = record.read(path).metrics
    for name in ("test", "ood_near/x", "ood_near"):
        for key, value in metrics[name].items():
            if value in (0.0, 1.0):
                continue
            digits = f"{value:.9e}"
            changed = float(digits[:-5] + str((int(digits[-5]) + 1) % 10) + digits[-4:])  # the last of ten
            edited(path, lambda data, n=name, k=key, v=changed: data["metrics"][n].update({k: v}))
            finding = only(verify(path.parent))
            assert (finding.path, finding.kind) == (path, "metric")
            assert f"{name} {key} is stored as {changed!r}, the predictions give {value!r}" in str(finding)
            edited(path, lambda data, n=name, k=key, v=value: data["metrics"][n].update({k: v}))


def test_a_metric_that_was_added_or_taken_away_is_named(folder):
    edited(first(folder), lambda data: data["metrics"]["test"].update(magic=1.0))
    assert "test magic is stored as 1.0, but the predictions do not give it" in str(only(verify(folder)))
    edited(first(folder), lambda data: (data["metrics"]["test"].pop("magic"), data["metrics"]["test"].pop("nll")))
    assert "test nll is not stored" in str(only(verify(folder)))


def test_nan_in_place_of_a_number_is_named(folder):
    edited(first(folder), lambda data: data["metrics"]["test"].update(nll="NaN"))
    assert "test nll is stored as nan" in str(only(verify(folder)))


def test_the_predictions_of_another_run_are_named_as_such(folder):
    mine, other = list(record.record_files(folder))[:2]
    shutil.copy(predictions_path(other), predictions_path(mine))
    finding = only(verify(folder))
    assert (finding.path, finding.kind) == (predictions_path(mine), "foreign")
    assert "holds the predictions of task map seed 1 (run run1), not of task map seed 0 (run run0)" in finding.problem


def test_the_record_of_another_run_is_named_as_such(folder):
    mine, other = list(record.record_files(folder))[:2]
    shutil.copy(other, mine)
    findings = verify(folder)
    assert {finding.kind for finding in findings} == {"misplaced", "damaged"}
    assert any("is the record of task map seed 1 (run run1)" in finding.problem for finding in findings)
    shutil.copy(predictions_path(other), predictions_path(mine))
    assert only(verify(folder)).kind == "misplaced"


def test_a_changed_seed_is_named(folder):
    edited(first(folder), lambda data: data.update(seed=7))
    assert only(verify(folder)).kind == "misplaced"


def test_missing_predictions_are_named(folder):
    predictions_path(first(folder)).unlink()
    assert only(verify(folder)).kind == "missing"
    edited(first(folder), lambda data: data.update(predictions=None))
    assert "has metrics but no predictions" in str(only(verify(folder)))


def test_a_hash_that_was_changed_with_the_file_still_shows_in_the_metrics(folder):
    path = first(folder)
    digest = save_predictions(predictions_path(path), {"test": predictions(7)})
    edited(path, lambda data: data["predictions"].update(sha256=digest))
    findings = verify(folder)
    assert {finding.kind for finding in findings} == {"metric"}
    assert any("lists the sets" in finding.problem for finding in findings)


def test_an_unreadable_record_is_named_and_the_others_are_still_checked(folder):
    first(folder).write_text("{")
    predictions_path(list(record.record_files(folder))[1]).unlink()
    assert [finding.kind for finding in verify(folder)] == ["unreadable", "missing"]


def test_a_file_that_cannot_be_scored_is_named(folder):
    path = first(folder)
    predictions_path(path).write_bytes(b"not safetensors")
    digest = hashlib.sha256(b"not safetensors").hexdigest()
    edited(path, lambda data: data["predictions"].update(sha256=digest))
    assert "cannot be scored" in str(only(verify(folder)))


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        verify(tmp_path / "nowhere")
