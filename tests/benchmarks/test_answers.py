"""Members become probabilities: averaged as probabilities, in log space, whatever the logits are."""

import math

import numpy as np
import pytest
import torch
from benchmarks.measure.evaluate import predict, reduce_members
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from baselines.train import Diverged
from leaderboard import metrics


@given(st.integers(1, 5), st.integers(1, 4), st.integers(2, 6), st.integers(0, 2**31))
def test_members_are_averaged_as_probabilities(members, batch, classes, seed):
    logits = 3 * torch.randn(members, batch, classes, generator=torch.Generator().manual_seed(seed))
    log_mean, expected_entropy, energy = reduce_members(logits)
    p = logits.double().softmax(-1)
    mean = p.mean(0)
    assert torch.allclose(log_mean.double(), mean.log(), rtol=2**-11, atol=1e-6)
    assert torch.equal(log_mean, log_mean.half().float())  # so that it can be stored in two bytes
    information = -(mean * mean.log()).sum(-1) + (p * p.log()).sum(-1).mean(0)
    rounded = log_mean.double()
    assert torch.allclose(-(rounded.exp() * rounded).sum(-1) - expected_entropy.double(), information, atol=2e-6)
    assert torch.allclose(energy.double(), -logits.double().logsumexp(-1).mean(0), atol=1e-5)


def test_certain_members_that_disagree_give_one_half_and_no_nan():
    logits = torch.tensor([[[1e4, -1e4]], [[-1e4, 1e4]]])
    log_mean, expected_entropy, _ = reduce_members(logits)
    assert log_mean.tolist() == [[pytest.approx(math.log(0.5), rel=1e-3)] * 2]
    assert expected_entropy.tolist() == [pytest.approx(0.0, abs=1e-3)]


@given(st.integers(1, 4), st.integers(0, 2**31), st.floats(0.1, 30.0))
def test_rounding_to_half_precision_changes_no_decision_and_hardly_a_probability(members, seed, sharpness):
    generator = torch.Generator().manual_seed(seed)
    logits = sharpness * torch.randn(members, 500, 10, generator=generator)
    labels = logits[0].softmax(-1).multinomial(1, generator=generator).flatten().numpy()
    exact = (logits.log_softmax(-1).logsumexp(0) - math.log(members)).numpy()
    rounded = reduce_members(logits)[0].numpy()
    assert metrics.accuracy(rounded, labels) == metrics.accuracy(exact, labels)
    assert metrics.nll(rounded, labels) == pytest.approx(metrics.nll(exact, labels), rel=1e-3, abs=1e-6)
    assert metrics.brier(rounded, labels) == pytest.approx(metrics.brier(exact, labels), abs=1e-3)
    assert np.abs(np.exp(rounded) - np.exp(exact)).max() < 1e-3


def test_equal_odds_on_a_thousand_classes_still_pass_for_probabilities():
    rounded = reduce_members(torch.zeros(1, 3, 1000))[0].numpy()
    assert metrics.nll(rounded, np.zeros(3, dtype=int)) == pytest.approx(math.log(1000), rel=1e-3)


def test_a_finite_logit_never_becomes_probability_zero():
    log_mean, _, _ = reduce_members(torch.tensor([[[0.0, -1e6]]]))
    assert log_mean.tolist() == [[0.0, -65504.0]]


def test_a_probability_of_zero_stays_minus_infinity_rather_than_a_floor():
    log_mean, entropy, _ = reduce_members(torch.tensor([[[0.0, -math.inf]]]))
    assert log_mean.tolist() == [[0.0, -math.inf]] and entropy.tolist() == [0.0]


class Source:
    num_examples = 7

    def ordered(self, batch_size):
        yield from zip(
            torch.arange(14.0).reshape(7, 2).split(batch_size), torch.arange(7).split(batch_size), strict=True
        )


class Predictor(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.logits = function


def test_predictions_are_in_the_order_of_the_images_for_any_batch_size():
    results = [predict(Predictor(lambda x: x.unsqueeze(0)), Source(), True, batch_size=size) for size in (2, 7)]
    for predictions in results:
        assert predictions.labels.tolist() == list(range(7))
        exact = torch.arange(14.0).reshape(7, 2).log_softmax(-1)
        assert torch.equal(torch.tensor(predictions.log_probs), exact.half().float())


def test_logits_that_are_no_numbers_mean_divergence():
    with pytest.raises(Diverged, match="not finite"):
        predict(Predictor(lambda x: x.unsqueeze(0) * math.nan), Source(), True)


def test_logits_without_members_are_refused():
    with pytest.raises(ValueError, match=r"shape \(7, 2\), not \[members, 7, classes\]"):
        predict(Predictor(lambda x: x), Source(), True)
