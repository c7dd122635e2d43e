"""Implicit-bias variational inference: any torch model as a variational network, trained on the expected loss alone."""

from ivi.batchnorm import update_bn
from ivi.covariance import Covariance, Diagonal, Full, LowRank
from ivi.divergences import Prior, kl, prior, wasserstein2
from ivi.draws import Draws, SeededDraws, sample_draws, seeded_draws
from ivi.kronecker import Kronecker
from ivi.parametrization import MaximalUpdate, Parametrization, Standard, initialize_, param_groups
from ivi.predict import predict
from ivi.storage import load, save
from ivi.variationalize import PUBLISHED, mean_only, random_layers, set_generator, variationalize

__version__ = "0.2.0"

__all__ = [
    "PUBLISHED",
    "Covariance",
    "Diagonal",
    "Draws",
    "Full",
    "Kronecker",
    "LowRank",
    "MaximalUpdate",
    "Parametrization",
    "Prior",
    "SeededDraws",
    "Standard",
    "initialize_",
    "kl",
    "load",
    "mean_only",
    "param_groups",
    "predict",
    "prior",
    "random_layers",
    "sample_draws",
    "save",
    "seeded_draws",
    "set_generator",
    "update_bn",
    "variationalize",
    "wasserstein2",
]
