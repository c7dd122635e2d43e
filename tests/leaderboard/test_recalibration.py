"""Vector, matrix and isotonic calibration against scikit-learn, scipy, and what must hold whatever the data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from leaderboard import affine, metrics
from leaderboard.calibration import fit_temperature, scale
from leaderboard.metrics.registry import RECALIBRATIONS
from leaderboard.recalibration import isotonic, matrix, structured_matrix, structured_vector, vector

AFFINE = (vector, structured_vector, matrix, structured_matrix)
EVERY = (*AFFINE, isotonic)
QUICK = Path(__file__).parents[2] / "leaderboard" / "records" / "quick"


def sampled(seed: int, n: int = 400, c: int = 4, missing: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Predictions that err class by class, sharpened twofold, with labels of the probabilities before that."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, c)) * 2
    labels = (rng.random((n, 1)) > np.cumsum(np.exp(log_softmax(logits, axis=1)), axis=1)).sum(axis=1).clip(max=c - 1)
    if missing:
        labels[labels == c - 1] = 0
    wrong = logits @ (np.eye(c) + rng.normal(size=(c, c)) / 4) + rng.normal(size=c)
    return log_softmax(2.0 * wrong, axis=1).astype(np.float32), labels


def tempered(log_probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return scale(log_probs, fit_temperature(log_probs, labels))


def test_a_free_matrix_is_the_multinomial_regression_of_scikit_learn():
    log_probs, labels = sampled(0, 3000)
    x = tempered(log_probs, labels)
    family = affine.Full(np.full((4, 5), 1e-9))
    ours = np.exp(affine.normalized(x + family.change(x, affine.fit(family, x, labels))))
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(x, labels).predict_proba(x)
    assert ours == pytest.approx(theirs, abs=1e-3)
    assert np.exp(matrix(log_probs, labels)(log_probs)) == pytest.approx(theirs, abs=5e-3)


def test_a_free_vector_of_two_classes_is_the_logistic_regression_of_scikit_learn_on_both_logs():
    log_probs, labels = sampled(1, 3000, 2)
    x = log_probs.astype(float)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(x, labels).predict_proba(x)
    assert np.exp(vector(log_probs, labels)(log_probs)) == pytest.approx(theirs, abs=3e-3)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("form", [structured_vector, structured_matrix])
def test_the_structured_forms_are_what_scipy_finds_for_the_objective_as_it_is_written(form, missing):
    log_probs, labels = sampled(2, 120, 3, missing)
    x, n, c = tempered(log_probs, labels).tolist(), 120, 3

    def slow(numbers: np.ndarray) -> float:
        m = np.diag(numbers[:3]) if form is structured_vector else numbers[:9].reshape(3, 3)
        b, total = numbers[-3:], 0.0
        for row, label in zip(x, labels.tolist(), strict=True):
            z = row + m @ row + b
            total -= z[label] - np.log(np.sum(np.exp(z)))
        own = np.sum(np.diag(m) ** 2)
        return total / n + c / n * (own + np.sum(b**2)) + c * (c - 1) / n * (np.sum(m**2) - own)

    found = minimize(slow, np.zeros(6 if form is structured_vector else 12), method="BFGS", options={"gtol": 1e-7})
    theta = form(log_probs, labels).theta
    flat = theta.ravel() if form is structured_vector else np.concatenate([theta[:, :3].ravel(), theta[:, 3]])
    assert flat == pytest.approx(found.x, abs=2e-4)


def test_isotonic_is_that_of_scikit_learn_of_every_class_against_the_rest():
    (log_probs, labels), (other, _) = sampled(3), sampled(4, 50)
    log_probs[::3] = np.round(log_probs[::3], 0)  # ties
    log_probs, other = log_softmax(log_probs.astype(float), axis=1), other.astype(float)
    columns = []
    for c in range(4):
        fitted = IsotonicRegression(out_of_bounds="clip").fit(np.exp(log_probs[:, c]), labels == c)
        columns.append(fitted.predict(np.exp(other[:, c])))
    mixed = (400 * np.stack(columns, axis=1) + 0.25) / 401
    expected = mixed / mixed.sum(axis=1, keepdims=True)
    assert np.exp(isotonic(log_probs, labels)(other)) == pytest.approx(expected, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.integers(2, 6), st.booleans())
def test_none_that_starts_from_temperature_is_worse_than_it_on_the_images_it_was_fitted_on(seed, n, c, missing):
    log_probs, labels = sampled(seed, n, c, missing)
    before = metrics.nll(tempered(log_probs, labels), labels)
    for form in AFFINE:
        assert metrics.nll(form(log_probs, labels)(log_probs), labels) <= before + 1e-6, form


def test_the_published_scores_say_so_too():
    files = sorted(QUICK.rglob("*.scores.json"))
    assert files
    for file in files:
        row = json.loads(file.read_text())["sets"]["validation"]
        for form in AFFINE:
            assert row[f"nll_{form.__name__}"] <= row["nll_scaled"] + 1e-6, (file, form)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.booleans())
def test_whatever_the_data_what_comes_out_is_a_distribution_of_finite_nll(seed, n, missing):
    log_probs, labels = sampled(seed, n, 5, missing)
    log_probs[:, 2] = np.where(labels == 2, log_probs[:, 2], -np.inf)  # probability 0 of classes that are not true
    log_probs = log_softmax(log_probs, axis=1)
    other, others = sampled(seed + 1, 40, 5)
    other[:3, :4] = -np.inf
    other[:3, 4] = 0.0
    for form in EVERY:
        calibrated = form(log_probs, labels)(other)
        assert np.exp(calibrated).sum(axis=1) == pytest.approx(np.ones(40), abs=1e-12), form
        assert np.isfinite(calibrated[3:]).all() and np.isfinite(metrics.nll(calibrated, others)), form


@pytest.mark.parametrize("form", EVERY)
def test_the_order_of_the_images_changes_no_digit_that_is_stored(form):
    (log_probs, labels), (other, others) = sampled(5), sampled(6)
    order = np.random.default_rng(0).permutation(len(labels))
    ones = [form(*pair)(other) for pair in ((log_probs, labels), (log_probs[order], labels[order]))]
    first, second = (f"{metrics.nll(one, others):.10g}" for one in ones)
    assert first == second


@pytest.mark.parametrize("form", EVERY)
def test_classes_may_be_numbered_in_any_order(form):
    (log_probs, labels), (other, _) = sampled(7), sampled(8)
    order = np.array([2, 0, 3, 1])
    again = form(log_probs[:, order], np.argsort(order)[labels])(other[:, order])
    assert again == pytest.approx(form(log_probs, labels)(other)[:, order], abs=1e-3 if form is matrix else 1e-6)


@pytest.mark.parametrize("form", AFFINE)
def test_a_temperature_applied_before_changes_nothing(form):
    (log_probs, labels), (other, _) = sampled(9), sampled(10)
    again = form(scale(log_probs, 3.0), labels)(scale(other, 3.0))
    assert again == pytest.approx(form(log_probs, labels)(other), abs=5e-3)


def test_isotonic_takes_any_rising_function_of_the_probabilities_for_the_probabilities():
    log_probs, labels = sampled(11, 400, 2)
    log_probs = scale(log_probs, 4.0)  # of two classes p^3 / (p^3 + q^3) rises with p
    again = isotonic(scale(log_probs, 1 / 3), labels)(scale(log_probs, 1 / 3))
    assert again == pytest.approx(isotonic(log_probs, labels)(log_probs), abs=1e-9)


def test_a_class_that_is_missing_has_the_share_of_one_more_example_under_isotonic():
    log_probs, labels = sampled(12, 99, 4, missing=True)
    fitted = isotonic(log_probs, labels)
    assert (fitted.knots[3][1] == 0).all()
    shares = [np.interp(np.exp(log_probs[:, c].astype(float)), *fitted.knots[c]) for c in range(4)]
    expected = (1 / 400) / sum(0.99 * share + 1 / 400 for share in shares)
    assert np.exp(fitted(log_probs)[:, 3]) == pytest.approx(expected)


@pytest.mark.parametrize("form", EVERY)
def test_on_many_images_of_true_probabilities_none_does_harm(form):
    rng = np.random.default_rng(0)
    log_probs = log_softmax(rng.normal(size=(60_000, 3)), axis=1)
    labels = (rng.random((60_000, 1)) > np.cumsum(np.exp(log_probs), axis=1)).sum(axis=1).clip(max=2)
    fit, rest = slice(30_000), slice(30_000, None)
    after = metrics.nll(form(log_probs[fit], labels[fit])(log_probs[rest]), labels[rest])
    assert after == pytest.approx(metrics.nll(log_probs[rest], labels[rest]), abs=3e-3)


@pytest.mark.parametrize("form", [vector, structured_matrix])
def test_exact_steps_and_conjugate_gradients_end_at_the_same_numbers(form, monkeypatch):
    log_probs, labels = sampled(13, 200, 6)
    exact = form(log_probs, labels).theta
    monkeypatch.setattr(affine, "_FEW", 0)
    assert form(log_probs, labels).theta == pytest.approx(exact, abs=1.01e-4)


def test_matrices_stop_where_there_are_more_classes_than_a_validation_set_can_tell():
    log_probs, labels = sampled(14, 200, 130)
    assert matrix(log_probs, labels) is structured_matrix(log_probs, labels) is None
    for form in (vector, structured_vector, isotonic):
        assert np.isfinite(form(log_probs, labels)(log_probs)).all()


def test_the_registry_holds_each_of_them_once():
    assert [entry.function for entry in RECALIBRATIONS["categorical"].values()] == list(EVERY)
