"""Post-hoc scaling against the number that made the data, a grid, and a second optimiser."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import of_numbers
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from leaderboard import metrics
from leaderboard.calibration import HIGHEST, LOWEST, fit_temperature, fit_variance_factor, scale
from leaderboard.metrics import regression


def sampled(seed: int, n: int = 2000, c: int = 6, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of temperature ``1 / sharpness``, with labels drawn from those of temperature 1."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, c)) * 2
    probs = np.exp(log_softmax(logits, axis=1))
    labels = (rng.random((n, 1)) > np.cumsum(probs, axis=1)).sum(axis=1).clip(max=c - 1)
    return log_softmax(logits * sharpness, axis=1), labels


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 4.0))
def test_no_other_temperature_has_a_lower_nll(seed, sharpness):
    log_probs, labels = sampled(seed, 200, sharpness=sharpness)
    fitted = fit_temperature(log_probs, labels)
    best = minimize_scalar(
        lambda t: metrics.nll(scale(log_probs, np.exp(t)), labels), bounds=(-3, 3), options={"xatol": 1e-9}
    )
    assert metrics.nll(scale(log_probs, fitted), labels) <= best.fun + 1e-9
    assert fitted == pytest.approx(np.exp(best.x), rel=1e-3)


def test_a_model_sharpened_threefold_gets_temperature_three():
    assert fit_temperature(*sampled(0, 100_000, sharpness=3.0)) == pytest.approx(3.0, rel=0.03)


def test_scaling_is_the_softmax_of_the_divided_logarithms_and_keeps_the_order():
    log_probs, labels = sampled(1)
    scaled = scale(log_probs.astype(np.float32), 2.5)
    assert scaled == pytest.approx(log_softmax(log_probs.astype(np.float32).astype(float) / 2.5, axis=1), abs=1e-12)
    assert metrics.accuracy(scaled, labels) == metrics.accuracy(log_probs, labels)


def test_probability_zero_on_another_class_does_no_harm():
    log_probs = np.log(np.array([[0.7, 0.3], [0.4, 0.6], [1.0, 1e-300], [0.6, 0.4]]))
    log_probs[2, 1] = -np.inf
    labels = np.array([0, 1, 0, 1])
    assert LOWEST < fit_temperature(log_probs, labels) < HIGHEST
    assert scale(log_probs, 3.0)[2].tolist() == [0.0, -np.inf]


def test_probability_zero_on_a_true_class_has_no_temperature():
    with pytest.raises(ValueError, match="probability 0"):
        fit_temperature(np.array([[0.0, -np.inf]]), np.array([1]))


def test_the_bounds_are_returned_where_no_best_temperature_exists():
    sure = np.log(np.array([[0.9, 0.1], [0.2, 0.8]]))
    assert fit_temperature(sure, np.array([0, 1])) == LOWEST
    assert fit_temperature(sure, np.array([1, 0])) == HIGHEST
    assert fit_temperature(np.log(np.full((3, 4), 0.25)), np.array([0, 1, 2])) == 1.0


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_must_be_positive(temperature):
    with pytest.raises(ValueError, match="positive"):
        scale(np.log(np.full((3, 4), 0.25)), temperature)


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_no_other_variance_factor_has_a_lower_nll(seed):
    mean, variance, labels = (array.astype(np.float64) for array in of_numbers(seed))
    fitted = fit_variance_factor(mean, variance, labels)
    best = minimize_scalar(
        lambda t: regression.nll(mean, variance * np.exp(t), labels),
        bounds=(2 * np.log(LOWEST), 2 * np.log(HIGHEST)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert regression.nll(mean, variance * fitted, labels) <= best.fun + 1e-9
    assert float(f"{fitted:.6g}") == fitted


def test_predictions_that_are_twice_as_sure_as_they_should_be_get_variance_factor_four():
    rng = np.random.default_rng(0)
    sigma = np.exp(rng.normal(size=100_000))
    assert fit_variance_factor(np.zeros(100_000), sigma**2, 2 * sigma * rng.normal(size=100_000)) == pytest.approx(
        4.0, rel=0.03
    )


def test_exact_means_get_the_lowest_variance_factor_and_absurd_ones_the_highest():
    ones = np.ones(3)
    assert fit_variance_factor(ones, ones, ones) == LOWEST**2
    assert fit_variance_factor(ones, ones, ones * 1e20) == HIGHEST**2
    with pytest.raises(ValueError, match="variance is 0"):
        fit_variance_factor(ones, ones * 0, ones)
