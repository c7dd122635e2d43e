"""Kept predictors: what they answer is what was recorded, whatever the method; what is not as it was is refused."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from commands import ivi, records
from PIL import Image
from safetensors.numpy import load_file, save
from sklearn.datasets import load_diabetes

from benchmarks import load_predictor
from benchmarks.data.sealed import read_inputs
from benchmarks.data.truth import read_truth
from benchmarks.own.kept import SUFFIX, factor_of, read_about
from benchmarks.prepare import prepare
from benchmarks.suite import load_task
from leaderboard.predictions import load_predictions
from leaderboard.shelf import PREDICTIONS, beside

METHODS = [
    "map",
    "deep_ensemble(members=2)",
    "mc_dropout(passes=3)",
    "laplace",
    "kl_vi(draws=3)",
    "implicit_vi(draws=3)",
]
SUITE = """
name = "kept"
description = "a suite whose predictors are kept"
tasks = ["digits-mlp", "diabetes-mlp"]
methods = METHODS
seeds = [0]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    (folder / "kept.toml").write_text(SUITE.replace("METHODS", json.dumps(METHODS)))
    ivi("run", "kept.toml", "--keep-models", cwd=folder)
    return folder


def file_of(folder, task, label):
    ((path, _),) = [
        (path, one)
        for path, one in records(folder / "results").items()
        if one["label"] == label and one["identity"]["task"]["name"] == task
    ]
    return path


@pytest.mark.parametrize("task", ["digits-mlp", "diabetes-mlp"])
@pytest.mark.parametrize("label", METHODS)
def test_a_kept_predictor_answers_to_the_bit_what_was_recorded(folder, task, label):
    kept = load_predictor(label, folder / "results", task=task)
    data = prepare(load_task(task)).folder
    inputs, _ = read_inputs(data)
    answered = kept.answers(inputs)
    recorded = load_predictions(beside(file_of(folder, task, label), PREDICTIONS))
    for name, (places, _) in read_truth(data).items():
        for field, values in vars(recorded[name]).items():
            if field != "labels":
                assert np.array_equal(getattr(answered, field)[places], values), (name, field)


def test_the_state_in_the_file_is_the_one_that_the_record_names(folder):
    path = file_of(folder, "digits-mlp", "map")
    tensors = load_file(beside(path, SUFFIX))
    assert hashlib.sha256(save(tensors)).hexdigest() == json.loads(path.read_text())["audit"]["state"]


def test_probabilities_are_those_of_the_boards_temperature_and_unlike_is_a_rank_among_validation_examples(folder):
    kept = load_predictor("map", folder / "results", task="digits-mlp")
    path = file_of(folder, "digits-mlp", "map")
    scores = json.loads(beside(path, ".scores.json").read_text())["sets"]
    assert kept.about.factor == scores["validation"]["temperature"] != 1
    validation = load_predictions(beside(path, PREDICTIONS))["validation"]
    energy = np.sort(validation.energy)
    assert np.array_equal(np.array(kept.about.unlike, np.float32), energy)
    p = np.exp(validation.log_probs.astype(np.float64) / kept.about.factor)
    p /= p.sum(1, keepdims=True)
    inputs = read_inputs(prepare(load_task("digits-mlp")).folder)[0]
    places = read_truth(prepare(load_task("digits-mlp")).folder)["validation"][0]
    rows = ask_pictures(kept, inputs[places].numpy(), folder / "pictures")
    assert np.allclose(rows["probability"], p.max(1), atol=2e-3)
    assert (rows["class"].astype(int) == p.argmax(1)).mean() > 0.99
    expected = np.searchsorted(energy, validation.energy, "left") / len(energy)
    assert np.allclose(rows["unlike"], expected, atol=2 / len(energy))


def ask_pictures(kept, pixels, folder):
    folder.mkdir(exist_ok=True)
    for i, one in enumerate(pixels):
        Image.fromarray(one[0]).save(folder / f"{i:04}.png")
    return kept.predict([folder])


