"""Two methods compared: over seeds, and over the test images where the metric is a mean over them."""

import math

import numpy as np
import pytest
from builders import made
from scipy.special import log_softmax

from leaderboard.columns import columns
from leaderboard.compare import compare_methods
from leaderboard.predictions import Predictions, save_predictions
from leaderboard.record import path_of
from leaderboard.scoring import score
from leaderboard.verify import LEFT_OUT, predictions_path


def predictions(seed, skill, certain=False):
    rng = np.random.default_rng(seed)
    labels = np.random.default_rng(99).integers(0, 5, 400)
    log_probs = log_softmax(rng.normal(size=(400, 5)) + skill * np.eye(5)[labels], axis=1).astype(np.float32)
    if certain:
        log_probs[0] = np.where(np.arange(5) == (labels[0] + 1) % 5, 0.0, -np.inf)
    return Predictions(log_probs, np.zeros(400, np.float32), np.zeros(400, np.float32), labels)


def stored(folder, method, seed, skill, shifts=(), **changes):
    """A record whose predictions lie beside it."""
    sets = {"test": predictions(seed, skill, **changes)}
    sets |= {name: predictions(seed + i, skill / 2) for i, name in enumerate(shifts)}
    one = made(method, seed).model_copy(update={"metrics": score(sets)})
    file = predictions_path(path_of(folder, one))
    file.parent.mkdir(parents=True, exist_ok=True)
    save_predictions(file, sets)
    return one


def compared(folder, records, metric="nll"):
    return compare_methods(records, folder, ("good", "bad"), columns([metric])[0])


@pytest.mark.parametrize("metric", ["nll", "accuracy", "brier"])
def test_both_intervals_hold_the_difference_of_the_means(tmp_path, metric):
    records = [stored(tmp_path, m, s, skill) for m, skill in (("good", 3.0), ("bad", 1.0)) for s in range(3)]
    (found,) = compared(tmp_path, records, metric)
    difference = found.means[0] - found.means[1]
    assert found.seeds.difference.mean == pytest.approx(difference)
    assert found.items is not None and found.items.mean == pytest.approx(difference, abs=1e-6)
    assert "better" in found.seeds.sentence and "which excludes 0" in found.sentence


def test_a_mean_over_corruptions_is_resampled_by_image(tmp_path):
    shifts = ["shift/fog/1", "shift/fog/5", "shift/snow/5"]
    records = [stored(tmp_path, m, s, skill, shifts) for m, skill in (("good", 3.0), ("bad", 1.0)) for s in range(3)]
    (column,) = columns(["nll_severity_5"], records)
    (found,) = compare_methods(records, tmp_path, ("good", "bad"), column)
    assert found.items is not None and found.items.mean == pytest.approx(found.means[0] - found.means[1], abs=1e-6)
    assert "Over the 400 images of shift/5" in found.sentence


def test_only_seeds_that_both_have_are_compared(tmp_path):
    records = [stored(tmp_path, "good", s, 3.0) for s in range(3)] + [stored(tmp_path, "bad", 2, 1.0)]
    (found,) = compared(tmp_path, records)
    assert found.seeds.seeds == 1 and "too few to judge" in found.seeds.sentence
    assert compared(tmp_path, records[:3]) == []


def test_a_metric_that_is_no_mean_over_images_has_no_such_interval(tmp_path):
    records = [stored(tmp_path, "good", 0, 3.0), stored(tmp_path, "bad", 0, 1.0)]
    assert compared(tmp_path, records, "ece")[0].items is None
    assert compared(tmp_path, [*records, made("map", 0)], "fit")[0].items is None


def test_infinite_values_are_named_and_not_averaged(tmp_path):
    records = [stored(tmp_path, "good", 0, 3.0), stored(tmp_path, "bad", 0, 1.0, certain=True)]
    (found,) = compared(tmp_path, records)
    assert found.items is None and "infinite" in found.sentence and math.isinf(found.means[1])


def test_missing_predictions_are_named(tmp_path):
    records = [stored(tmp_path, "good", 0, 3.0), stored(tmp_path, "bad", 0, 1.0)]
    predictions_path(path_of(tmp_path, records[1])).unlink()
    with pytest.raises(ValueError, match=r"bad0\.1\.safetensors: no predictions"):
        compared(tmp_path, records)


def test_seeds_are_compared_where_predictions_are_left_out_by_name(tmp_path):
    records = [stored(tmp_path, m, s, skill) for m, skill in (("good", 3.0), ("bad", 1.0)) for s in range(3)]
    with_predictions = compared(tmp_path, records)[0]
    predictions_path(path_of(tmp_path, records[0])).unlink()
    with pytest.raises(ValueError, match="no predictions"):
        compared(tmp_path, records)
    (tmp_path / LEFT_OUT).write_text("*/good/*\n")
    (found,) = compared(tmp_path, records)
    assert found.seeds == with_predictions.seeds
    assert found.items is None and "left out" in found.sentence
