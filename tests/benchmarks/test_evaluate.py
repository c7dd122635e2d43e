"""Members become probabilities: averaged as probabilities, in log space, whatever the logits are."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from baselines.train import Diverged
from benchmarks.evaluate import predict, reduce_members


@given(st.integers(1, 5), st.integers(1, 4), st.integers(2, 6), st.integers(0, 2**31))
def test_members_are_averaged_as_probabilities(members, batch, classes, seed):
    logits = 3 * torch.randn(members, batch, classes, generator=torch.Generator().manual_seed(seed))
    log_mean, expected_entropy, energy = reduce_members(logits)
    p = logits.double().softmax(-1)
    assert torch.allclose(log_mean.double().exp(), p.mean(0), atol=1e-6)
    assert torch.allclose(expected_entropy.double(), -(p * p.log()).sum(-1).mean(0), atol=1e-5)
    assert torch.allclose(energy.double(), -logits.double().logsumexp(-1).mean(0), atol=1e-5)


def test_certain_members_that_disagree_give_one_half_and_no_nan():
    logits = torch.tensor([[[1e4, -1e4]], [[-1e4, 1e4]]])
    log_mean, expected_entropy, _ = reduce_members(logits)
    assert log_mean.tolist() == [[pytest.approx(math.log(0.5))] * 2]
    assert expected_entropy.tolist() == [0.0]


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
        assert torch.equal(torch.tensor(predictions.log_probs), torch.arange(14.0).reshape(7, 2).log_softmax(-1))


def test_logits_that_are_no_numbers_mean_divergence():
    with pytest.raises(Diverged, match="not finite"):
        predict(Predictor(lambda x: x.unsqueeze(0) * math.nan), Source(), True)


def test_logits_without_members_are_refused():
    with pytest.raises(ValueError, match=r"shape \(7, 2\), not \[members, 7, classes\]"):
        predict(Predictor(lambda x: x), Source(), True)
