"""How good and how honest a Gaussian prediction of a number is.

``mean`` and ``variance`` are those of the mixture of the members, the total predictive ones, in units of the target;
``labels`` are the true values. All [N].
"""

from __future__ import annotations

import math

import numpy as np

from leaderboard.arrays import checked_gaussian
from leaderboard.metrics.registry import NATS, TARGET, metric, ood_score, shared

LEVELS = np.arange(1, 100) / 100
"""The nominal levels of `quantile_calibration_error`."""
_ROUNDING = 2e-6  # of float32: a smaller difference of two variances is none


def absolute_errors(mean: np.ndarray, labels: np.ndarray, *, check: bool = True) -> np.ndarray:
    """[N] float64: distance between the mean and the true value, whose mean is `mae`."""
    if check:
        mean, _, labels = checked_gaussian(mean, None, labels)
    return np.abs(labels.astype(np.float64) - mean.astype(np.float64))


@metric("gaussian", "RMSE", better="lower", range=(0, np.inf), unit=TARGET)
def rmse(mean: np.ndarray, labels: np.ndarray, *, check: bool = True) -> float:
    """Root-mean-square error of the predictive mean.

    Formula: sqrt(mean (y - mu)^2)
    Source: usage
    """
    return math.sqrt(float(np.mean(absolute_errors(mean, labels, check=check) ** 2)))


@metric("gaussian", "MAE", better="lower", range=(0, np.inf), unit=TARGET, per_item=absolute_errors)
def mae(mean: np.ndarray, labels: np.ndarray, *, check: bool = True) -> float:
    """Mean absolute error of the predictive mean, which for a Gaussian is also its median.

    Formula: mean |y - mu|
    Source: usage
    """
    return float(np.mean(absolute_errors(mean, labels, check=check)))


@shared("z")
def standardized(mean: np.ndarray, variance: np.ndarray, labels: np.ndarray, *, check: bool = True) -> np.ndarray:
    """[N] float64: the error in predictive standard deviations, (y - mu) / sigma."""
    if check:
        mean, variance, labels = checked_gaussian(mean, variance, labels)
    return (labels.astype(np.float64) - mean.astype(np.float64)) / np.sqrt(variance.astype(np.float64))


def nll_per_item(
    mean: np.ndarray, variance: np.ndarray, labels: np.ndarray, *, check: bool = True, z: np.ndarray | None = None
) -> np.ndarray:
    """[N] float64: -log of the predictive density at the true value, whose mean is `nll`."""
    z = standardized(mean, variance, labels, check=check) if z is None else z
    return 0.5 * (np.log(2 * np.pi * np.asarray(variance).astype(np.float64)) + z**2)


@metric("gaussian", "NLL", better="lower", range=(-np.inf, np.inf), unit=NATS, per_item=nll_per_item, scaled=True)
def nll(
    mean: np.ndarray, variance: np.ndarray, labels: np.ndarray, *, check: bool = True, z: np.ndarray | None = None
) -> float:
    """Negative log of the predictive density at the true value, in nats; below 0 where the density exceeds 1.

    It depends on the unit of the target: with the target in thousands it is log 1000 lower. Differences do not.

    Formula: mean 1/2 log(2 pi sigma^2) + (y - mu)^2 / (2 sigma^2)
    Source: Good, "Rational Decisions", JRSS B 1952; Lakshminarayanan et al., NeurIPS 2017, for that of a mixture
    """
    return float(np.mean(nll_per_item(mean, variance, labels, check=check, z=z)))


def crps_per_item(
    mean: np.ndarray, variance: np.ndarray, labels: np.ndarray, *, check: bool = True, z: np.ndarray | None = None
) -> np.ndarray:
    """[N] float64: `crps` of each item."""
    from scipy.special import ndtr

    z = standardized(mean, variance, labels, check=check) if z is None else z
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    shape = z * (2 * ndtr(z) - 1) + 2 * density - 1 / math.sqrt(math.pi)
    return np.sqrt(np.asarray(variance).astype(np.float64)) * shape


@metric("gaussian", "CRPS", better="lower", range=(0, np.inf), unit=TARGET, per_item=crps_per_item, scaled=True)
def crps(
    mean: np.ndarray, variance: np.ndarray, labels: np.ndarray, *, check: bool = True, z: np.ndarray | None = None
) -> float:
    """Continuous ranked probability score: squared distance between predicted and true distribution function.

    A proper score like the NLL that far outliers do not rule; the absolute error where the variance goes to 0.

    Formula: mean sigma [z (2 Phi(z) - 1) + 2 phi(z) - 1/sqrt(pi)], z = (y - mu) / sigma
    Source: Gneiting & Raftery, "Strictly Proper Scoring Rules, Prediction, and Estimation", JASA 2007,
        section 4.2, with the sign that makes low good
    """
    return float(np.mean(crps_per_item(mean, variance, labels, check=check, z=z)))


