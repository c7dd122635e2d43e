"""What is drawn from records."""

import re
from dataclasses import replace

import numpy as np
import pytest
from builders import kept, result, task_identity

from leaderboard.predictions import Gaussian, Predictions
from leaderboard.results import load_results
from leaderboard.rows import groups_of
from leaderboard.views.drawing import _clean, about_of, draw


def certain(right: list[bool]) -> Predictions:
    """Two classes, label 0, right or wrong with probability 0.9."""
    p = np.where(np.array(right)[:, None], [0.9, 0.1], [0.1, 0.9])
    zeros = np.zeros(len(p), dtype=np.float32)
    return Predictions(np.log(p).astype(np.float32), zeros, zeros, np.zeros(len(p), dtype=np.int64))


def test_severity_zero_is_of_the_images_that_were_corrupted():
    test = certain([True, True, False, False, False, False])
    shifted = certain([True, False])
    assert _clean({"test": test, "shift/fog/1": shifted})["accuracy"] == 1.0
    assert _clean({"test": test})["accuracy"] == pytest.approx(1 / 3)


def test_severity_zero_is_of_all_test_images_where_others_were_corrupted():
    test, shifted = certain([True, True, False]), certain([True, False])
    assert test.labels is not None
    strangers = replace(shifted, labels=np.array([1, 0]))
    assert _clean({"test": test, "shift/fog/1": strangers})["accuracy"] == pytest.approx(2 / 3)


SHIFTED = {f"shift/{level}": {"accuracy": 0.9 - level / 10, "nll": 0.1 + level / 10} for level in (1, 2)}


def drawn_of(results, tmp_path):
    """What is drawn of results whose predictions are nowhere: names of figures, text in them, what is left out."""
    files, left_out = draw(groups_of(results), [], tmp_path)
    svgs = {file.stem: file.read_text() for file in files if file.suffix == ".svg"}
    texts = {name: re.sub(r"\xa0", " ", " ".join(re.findall(r"<!-- (.*?) -->", svg))) for name, svg in svgs.items()}
    return texts, left_out


def test_without_predictions_costs_and_severity_are_drawn_and_the_rest_is_named(tmp_path):
    made = [
        result(name, seed, metrics={"test": {"accuracy": 0.9, "nll": 0.1 + seed / 100}} | SHIFTED, fit_s=1.0 + seed)
        for name in ("map", "laplace")
        for seed in range(2)
    ]
    texts, left_out = drawn_of(made, tmp_path)
    assert texts.keys() == {"pareto_fit", "pareto_predict", "severity"}
    assert any("laplace, map in figures of predictions: they are not in this folder" in line for line in left_out)
    assert "all test items" in texts["severity"], "the clean images of the corrupted ones are not known"
    for text in texts.values():
        assert all(part in text for part in ("task", "model mlp", "2 seeds (0, 1)", "made 2026-11-25")), text


@pytest.mark.parametrize("kind", ["categorical", "gaussian"])
def test_what_is_drawn_of_predictions_suits_their_kind(tmp_path, kind):
    for name in ("map", "laplace"):
        for seed in range(2):
            if kind == "categorical":
                kept(tmp_path / "r", name, seed)
            else:
                sets = {"validation": of_numbers(seed), "test": of_numbers(50 + seed)}
                kept(tmp_path / "r", name, seed, sets=sets, task=task_identity(likelihood="gaussian", outputs=1))
    files, _ = draw(groups_of(load_results(tmp_path / "r").results), [], tmp_path / "f")
    wanted = {"categorical": {"reliability", "risk_coverage"}, "gaussian": {"quantiles", "predicted_against_true"}}
    assert {file.stem for file in files} == wanted[kind] | {"pareto_fit", "pareto_predict"}


def of_numbers(seed: int, n: int = 60) -> Gaussian:
    rng = np.random.default_rng(seed)
    mean, variance = rng.normal(size=n).astype(np.float32), rng.uniform(0.5, 2, n).astype(np.float32)
    return Gaussian(mean, variance, variance, np.random.default_rng(seed // 50).normal(size=n).astype(np.float32))


def test_a_caption_counts_seeds_and_names_the_days_on_which_the_runs_were_made():
    days = [result("map", s, environment={"started": f"2026-11-{20 + s}T12:00:00+00:00"}) for s in range(3)]
    about = about_of("task", {"map": {r.seed: r for r in days}, "laplace": {0: days[0]}})
    assert about == "task · model mlp · 1 to 3 seeds (0 to 2) · made 2026-11-20 to 2026-11-22"
