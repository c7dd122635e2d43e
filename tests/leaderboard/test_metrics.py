"""Metrics against second implementations: scikit-learn, torchmetrics, and loops that read like the formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from drawn import of_classes as drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_calibration_error

from leaderboard import metrics

SEEDS = st.integers(0, 2**32 - 1)
TIGHT = {"rel": 1e-6, "abs": 1e-9}


def on_edge(log_probs: np.ndarray, bins: int = 15) -> bool:
    """Whether a confidence lies on an edge of a bin, where libraries differ in which bin it belongs to."""
    edges = np.exp(log_probs.max(axis=1)) * bins
    return bool(np.any(np.abs(edges - np.round(edges)) < 1e-4))


@given(SEEDS)
def test_accuracy_is_that_of_scikit_learn_and_torchmetrics(seed):
    log_probs, labels = drawn(seed)
    value = metrics.accuracy(log_probs, labels)
    assert value == pytest.approx(sk.accuracy_score(labels, log_probs.argmax(axis=1)), **TIGHT)
    theirs = multiclass_accuracy(
        torch.tensor(log_probs.argmax(axis=1)), torch.tensor(labels), log_probs.shape[1], average="micro"
    )
    assert value == pytest.approx(float(theirs), rel=1e-6)


@given(SEEDS)
def test_nll_is_the_log_loss_of_scikit_learn(seed):
    log_probs, labels = drawn(seed)
    value = metrics.nll(log_probs, labels)
    if math.isinf(value):
        assert np.exp(log_probs[np.arange(len(labels)), labels]).min() == 0.0
        return
    # scikit-learn clips probabilities at 2e-16; below that only the formula itself is right.
    if log_probs[np.arange(len(labels)), labels].min() > -30.0:
        theirs = sk.log_loss(labels, np.exp(log_probs), labels=np.arange(log_probs.shape[1]))
        assert value == pytest.approx(theirs, **TIGHT)
    looped = sum(-row[label] for row, label in zip(log_probs.tolist(), labels, strict=True)) / len(labels)
    assert value == pytest.approx(looped, **TIGHT)


@given(SEEDS)
def test_brier_is_that_of_scikit_learn_and_of_a_loop(seed):
    log_probs, labels = drawn(seed, 60)
    value = metrics.brier(log_probs, labels)
    looped = 0.0
    for row, label in zip(log_probs, labels, strict=True):
        looped += sum((math.exp(x) - (k == label)) ** 2 for k, x in enumerate(row.tolist())) / len(labels)
    assert value == pytest.approx(looped, **TIGHT)
    one_hot = np.eye(log_probs.shape[1])[labels]
    if log_probs.shape[1] > 2:
        theirs = sk.brier_score_loss(
            one_hot.argmax(axis=1), np.exp(log_probs), labels=np.arange(log_probs.shape[1]), scale_by_half=False
        )
        assert value == pytest.approx(theirs, **TIGHT)


@given(SEEDS)
def test_ece_is_that_of_torchmetrics_where_no_confidence_lies_on_an_edge(seed):
    log_probs, labels = drawn(seed)
    if on_edge(log_probs):
        return
    theirs = multiclass_calibration_error(
        torch.tensor(np.exp(log_probs)), torch.tensor(labels), log_probs.shape[1], n_bins=15, norm="l1"
    )
    assert metrics.ece(log_probs, labels) == pytest.approx(float(theirs), rel=1e-5, abs=1e-6)


def looped_ece(confidence: np.ndarray, correct: np.ndarray, edges: list[float]) -> float:
    total = 0.0
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        inside = [i for i, value in enumerate(confidence) if low < value <= high]
        if inside:
            gap = abs(np.mean([correct[i] for i in inside]) - np.mean([confidence[i] for i in inside]))
            total += len(inside) / len(confidence) * gap
    return total


@given(SEEDS)
def test_ece_is_the_loop_over_bins_closed_on_the_right(seed):
    log_probs, labels = drawn(seed)
    confidence, correct = metrics.confidence_and_correct(log_probs, labels)
    edges = [b / 15 for b in range(16)]
    assert metrics.ece(log_probs, labels) == pytest.approx(looped_ece(confidence, correct, edges), **TIGHT)


@given(SEEDS)
def test_equal_mass_ece_is_the_loop_over_quantile_bins(seed):
    log_probs, labels = drawn(seed)
    confidence, correct = metrics.confidence_and_correct(log_probs, labels)
    edges = [-np.inf, *np.quantile(confidence, [b / 15 for b in range(1, 15)]), np.inf]
    assert metrics.ece_equal_mass(log_probs, labels) == pytest.approx(looped_ece(confidence, correct, edges), **TIGHT)


def test_bins_of_equal_mass_hold_equally_many():
    confidence = np.random.default_rng(0).random(1500)
    counts = np.bincount(np.searchsorted(metrics.equal_mass_edges(confidence, 15), confidence))
    assert counts.tolist() == [100] * 15


@given(SEEDS)
def test_debiased_ece_is_the_loop_over_quantile_bins(seed):
    log_probs, labels = drawn(seed)
    confidence, correct = metrics.confidence_and_correct(log_probs, labels)
    index = np.searchsorted(metrics.equal_mass_edges(confidence, 15), confidence)
    square = 0.0
    for b in set(index.tolist()):
        hits, sure = correct[index == b].astype(float), confidence[index == b]
        noise = hits.var(ddof=1) / len(hits) if len(hits) > 1 else 0.0
        square += len(hits) / len(index) * ((hits.mean() - sure.mean()) ** 2 - noise)
    assert metrics.ece_debiased(log_probs, labels) ** 2 == pytest.approx(max(0.0, square), rel=1e-6, abs=1e-12)


def calibrated(rng: np.random.Generator, n: int, c: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Predictions from which the labels were drawn, so that the true calibration error is 0."""
    probs = rng.dirichlet(np.ones(c), n)
    labels = (rng.random((n, 1)) > np.cumsum(probs, axis=1)).sum(axis=1).clip(max=c - 1)
    return np.log(probs), labels