def covered_per_item(
    mean: np.ndarray, variance: np.ndarray, labels: np.ndarray, *, check: bool = True, z: np.ndarray | None = None
) -> np.ndarray:
    """[N] float64: 1 where the true value lies in the central 95 % interval, bounds included, else 0."""
    from scipy.special import ndtri

    z = standardized(mean, variance, labels, check=check) if z is None else z
    return (np.abs(z) <= ndtri(0.975)).astype(np.float64)


@metric("gaussian", "coverage of 95 %", better="", range=(0, 1), per_item=covered_per_item, scaled=True)
def coverage_95(
    mean: np.ndarray, variance: np.ndarray, labels: np.ndarray, *, check: bool = True, z: np.ndarray | None = None
) -> float:
    """Share of true values inside the central 95 % interval of the prediction.

    Neither high nor low is better: 0.95 is right. On N items it is uncertain by sqrt(0.95 * 0.05 / N).

    Formula: mean 1[|y - mu| <= 1.96 sigma], 1.96 the 97.5 % quantile of the standard normal
    Source: usage
    """
    return float(np.mean(covered_per_item(mean, variance, labels, check=check, z=z)))


def standard_deviations(variance: np.ndarray) -> np.ndarray:
    """[N] float64: predictive standard deviation of each item, whose mean is `sharpness`."""
    return np.sqrt(np.asarray(variance).astype(np.float64))


@metric("gaussian", "sharpness", better="", range=(0, np.inf), unit=TARGET, per_item=standard_deviations, scaled=True)
def sharpness(variance: np.ndarray) -> float:
    """Mean predictive standard deviation.

    Neither high nor low is better by itself: among calibrated predictions the sharper one says more.

    Formula: mean sigma
    Source: Gneiting, Balabdaoui & Raftery, "Probabilistic forecasts, calibration and sharpness", JRSS B 2007
    """
    return float(np.mean(standard_deviations(variance)))


@metric("gaussian", "quantile calibration error", better="lower", range=(0, 0.5), scaled=True)
def quantile_calibration_error(
    mean: np.ndarray, variance: np.ndarray, labels: np.ndarray, *, check: bool = True, z: np.ndarray | None = None
) -> float:
    """Mean distance between nominal levels and the share of true values below the predicted quantile of that level.

    The levels are 0.01, 0.02 ... 0.99, equally weighted. Kuleshov et al. square the distance; here it is absolute, in
    units of probability. It is biased upwards on small sets, by about 0.3 / sqrt(N) for right predictions.

    Formula: mean_j |mean 1[Phi((y - mu) / sigma) <= p_j] - p_j|, p_j = j/100, j = 1 ... 99
    Source: Kuleshov, Fenner & Ermon, "Accurate Uncertainties for Deep Learning Using Calibrated Regression", ICML 2018
    """
    from scipy.special import ndtri

    z = standardized(mean, variance, labels, check=check) if z is None else z
    observed = np.searchsorted(np.sort(z), ndtri(LEVELS), "right") / len(z)
    return float(np.mean(np.abs(observed - LEVELS)))


@ood_score("gaussian", "variance")
def variance(variance: np.ndarray) -> np.ndarray:
    """[N]: total predictive variance, in squared units of the target.

    Formula: mean_m (sigma_m^2 + mu_m^2) - mu^2
    Source: Lakshminarayanan, Pritzel & Blundell, "Simple and Scalable Predictive Uncertainty Estimation using Deep
        Ensembles", NeurIPS 2017, section 2.4
    """
    return variance


@ood_score("gaussian", "expected variance")
def expected_variance(expected_variance: np.ndarray) -> np.ndarray:
    """[N]: mean over members of the variance that each predicts: noise of the data, in squared units of the target.

    Formula: mean_m sigma_m^2
    Source: Kendall & Gal, "What Uncertainties Do We Need in Bayesian Deep Learning for Computer Vision?", NeurIPS 2017
    """
    return expected_variance


@ood_score("gaussian", "epistemic variance")
def epistemic_variance(variance: np.ndarray, expected_variance: np.ndarray) -> np.ndarray:
    """[N] float64: variance between the members' means: what the training data leave open; 0 for one member.

    It is a difference of two rounded numbers, so what is within float32 rounding of 0 is set to 0.

    Formula: sigma^2 - mean_m sigma_m^2
    Source: Kendall & Gal, NeurIPS 2017
    """
    total = np.asarray(variance).astype(np.float64)
    between = total - np.asarray(expected_variance).astype(np.float64)
    return np.where(between > _ROUNDING * total, between, 0.0)
