"""Out-of-distribution metrics against scikit-learn and against counting pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from leaderboard import metrics

SEEDS = st.integers(0, 2**32 - 1)
TIGHT = {"rel": 1e-6, "abs": 1e-9}


def scores(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """OOD scores, often tied within and between the two sets, sometimes infinite."""
    rng = np.random.default_rng(seed)
    inside, outside = rng.normal(size=rng.integers(1, 200)), rng.normal(rng.normal(), size=rng.integers(1, 200))
    if rng.random() < 0.5:
        inside, outside = np.round(inside), np.round(outside)
    return inside, outside


@given(SEEDS)
def test_auroc_is_that_of_scikit_learn_and_of_counting_pairs(seed):
    inside, outside = scores(seed)
    truth = np.r_[np.zeros(len(inside)), np.ones(len(outside))]
    value = metrics.auroc(inside, outside)
    assert value == pytest.approx(sk.roc_auc_score(truth, np.r_[inside, outside]), **TIGHT)
    pairs = (outside[:, None] > inside).mean() + 0.5 * (outside[:, None] == inside).mean()
    assert value == pytest.approx(pairs, **TIGHT)


@given(SEEDS)
def test_aupr_is_the_average_precision_of_scikit_learn_both_ways(seed):
    inside, outside = scores(seed)
    truth, joined = np.r_[np.zeros(len(inside)), np.ones(len(outside))], np.r_[inside, outside]
    assert metrics.aupr_out(inside, outside) == pytest.approx(sk.average_precision_score(truth, joined), **TIGHT)
    assert metrics.aupr_in(inside, outside) == pytest.approx(sk.average_precision_score(1 - truth, -joined), **TIGHT)


@given(SEEDS)
def test_fpr95_is_read_off_the_roc_curve_of_scikit_learn(seed):
    inside, outside = scores(seed)
    truth = np.r_[np.zeros(len(inside)), np.ones(len(outside))]
    false, true, _ = sk.roc_curve(truth, np.r_[inside, outside], drop_intermediate=False)
    enough = np.round(true * len(outside)) * 100 >= 95 * len(outside)  # in integers: 0.95 is no binary fraction
    assert metrics.fpr95(inside, outside) == pytest.approx(false[np.argmax(enough)], **TIGHT)


def test_scores_all_alike_are_chance():
    inside, outside = np.zeros(30), np.zeros(10)
    assert metrics.auroc(inside, outside) == 0.5
    assert metrics.aupr_out(inside, outside) == 0.25
    assert metrics.aupr_in(inside, outside) == 0.75
    assert metrics.fpr95(inside, outside) == 1.0


def test_infinite_scores_are_ordered_like_others():
    assert metrics.auroc(np.array([-np.inf, 0.0]), np.array([1.0, np.inf])) == 1.0


@pytest.mark.parametrize("bad", [np.array([]), np.array([0.0, np.nan]), np.zeros((2, 2))])
def test_an_empty_ood_set_or_nan_is_refused(bad):
    for metric in (metrics.auroc, metrics.aupr_in, metrics.aupr_out, metrics.fpr95):
        with pytest.raises(ValueError, match="id_scores"):
            metric(bad, np.array([1.0]))
        with pytest.raises(ValueError, match="ood_scores"):
            metric(np.array([1.0]), bad)