def test_debiased_ece_has_an_unbiased_square_where_plain_ece_reports_noise():
    rng = np.random.default_rng(1)
    sets = [calibrated(rng, 500) for _ in range(200)]
    assert np.mean([metrics.ece_equal_mass(*s) for s in sets]) > 0.06
    assert np.median([metrics.ece_debiased(*s) for s in sets]) < 0.03
    assert np.mean([metrics.ece_debiased(*s) == 0.0 for s in sets]) > 0.4  # half of an unbiased square lies below 0


@given(SEEDS)
def test_aurc_is_the_mean_over_random_orders_of_tied_images(seed):
    log_probs, labels = drawn(seed, 40)
    top, wrong = log_probs.max(axis=1), log_probs.argmax(axis=1) != labels
    total = 0.0
    for k in range(1, len(labels) + 1):
        least = np.sort(top)[::-1][k - 1]
        sure, tied = wrong[top > least], wrong[top == least]
        total += (sure.sum() + (k - len(sure)) * tied.mean()) / k
    assert metrics.aurc(log_probs, labels) == pytest.approx(total / len(labels), **TIGHT)


@given(SEEDS)
def test_entropy_is_that_of_a_loop(seed):
    log_probs, _ = drawn(seed, 40)
    looped = [-sum(math.exp(x) * x for x in row if x > -math.inf) for row in log_probs.tolist()]
    assert metrics.entropy(log_probs) == pytest.approx(np.maximum(looped, 0.0), **TIGHT)


@given(SEEDS, st.integers(1, 8))
def test_mutual_information_is_the_mean_divergence_of_members_from_their_mean(seed, members):
    rng = np.random.default_rng(seed)
    logits = torch.tensor(rng.normal(size=(members, 20, 4)) * 3)
    each = logits.log_softmax(-1)
    mean = each.logsumexp(0) - math.log(members)
    divergence = (each.exp() * (each - mean)).sum(-1).mean(0)
    expected = -(each.exp() * each).sum(-1).mean(0)
    value = metrics.mutual_information(mean.numpy(), expected.numpy())
    assert value == pytest.approx(divergence.numpy(), abs=1e-5)
    if members == 1:
        assert np.all(value == 0.0)


def test_mutual_information_of_one_member_in_float32_is_exactly_zero():
    log_probs = (torch.randn(5000, 10, generator=torch.Generator().manual_seed(0)) * 4).log_softmax(-1)
    expected = -(log_probs.exp() * log_probs).sum(-1)
    assert not metrics.mutual_information(log_probs.numpy(), expected.numpy()).any()


