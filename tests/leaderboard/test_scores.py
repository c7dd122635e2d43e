"""Scores lie beside the record, say what they were made from, and grow old without growing wrong."""

from __future__ import annotations

import hashlib
import json
import math
import os

import numpy as np
import pytest
from drawn import of_classes, of_numbers
from hypothesis import given
from hypothesis import strategies as st

from leaderboard import scores as module
from leaderboard.metrics import entropy
from leaderboard.predictions import Categorical, Gaussian, save_predictions
from leaderboard.scores import METRICS_VERSION, Scores, ScoresError, read_scores, score_file, scores_path, write_scores
from leaderboard.scoring import score

DIGEST = "0" * 64


def categorical(seed: int) -> Categorical:
    log_probs, labels = of_classes(seed)
    log_probs = log_probs.astype(np.float32)
    expected = entropy(log_probs).astype(np.float32)
    return Categorical(log_probs, expected, -expected, labels)


@pytest.mark.parametrize("kind", ["categorical", "gaussian"])
def test_scores_are_those_of_the_stored_predictions(tmp_path, kind):
    mean, variance, labels = of_numbers(1)
    one = categorical(1) if kind == "categorical" else Gaussian(mean, variance, variance, labels)
    path = tmp_path / "3-0123456789ab.1.safetensors"
    digest = save_predictions(path, {"test": one, "ood_far/x": one})
    made = score_file(path)
    assert made.sets == score({"test": one, "ood_far/x": one})
    assert (made.kind, made.predictions, made.metrics_version) == (kind, digest, METRICS_VERSION)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    written = write_scores(path, made)
    assert written == tmp_path / "3-0123456789ab.1.scores.json" == scores_path(path.with_suffix(".json"))
    assert read_scores(path.with_suffix(".json")) == read_scores(path) == made
    assert not made.is_old


@given(st.dictionaries(st.text(), st.dictionaries(st.text(), st.floats())))
def test_every_number_survives_the_round_trip(sets):
    made = Scores(kind="gaussian", predictions=DIGEST, sets=sets)
    again = Scores.model_validate_json(made.model_dump_json())
    for name, row in sets.items():
        for key, value in row.items():
            there = again.sets[name][key]
            assert there == value or (math.isnan(there) and math.isnan(value))


def test_what_json_has_no_number_for_is_a_word(tmp_path):
    row = {"nll": math.inf, "temperature": math.nan, "x": -math.inf}
    path = write_scores(tmp_path / "a.1.json", Scores(kind="categorical", predictions=DIGEST, sets={"test": row}))
    text = json.loads(path.read_text(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert text["sets"]["test"] == {"nll": "Infinity", "temperature": "NaN", "x": "-Infinity"}


def test_a_new_metric_makes_scores_old_and_they_still_read(tmp_path, monkeypatch):
    made = Scores(kind="categorical", predictions=DIGEST, sets={"test": {"nll": 1.0}})
    write_scores(tmp_path / "a.1.json", made)
    monkeypatch.setattr(module, "METRICS_VERSION", METRICS_VERSION + 1)
    read = read_scores(tmp_path / "a.1.json")
    assert read == made and read is not None and read.is_old


def test_scores_are_replaced_and_nothing_else_is_left(tmp_path):
    first = Scores(kind="categorical", predictions=DIGEST, sets={})
    second = first.model_copy(update={"predictions": "1" * 64})
    write_scores(tmp_path / "a.1.json", first)
    write_scores(tmp_path / "a.1.json", second)
    assert read_scores(tmp_path / "a.1.json") == second
    assert [path.name for path in tmp_path.iterdir()] == ["a.1.scores.json"]


GOOD = json.loads(Scores(kind="categorical", predictions=DIGEST, sets={"test": {"nll": 1.0}}).model_dump_json())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"metrics_version": METRICS_VERSION + 1},
            f"made by version {METRICS_VERSION + 1} of the metrics, this program has",
        ),
        ({"metrics_version": 0}, "metrics_version"),
        ({"metrics_version": "2"}, "metrics_version"),
        ({"schema_version": 2}, "schema_version"),
        ({"kind": "ood"}, "kind"),
        ({"predictions": "../x"}, "predictions"),
        ({"predictions": DIGEST + "\n"}, "predictions"),
        ({"sets": {"test": {"nll": None}}}, "sets.test.nll"),
        ({"sets": {"test": 1.0}}, "sets.test"),
        ({"rank": 1}, "rank"),
        ({"sets": {"a\nb": {"\x1b[2J": "x"}}}, "sets"),
    ],
)
def test_scores_that_are_none_are_refused_in_one_line(tmp_path, change, reason):
    (tmp_path / "a.1.scores.json").write_text(json.dumps(GOOD | change))
    with pytest.raises(ScoresError, match=reason) as caught:
        read_scores(tmp_path / "a.1.json")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 100_000, b"\xff", b"null"])
def test_a_damaged_file_is_refused_in_one_line(tmp_path, data):
    (tmp_path / "a.1.scores.json").write_bytes(data)
    with pytest.raises(ScoresError, match=r"a\.1\.scores\.json: not scores"):
        read_scores(tmp_path / "a.1.json")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.1.scores.json")
    with pytest.raises(ScoresError, match="need a regular file"):
        read_scores(tmp_path / "a.1.json")


def test_missing_scores_are_missing_and_not_damaged(tmp_path):
    assert read_scores(tmp_path / "a.1.json") is None


def test_predictions_that_cannot_be_scored_are_named(tmp_path):
    path = tmp_path / "a.1.safetensors"
    save_predictions(path, {"ood_far/x": categorical(0)})
    with pytest.raises(ValueError, match=r"a\.1\.safetensors: cannot be scored: ood_far/x: OOD sets are compared with"):
        score_file(path)