def test_rows_of_a_csv_are_answered_in_the_units_of_the_target(folder):
    frame = load_diabetes(as_frame=True, scaled=False).frame
    frame.to_csv(folder / "rows.csv", index=False)
    done = ivi("predict", "map", "rows.csv", "--task", "diabetes-mlp", "-f", "json", cwd=folder)
    rows = pd.DataFrame(json.loads(done.stdout))
    assert len(rows) == 442 and list(rows.columns) == ["input", "mean", "sd", "low", "high", "unlike"]
    assert np.corrcoef(rows["mean"], frame["target"])[0, 1] > 0.6
    inside = (rows["low"] <= frame["target"]) & (frame["target"] <= rows["high"])
    assert 0.88 < inside.mean() < 1 and rows["unlike"].between(0, 1).all()
    python = load_predictor("map", folder / "results", task="diabetes-mlp").predict(frame.drop(columns="target"))
    assert np.allclose(python["mean"], rows["mean"], atol=1e-3)


def test_finished_runs_whose_predictors_were_not_kept_are_made_again_and_kept_then(tmp_path):
    arguments = ("run", "digits-mlp", "-m", "map", "-s", 1)
    ivi(*arguments, cwd=tmp_path)
    assert not list(tmp_path.rglob(f"*{SUFFIX}"))
    ivi(*arguments, "--keep-models", cwd=tmp_path)
    (kept,) = tmp_path.rglob(f"*{SUFFIX}")
    first, second = (json.loads(path.read_text()) for path in sorted(records(tmp_path / "results")))
    assert first["audit"]["state"] == second["audit"]["state"] == read_about(kept).state
    assert "runs to make" not in ivi(*arguments, "--keep-models", cwd=tmp_path).stdout


def test_a_kept_file_works_alone_and_says_no_place_of_this_machine(folder, tmp_path):
    source = beside(file_of(folder, "digits-mlp", "laplace"), SUFFIX)
    alone = tmp_path / f"shared{SUFFIX}"
    alone.write_bytes(source.read_bytes())
    assert str(folder).encode() not in alone.read_bytes()
    inputs, _ = read_inputs(prepare(load_task("digits-mlp")).folder)
    one, other = (load_predictor(str(path)).answers(inputs[:50]) for path in (source, alone))
    assert np.array_equal(one.log_probs, other.log_probs)


def damage(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing", "x.png", "--task", "digits-mlp"], "no kept predictor 'nothing' in results; there are"),
        (["map", "x.png"], "was run on several tasks: say which with --task: diabetes-mlp, digits-mlp"),
        (["map", "x.png", "--task", "digits-mlp"], "x.png is not there"),
        (["map", "rows.toml", "--task", "diabetes-mlp"], "tables are read from .csv and .parquet files"),
        (["damaged.model.safetensors", "seen.png"], "the tensors in it are not those that the run has fitted"),
        (["kept.toml.model.safetensors", "x.png"], "not a kept predictor"),
    ],
)
def test_what_cannot_be_answered_is_said_in_one_line(folder, arguments, words):
    damaged = folder / f"damaged{SUFFIX}"
    damaged.write_bytes(beside(file_of(folder, "digits-mlp", "map"), SUFFIX).read_bytes())
    damage(damaged)
    Image.new("L", (8, 8)).save(folder / "seen.png")
    (folder / f"kept.toml{SUFFIX}").write_text("no safetensors")
    (folder / "rows.toml").write_text("a = 1")
    done = ivi("predict", *arguments, cwd=folder, code=2)
    assert words in done.stderr and len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("accuracy", "temperature", "used"),
    [(1.0, 0.03, None), (1.0, 1.4, 1.4), (0.9, 0.7, 0.7), (0.9, float("nan"), None)],
)
def test_answers_are_not_sharpened_by_validation_examples_that_were_all_right(accuracy, temperature, used):
    assert factor_of({"accuracy": accuracy, "temperature": temperature}, "categorical") == used
