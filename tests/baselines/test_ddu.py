"""DDU's density is that of scikit-learn's mixture, changes no probability and is what the OOD score reads."""

import numpy as np
import pytest
import torch
from problems import problem
from sklearn.mixture import GaussianMixture
from sklearn.mixture._gaussian_mixture import _compute_precision_cholesky

from baselines.class_densities import LOWEST, ClassDensities
from baselines.ddu import DDU
from baselines.heads import features_and_outputs
from baselines.protocol import Unsupported


def drawn(count, seed):
    """Correlated features of three classes."""
    generator = np.random.default_rng(seed)
    mix, y = np.random.default_rng(0).normal(size=(3, 6, 6)), generator.integers(3, size=count)
    z = np.einsum("ni,nij->nj", generator.normal(size=(count, 6)), mix[y]) + 3 * y[:, None]
    return torch.from_numpy(z), torch.from_numpy(y)


def fitted(train, validation=None):
    made = ClassDensities(3, 6)
    made.fit([train], [validation or train])
    return made


def test_the_density_is_that_of_scikit_learns_mixture_of_the_classes_moments():
    z, y = drawn(300, 1)
    new, _ = drawn(50, 2)
    made = fitted((z, y))  # judged on the training data itself, the smallest ridge is best
    mixture = GaussianMixture(3, covariance_type="full")
    mixture.weights_ = np.bincount(y) / len(y)
    mixture.means_ = np.stack([z[y == k].mean(0) for k in range(3)])
    ridge = 1e-6 * float(z.var(0).mean())
    mixture.covariances_ = np.stack([np.cov(z[y == k].T) + ridge * np.eye(6) for k in range(3)])
    mixture.precisions_cholesky_ = _compute_precision_cholesky(mixture.covariances_, "full")
    assert np.allclose(made.total(new), mixture.score_samples(new.numpy()), rtol=1e-7)
    assert torch.allclose(made.log_density(new), made.total(new) / 6)


def test_the_ridge_is_the_one_of_greatest_density_of_the_validation_features():
    few, validation = drawn(24, 1), drawn(200, 2)
    made, densities = fitted(few, validation), []
    covariances = made._moments(*few)
    best = made.total(validation[0]).mean()
    for power in range(-6, 1):
        made._set_roots(covariances, 10.0**power * few[0].var(0).mean())
        densities.append(float(made.total(validation[0]).mean()))
    assert float(best) == pytest.approx(max(densities)) and max(densities) > densities[0] + 1


def test_a_class_without_examples_has_no_share():
    z, y = drawn(60, 1)
    some = y != 1
    made = fitted((z[some], y[some]))
    assert made.log_shares[1] == -torch.inf and made.total(z).isfinite().all()


def test_the_ood_score_energy_is_minus_the_density_and_probabilities_are_the_networks():
    given = problem()
    net = DDU().fit(given)
    x = torch.cat([given.validation.x, 30 * given.validation.x])
    with torch.no_grad():
        reduced = given.likelihood.reduce(net.outputs(x))
        features, logits = features_and_outputs(net.model, net.head, x)
    density = net.densities.log_density(features)
    assert torch.allclose(reduced["energy"], -density, rtol=1e-5)
    assert torch.allclose(reduced["log_probs"].exp(), logits.softmax(-1), atol=2e-3)
    known, foreign = density.split(96)
    assert (foreign[:, None] < known).float().mean() > 0.95


def test_the_density_of_what_is_absurdly_far_keeps_the_probabilities_in_single_precision():
    given = problem()
    net = DDU().fit(given)
    x = 1e6 * given.validation.x
    with torch.no_grad():
        outputs, (_, logits) = net.outputs(x)[0], features_and_outputs(net.model, net.head, x)
    assert (outputs.logsumexp(-1) >= 1.01 * LOWEST).all()
    assert torch.allclose(outputs.softmax(-1), logits.softmax(-1), atol=5e-3)


def test_a_number_has_no_classes_to_tell_apart():
    with pytest.raises(Unsupported, match="a number has none"):
        DDU().fit(problem("gaussian"))
