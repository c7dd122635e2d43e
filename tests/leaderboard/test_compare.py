"""Two methods compared: over seeds, and over the test items where the metric is a mean over them."""

import math

import numpy as np
import pytest
from builders import kept, predictions, sha

from leaderboard.columns import column
from leaderboard.compare import compare_methods
from leaderboard.predictions import Categorical
from leaderboard.results import load_results
from leaderboard.rows import groups_of
from leaderboard.store import PREDICTIONS, beside


def stored(folder, method, seed, skill, shifts=(), certain=False, **changes):
    """A record whose predictions are right more often with more skill; all on the same items."""
    test = drawn(seed, skill)
    if certain:
        wrong = (test.labels[0] + 1) % 5
        test.log_probs[0] = np.where(np.arange(5) == wrong, 0.0, -np.inf)
        test.expected_entropy[0] = 0.0
    sets = {"test": test} | {name: drawn(seed + i + 10, skill / 2) for i, name in enumerate(shifts)}
    return kept(folder, method, seed, sets=sets, **changes)


def drawn(seed, skill):
    one = predictions(seed, skill=skill, n=400)
    return Categorical(one.log_probs, one.expected_entropy, one.energy, one.labels)


def compared(folder, metric="nll", methods=("good", "bad")):
    results = load_results(folder).results
    return compare_methods(groups_of(results), methods, column(metric, results))


def three_seeds(folder, **changes):
    for method, skill in (("good", 3.0), ("bad", 1.0), ("map", 2.0)):
        for seed in range(3):
            stored(folder, method, seed, skill, **changes)


@pytest.mark.parametrize("metric", ["nll", "accuracy", "brier"])
def test_both_intervals_hold_the_difference_of_the_means(tmp_path, metric):
    three_seeds(tmp_path)
    ((found,), left_out) = compared(tmp_path, metric)
    difference = found.means[0] - found.means[1]
    assert found.seeds.difference.mean == pytest.approx(difference)
    assert found.items is not None and found.items.mean == pytest.approx(difference, abs=1e-6)
    assert "better" in found.seeds.sentence and "which excludes 0" in found.sentence
    assert found.left_out == () and left_out == []


def test_a_mean_over_corruptions_is_resampled_by_item(tmp_path):
    three_seeds(tmp_path, shifts=["shift/fog/1", "shift/fog/5", "shift/snow/5"])
    ((found,), _) = compared(tmp_path, "nll_severity_5")
    assert found.items is not None and found.items.mean == pytest.approx(found.means[0] - found.means[1], abs=1e-6)
    assert "Over the 400 items of shift/5" in found.sentence


def test_only_seeds_that_both_have_are_compared_and_the_others_are_named(tmp_path):
    for seed in range(3):
        stored(tmp_path, "good", seed, 3.0)
    assert compared(tmp_path) == ([], [])
    stored(tmp_path, "bad", 2, 1.0)
    ((found,), _) = compared(tmp_path)
    assert found.seeds.seeds == 1 and "too few to judge" in found.seeds.sentence
    assert found.left_out == ("seed 0, 1: not run by both on the same task, machine and code",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"environment": {"code": sha("older")}}, "same our code"),
        ({"environment": {"device_name": "another"}}, "on one device"),
        ({"device": "cuda"}, "made on cuda"),
        ({"task": "task"}, "other data"),
    ],
)
def test_runs_that_may_not_stand_beside_each_other_are_left_out_and_named(tmp_path, changes, said):
    stored(tmp_path, "map", 0, 2.0)
    stored(tmp_path, "good", 0, 3.0)
    if "task" in changes:
        from builders import task_identity

        changes = {"task": task_identity(outputs=5)}
    stored(tmp_path, "bad", 0, 1.0, **changes)
    found, left_out = compared(tmp_path)
    assert found == [] and said in " ".join(left_out[0].reasons)
    if "environment" in changes:
        return  # the same run: made again, it counts
    stored(tmp_path, "bad", 0, 1.0)
    ((found,), _) = compared(tmp_path)
    assert any(said in line for line in found.left_out)


def test_a_metric_that_is_no_mean_over_items_has_no_such_interval(tmp_path):
    three_seeds(tmp_path)
    for metric in ("ece", "fit"):
        ((found,), _) = compared(tmp_path, metric)
        assert found.items is None and "not a mean over test items" in found.sentence


def test_infinite_values_are_named_and_not_averaged(tmp_path):
    stored(tmp_path, "good", 0, 3.0)
    stored(tmp_path, "bad", 0, 1.0, certain=True)
    ((found,), _) = compared(tmp_path)
    assert found.items is None and "infinite" in found.sentence and math.isinf(found.means[1])


def test_seeds_are_compared_where_predictions_are_elsewhere(tmp_path):
    three_seeds(tmp_path)
    ((before,), _) = compared(tmp_path)
    file = next(tmp_path.glob(f"*/bad/*{PREDICTIONS}"))
    file.unlink()
    ((found,), _) = compared(tmp_path)
    assert found.seeds == before.seeds and found.items is None and "not in this folder" in found.sentence


def test_damaged_predictions_are_named(tmp_path):
    path = stored(tmp_path, "good", 0, 3.0)
    stored(tmp_path, "bad", 0, 1.0)
    beside(path, PREDICTIONS).write_bytes(b"x")
    with pytest.raises(ValueError, match="not a predictions file"):
        compared(tmp_path)
