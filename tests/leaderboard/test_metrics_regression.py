"""Metrics of Gaussian predictions against scipy, torchmetrics, numerical integration and loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from drawn import of_numbers
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm
from torchmetrics.functional import mean_absolute_error, mean_squared_error
from torchmetrics.regression import ContinuousRankedProbabilityScore

from leaderboard.metrics import METRICS, regression
from leaderboard.predictions import Gaussian
from leaderboard.scoring import per_item, score

SEEDS = st.integers(0, 2**32 - 1)
TIGHT: dict[str, Any] = {"rel": 1e-6, "abs": 1e-9}


@given(SEEDS)
def test_rmse_and_mae_are_those_of_torchmetrics(seed):
    mean, _, labels = of_numbers(seed)
    given_ = torch.tensor(mean, dtype=torch.float64), torch.tensor(labels, dtype=torch.float64)
    assert regression.rmse(mean, labels) == pytest.approx(math.sqrt(float(mean_squared_error(*given_))), **TIGHT)
    assert regression.mae(mean, labels) == pytest.approx(float(mean_absolute_error(*given_)), **TIGHT)


@given(SEEDS)
def test_nll_is_the_density_of_scipy_and_of_torch(seed):
    mean, variance, labels = of_numbers(seed)
    wide = [a.astype(np.float64) for a in (mean, variance, labels)]
    value = regression.nll(mean, variance, labels)
    assert value == pytest.approx(-norm.logpdf(wide[2], wide[0], np.sqrt(wide[1])).mean(), **TIGHT)
    theirs = torch.nn.functional.gaussian_nll_loss(*map(torch.tensor, (wide[0], wide[2], wide[1])), full=True, eps=0.0)
    assert value == pytest.approx(float(theirs), rel=1e-6, abs=1e-6)


@settings(max_examples=30)
@given(st.floats(-5, 5), st.floats(0.05, 5), st.floats(-5, 5))
def test_crps_is_the_integral_over_squared_distances_of_distribution_functions(mu, sigma, y):
    below = quad(lambda x: norm.cdf(x, mu, sigma) ** 2, -60, y, points=[mu] if mu < y else None, limit=200)[0]
    above = quad(lambda x: norm.sf(x, mu, sigma) ** 2, y, 60, points=[mu] if mu > y else None, limit=200)[0]
    value = regression.crps(np.array([mu]), np.array([sigma**2]), np.array([y]))
    assert value == pytest.approx(below + above, rel=1e-5, abs=1e-7)


def test_crps_is_the_expected_distance_less_half_the_expected_spread():
    rng = np.random.default_rng(0)
    a, b = rng.normal(2.0, 1.5, (2, 400_000))
    sampled = np.abs(a - 4.0).mean() - 0.5 * np.abs(a - b).mean()
    assert regression.crps(np.array([2.0]), np.array([2.25]), np.array([4.0])) == pytest.approx(sampled, abs=5e-3)


def test_crps_is_that_of_torchmetrics_for_a_fine_ensemble_of_quantiles():
    mean, variance, labels = (a[:10].astype(np.float64) for a in of_numbers(5))
    quantiles = norm.ppf((np.arange(400) + 0.5) / 400)
    members = torch.tensor(mean[:, None] + np.sqrt(variance)[:, None] * quantiles)
    theirs = ContinuousRankedProbabilityScore()(members, torch.tensor(labels))
    assert regression.crps(mean, variance, labels) == pytest.approx(float(theirs), rel=5e-3)


def test_crps_of_a_sure_prediction_is_its_absolute_error():
    mean, _, labels = of_numbers(3)
    tiny = np.full(len(mean), 1e-30)
    assert regression.crps(mean, tiny, labels) == pytest.approx(regression.mae(mean, labels), rel=1e-6, abs=1e-12)


@given(SEEDS)
def test_coverage_counts_what_lies_in_the_interval_of_scipy(seed):
    mean, variance, labels = of_numbers(seed)
    inside = 0
    for m, v, y in zip(mean.tolist(), variance.tolist(), labels.tolist(), strict=True):
        low, high = norm.interval(0.95, m, math.sqrt(v))
        inside += low <= y <= high
    assert regression.coverage_95(mean, variance, labels) == pytest.approx(inside / len(mean), abs=1e-12)


@given(SEEDS)
def test_quantile_calibration_error_is_the_loop_over_levels(seed):
    mean, variance, labels = of_numbers(seed, 60)
    below = norm.cdf(labels.astype(float), mean.astype(float), np.sqrt(variance.astype(float)))
    total = 0.0
    for j in range(1, 100):
        total += abs(np.mean(below <= j / 100) - j / 100) / 99
    assert regression.quantile_calibration_error(mean, variance, labels) == pytest.approx(total, abs=1e-9)


def calibrated(n: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions from which the labels were drawn, with ``spread`` times their standard deviation."""
    rng = np.random.default_rng(0)
    mean, sigma = rng.normal(size=n), np.exp(rng.normal(size=n))
    return mean, sigma**2, mean + spread * sigma * rng.normal(size=n)


