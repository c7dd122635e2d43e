"""The Laplace baseline predicts what laplace-torch predicts."""

import warnings

import pytest
import torch

from baselines.laplace import Laplace
from baselines.spec import parse
from benchmarks.check import subject_of


@pytest.fixture(scope="module")
def subject():
    torch.set_num_threads(1)
    return subject_of(parse("laplace"))


def test_probit_logits_give_the_probabilities_of_the_library(subject):
    predictor = Laplace().fit(subject.problem)
    ours = subject.logits(predictor)[0].softmax(-1)
    theirs = predictor.posterior(subject.unseen, pred_type="glm", link_approx="probit")
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_monte_carlo_links_approach_the_gaussian_of_the_logits(subject):
    predictor = Laplace(link="mc", draws=4000).fit(subject.problem)
    logits = subject.logits(predictor)
    mean, covariance = predictor.posterior._glm_predictive_distribution(subject.unseen)
    assert torch.allclose(logits.mean(0), mean, atol=0.2)
    assert torch.allclose(logits.var(0), covariance.diagonal(dim1=-2, dim2=-1), rtol=0.2, atol=0.05)


def test_more_prior_precision_means_less_uncertainty(subject):
    entropies = []
    for precision in (0.1, 1e2, 1e6):
        p = subject.logits(Laplace(prior_precision=precision).fit(subject.problem))[0].softmax(-1)
        entropies.append(-(p * p.log()).sum(-1).mean().item())
    assert entropies == sorted(entropies, reverse=True) and entropies[0] > entropies[2]


def test_fitting_leaves_no_warning_filters_behind(subject):
    filters = list(warnings.filters)
    Laplace().fit(subject.problem)
    assert warnings.filters == filters