@given(SEEDS)
def test_no_metric_depends_on_the_order_of_the_images(seed):
    log_probs, labels = drawn(seed)
    order = np.random.default_rng(seed).permutation(len(labels))
    for metric in (metrics.brier, metrics.ece, metrics.ece_equal_mass, metrics.ece_debiased, metrics.aurc):
        assert metric(log_probs[order], labels[order]) == pytest.approx(metric(log_probs, labels), **TIGHT)


@given(SEEDS)
def test_every_metric_stays_in_its_range(seed):
    log_probs, labels = drawn(seed)
    for metric in (metrics.accuracy, metrics.ece, metrics.ece_equal_mass, metrics.ece_debiased, metrics.aurc):
        assert 0.0 <= metric(log_probs, labels) <= 1.0
    assert 0.0 <= metrics.brier(log_probs, labels) <= 2.0 + 1e-12
    assert metrics.nll(log_probs, labels) >= 0.0
    assert np.all(metrics.entropy(log_probs) <= math.log(log_probs.shape[1]) + 1e-9)


def test_probability_zero_on_a_true_class_gives_an_infinite_nll_and_finite_others():
    log_probs, labels = np.array([[0.0, -np.inf], [-np.inf, 0.0]]), np.array([1, 1])
    assert metrics.nll(log_probs, labels) == math.inf
    assert metrics.brier(log_probs, labels) == pytest.approx(1.0)
    assert metrics.ece(log_probs, labels) == pytest.approx(0.5)
    assert metrics.ece_equal_mass(log_probs, labels) == pytest.approx(0.5)
    assert metrics.aurc(log_probs, labels) == pytest.approx(0.5)
    assert metrics.entropy(log_probs).tolist() == [0.0, 0.0]


def test_one_image_and_one_thousand_classes():
    log_probs = np.full((1, 1000), math.log(0.5 / 999), dtype=np.float32)
    log_probs[0, 7] = math.log(0.5)
    for label, hit in ((7, 1.0), (8, 0.0)):
        labels = np.array([label])
        assert metrics.accuracy(log_probs, labels) == hit
        assert metrics.ece(log_probs, labels) == pytest.approx(0.5, abs=1e-6)
        assert metrics.ece_equal_mass(log_probs, labels) == pytest.approx(0.5, abs=1e-6)
        assert metrics.aurc(log_probs, labels) == 1.0 - hit
    assert metrics.entropy(log_probs)[0] == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(999 / 0.5), rel=1e-6)


GOOD = np.log(np.full((4, 2), 0.5))
HALVES = np.array([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("log_probs", "labels", "reason"),
    [
        (np.where(np.arange(8).reshape(4, 2) == 3, np.nan, GOOD), HALVES, "NaN in 1 of 4 rows"),
        (np.full((4, 2), 0.5), HALVES, "sums to 3.29"),  # probabilities or logits in place of logarithms
        (np.full((4, 2), -np.inf), HALVES, "sums to 0"),
        (np.full((4, 2), np.inf), HALVES, "sums to inf"),
        (GOOD[:0], HALVES[:0], "need .N >= 1"),
        (np.zeros((4, 1)), HALVES * 0, "C >= 2"),
        (GOOD[0], HALVES, "shape"),
        (np.zeros((4, 2), dtype=int), HALVES, "floating"),
        (GOOD, HALVES[:3], "4 rows"),
        (GOOD, HALVES + 1, "need 0 to 1"),
        (GOOD, HALVES - 1, "need 0 to 1"),
        (GOOD, HALVES.astype(float), "integers"),
    ],
)
def test_what_has_no_answer_is_refused_in_one_line(log_probs, labels, reason):
    metric = (metrics.accuracy, metrics.nll, metrics.brier, metrics.ece, metrics.ece_equal_mass, metrics.ece_debiased)
    for function in (*metric, metrics.aurc):
        with pytest.raises(ValueError, match=reason) as caught:
            function(log_probs, labels)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("expected", "reason"),
    [(np.zeros(3), "4 rows"), (np.full(4, np.nan), "NaN"), (np.full(4, 5.0), "exceeds")],
)
def test_an_impossible_expected_entropy_is_refused(expected, reason):
    with pytest.raises(ValueError, match=reason):
        metrics.mutual_information(GOOD, expected)


@settings(max_examples=20)
@given(SEEDS)
def test_float32_and_float64_predictions_score_alike(seed):
    log_probs, labels = drawn(seed)
    for metric in (metrics.brier, metrics.nll):
        assert metric(log_probs.astype(np.float32), labels) == pytest.approx(
            metric(log_probs, labels), rel=1e-5, abs=1e-6
        )