def test_predictions_that_made_the_labels_are_calibrated_and_others_are_not():
    right, sure = calibrated(100_000), calibrated(100_000, spread=3.0)
    assert regression.quantile_calibration_error(*right) == pytest.approx(0.313 / math.sqrt(100_000), abs=2e-3)
    assert regression.coverage_95(*right) == pytest.approx(0.95, abs=3e-3)
    assert regression.coverage_95(*sure) == pytest.approx(2 * norm.cdf(1.96 / 3) - 1, abs=5e-3)
    levels = np.arange(1, 100) / 100
    expected = np.mean(np.abs(norm.cdf(norm.ppf(levels) / 3) - levels))
    assert regression.quantile_calibration_error(*sure) == pytest.approx(expected, abs=5e-3)


@pytest.mark.parametrize("shift", [-1e6, 1e6])
def test_quantile_calibration_error_is_one_half_where_every_value_lies_on_one_side(shift):
    n = np.zeros(10)
    assert regression.quantile_calibration_error(n, n + 1, n + shift) == pytest.approx(0.5)


@given(SEEDS, st.sampled_from([1e-3, 2.0, 1024.0]))
def test_another_unit_of_the_target_scales_what_has_its_unit_and_leaves_shares(seed, unit):
    mean, variance, labels = (a.astype(np.float64) for a in of_numbers(seed))
    one = score({"test": Gaussian(mean, variance, variance * 0.5, labels)})["test"]
    other = score({"test": Gaussian(mean * unit, variance * unit**2, variance * unit**2 * 0.5, labels * unit)})["test"]
    for name, entry in METRICS["gaussian"].items():
        if entry.unit == "nats":
            assert other[name] == pytest.approx(one[name] + math.log(unit), rel=1e-7, abs=1e-7)
        elif entry.unit:
            assert other[name] == pytest.approx(one[name] * unit, rel=1e-7)
        else:
            assert other[name] == pytest.approx(one[name], abs=1.01 / len(mean))  # a value on an edge may cross it


@given(SEEDS)
def test_values_stay_in_their_range_and_do_not_depend_on_the_order_of_items(seed):
    mean, variance, labels = of_numbers(seed)
    order = np.random.default_rng(seed).permutation(len(mean))
    here = score({"test": Gaussian(mean, variance, variance, labels)})["test"]
    there = score({"test": Gaussian(mean[order], variance[order], variance[order], labels[order])})["test"]
    for name, entry in METRICS["gaussian"].items():
        assert entry.range[0] <= here[name] <= entry.range[1]
        assert here[name] == pytest.approx(there[name], rel=1e-9, abs=1e-12)


@given(SEEDS)
def test_the_mean_over_items_is_the_metric(seed):
    mean, variance, labels = of_numbers(seed)
    made = Gaussian(mean, variance, variance, labels)
    row = score({"test": made})["test"]
    for name, entry in METRICS["gaussian"].items():
        if entry.per_item is not None:
            assert per_item(name, made).mean() == pytest.approx(row[name], rel=1e-8, abs=1e-12)
    with pytest.raises(ValueError, match="rmse is not a mean .* need one of mae, nll, crps, coverage_95, sharpness"):
        per_item("rmse", made)


def test_epistemic_variance_is_the_variance_between_the_means_of_members():
    rng = np.random.default_rng(0)
    means, variances = rng.normal(size=(5, 50)), rng.random((5, 50)) + 0.1
    draws = np.concatenate([rng.normal(m, np.sqrt(v), (200_000, 50)) for m, v in zip(means, variances, strict=True)])
    total = (variances + means**2).mean(axis=0) - means.mean(axis=0) ** 2
    assert draws.var(axis=0) == pytest.approx(total, rel=0.02)
    epistemic = regression.epistemic_variance(total.astype(np.float32), variances.mean(axis=0).astype(np.float32))
    assert epistemic == pytest.approx(means.var(axis=0), rel=1e-4)


def test_the_rounding_error_of_one_member_is_no_epistemic_variance():
    variance = np.exp(np.random.default_rng(0).normal(size=1000)).astype(np.float32)
    assert not regression.epistemic_variance(np.nextafter(variance, np.float32(np.inf)), variance).any()


ONES = np.ones(4)


@pytest.mark.parametrize(
    ("mean", "variance", "labels", "reason"),
    [
        (ONES * np.nan, ONES, ONES, "mean holds NaN or infinity in 4 of 4 rows"),
        (ONES, ONES * 0, ONES, "variance is 0 in row 0: need more than 0"),
        (ONES, -ONES, ONES, "variance is -1 in row 0"),
        (ONES, ONES * np.inf, ONES, "variance holds NaN or infinity"),
        (ONES, ONES[:3], ONES, r"variance has shape \(3,\): need \[4\]"),
        (ONES, ONES, ONES[:1], "labels has shape"),
        (ONES, ONES, ONES.astype(int), "labels is int64: need floating"),
        (ONES[:0], ONES[:0], ONES[:0], "mean has shape"),
        (np.ones((4, 1)), ONES, ONES, "mean has shape"),
    ],
)
def test_what_has_no_answer_is_refused_in_one_line(mean, variance, labels, reason):
    for metric in (regression.nll, regression.crps, regression.coverage_95, regression.quantile_calibration_error):
        with pytest.raises(ValueError, match=reason) as caught:
            metric(mean, variance, labels)
        assert "\n" not in str(caught.value)
