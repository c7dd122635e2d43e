"""AUGRC and classwise ECE against loops that read like the formula, and against what they must be at the extremes."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import of_classes
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from leaderboard.metrics.calibration import ece, ece_classwise, ece_debiased, ece_equal_mass
from leaderboard.metrics.selective import augrc

SEEDS = st.integers(0, 2**32 - 1)
TIGHT = {"rel": 1e-6, "abs": 1e-9}


@given(SEEDS)
def test_augrc_is_the_area_by_trapezoids_over_thresholds(seed):
    log_probs, labels = of_classes(seed, 60)
    top, wrong = log_probs.max(axis=1), log_probs.argmax(axis=1) != labels
    points = [(0.0, 0.0)]
    for threshold in sorted(set(top.tolist()), reverse=True):
        trusted = top >= threshold
        points.append((trusted.mean(), (trusted & wrong).mean()))
    area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in zip(points[:-1], points[1:], strict=True))
    assert augrc(log_probs, labels) == pytest.approx(area, **TIGHT)


@given(SEEDS)
def test_augrc_is_what_its_paper_says_of_accuracy_and_auroc(seed):
    log_probs, labels = of_classes(seed)
    correct = log_probs.argmax(axis=1) == labels
    accuracy = correct.mean()
    auroc = roc_auc_score(correct, log_probs.max(axis=1)) if 0 < accuracy < 1 else 0.5
    expected = (1 - auroc) * accuracy * (1 - accuracy) + (1 - accuracy) ** 2 / 2
    assert augrc(log_probs, labels) == pytest.approx(expected, **TIGHT)


def test_augrc_of_confidence_that_says_nothing_is_half_the_error_rate():
    log_probs = np.log(np.tile([0.6, 0.4], (100, 1)))
    assert augrc(log_probs, np.arange(100) % 4 // 3) == pytest.approx(0.125)
    assert augrc(log_probs, np.ones(100, int)) == pytest.approx(0.5)


@given(SEEDS, st.integers(1, 20))
def test_classwise_ece_is_the_loop_over_classes_and_bins(seed, bins):
    log_probs, labels = of_classes(seed, 60)
    n, classes = log_probs.shape
    total = 0.0
    for c in range(classes):
        p, true = np.exp(log_probs[:, c]), labels == c
        for b in range(bins):
            inside = ((p > b / bins) | (b == 0)) & ((p <= (b + 1) / bins) | (b == bins - 1))
            if inside.any():
                total += inside.sum() / n * abs(true[inside].mean() - p[inside].mean()) / classes
    assert ece_classwise(log_probs, labels, bins) == pytest.approx(total, **TIGHT)


def test_classwise_ece_sees_an_error_that_the_most_probable_class_hides():
    # Says 0.6 for class 0 and is right; gives the rest to class 1, where class 2 is true.
    log_probs, labels = np.log(np.tile([0.6, 0.4 - 1e-9, 1e-9], (10, 1))), np.array([0] * 6 + [2] * 4)
    assert ece(log_probs, labels) == pytest.approx(0.0, abs=1e-9)
    assert ece_classwise(log_probs, labels) == pytest.approx(0.8 / 3, rel=1e-6)


def test_classwise_ece_does_not_depend_on_the_blocks_in_which_rows_are_worked_through():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(100) / 10, 6000)  # three blocks
    labels = rng.integers(0, 100, 6000)
    whole = ece_classwise(np.log(probs), labels)
    gaps = np.zeros((100, 15))
    index = np.ceil(probs * 15).astype(int).clip(1) - 1
    for c in range(100):
        gaps[c] = np.bincount(index[:, c], weights=probs[:, c] - (labels == c), minlength=15)
    assert whole == pytest.approx(np.abs(gaps).sum() / 6000 / 100, rel=1e-9)


@pytest.mark.parametrize("metric", [ece, ece_equal_mass, ece_debiased, ece_classwise])
def test_no_bins_at_all_are_refused(metric):
    with pytest.raises(ValueError, match="bins is 0: need 1 at least"):
        metric(*of_classes(0), bins=0)
