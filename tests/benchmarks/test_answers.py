"""What is stored of outputs: averaged as probabilities, in log space, each with its own example, or refused."""

import math

import numpy as np
import pytest
import torch
from commands import of, records, scores
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from baselines.likelihood import Categorical, Gaussian
from baselines.spec import parse
from baselines.train import Diverged
from benchmarks import data
from benchmarks.measure.environment import Stack
from benchmarks.measure.predicting import answers
from benchmarks.nodes import setting_of
from benchmarks.prepare import prepare
from benchmarks.problem import make_problem
from benchmarks.runs import Run
from benchmarks.sealing import open_fitting
from benchmarks.suite import load_task
from leaderboard import metrics
from leaderboard.predictions import load_predictions


def reduced(logits):
    stored = Categorical(logits.shape[-1]).reduce(logits)
    return stored["log_probs"], stored["expected_entropy"], stored["energy"]


@given(st.integers(1, 5), st.integers(1, 4), st.integers(2, 6), st.integers(0, 2**31))
def test_members_are_averaged_as_probabilities(members, batch, classes, seed):
    logits = 3 * torch.randn(members, batch, classes, generator=torch.Generator().manual_seed(seed))
    log_mean, expected_entropy, energy = reduced(logits)
    p = logits.double().softmax(-1)
    mean = p.mean(0)
    assert torch.allclose(log_mean.double(), mean.log(), rtol=2**-11, atol=1e-6)
    assert torch.equal(log_mean, log_mean.half().float())  # so that it can be stored in two bytes
    information = -(mean * mean.log()).sum(-1) + (p * p.log()).sum(-1).mean(0)
    rounded = log_mean.double()
    assert torch.allclose(-(rounded.exp() * rounded).sum(-1) - expected_entropy.double(), information, atol=2e-6)
    assert torch.allclose(energy.double(), -logits.double().logsumexp(-1).mean(0), atol=1e-5)


def test_certain_members_that_disagree_give_one_half_and_no_nan():
    log_mean, expected_entropy, _ = reduced(torch.tensor([[[1e4, -1e4]], [[-1e4, 1e4]]]))
    assert log_mean.tolist() == [[pytest.approx(math.log(0.5), rel=1e-3)] * 2]
    assert expected_entropy.tolist() == [pytest.approx(0.0, abs=1e-3)]


@given(st.integers(1, 4), st.integers(0, 2**31), st.floats(0.1, 30.0))
def test_rounding_to_half_precision_changes_no_decision_and_hardly_a_probability(members, seed, sharpness):
    generator = torch.Generator().manual_seed(seed)
    logits = sharpness * torch.randn(members, 500, 10, generator=generator)
    labels = logits[0].softmax(-1).multinomial(1, generator=generator).flatten().numpy()
    exact = (logits.log_softmax(-1).logsumexp(0) - math.log(members)).numpy()
    rounded = reduced(logits)[0].numpy()
    assert metrics.accuracy(rounded, labels) == metrics.accuracy(exact, labels)
    assert metrics.nll(rounded, labels) == pytest.approx(metrics.nll(exact, labels), rel=1e-3, abs=1e-6)
    assert metrics.brier(rounded, labels) == pytest.approx(metrics.brier(exact, labels), abs=1e-3)
    assert np.abs(np.exp(rounded) - np.exp(exact)).max() < 1e-3


def test_equal_odds_on_a_thousand_classes_still_pass_for_probabilities():
    rounded = reduced(torch.zeros(1, 3, 1000))[0].numpy()
    assert metrics.nll(rounded, np.zeros(3, dtype=int)) == pytest.approx(math.log(1000), rel=1e-3)


def test_a_finite_logit_never_becomes_probability_zero_and_one_of_zero_stays_so():
    log_mean, _, _ = reduced(torch.tensor([[[0.0, -1e6]]]))
    assert log_mean.tolist() == [[0.0, -65504.0]]
    log_mean, entropy, _ = reduced(torch.tensor([[[0.0, -math.inf]]]))
    assert log_mean.tolist() == [[0.0, -math.inf]] and entropy.tolist() == [0.0]


class Predictor:
    """Answers by a function."""

    def __init__(self, function):
        self.outputs = function


@pytest.mark.parametrize("likelihood", [Categorical(3), Gaussian()], ids=["classes", "a number"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_outputs_that_are_no_finite_numbers_mean_divergence(likelihood, bad):
    def outputs(x):
        found = torch.zeros(2, len(x), likelihood.outputs)
        found[1, -1, 0] = bad
        return found

    with pytest.raises(Diverged, match="not finite"):
        answers(Predictor(outputs), torch.zeros(7, 2), likelihood)


@pytest.mark.parametrize("shape", [(7, 3), (1, 7, 4), (1, 7, 2), (1, 6, 3), (0, 7, 3), (1, 7, 3, 1)])
def test_outputs_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"outputs have shape .*, not \[members, 7, 3\]"):
        answers(Predictor(lambda x: torch.zeros(shape)), torch.zeros(7, 2), Categorical(3))


def test_a_runs_numbers_are_those_of_the_same_training_without_the_harness(made):
    """Labels are put to mixed answers in another process: each belongs to its own image."""
    task = load_task("digits-mlp")
    run = Run(task, prepare(task), parse("map"), 0)
    setting = setting_of(run, Stack.now(), 1)
    torch.set_num_threads(1)
    problem = make_problem(setting, open_fitting(setting, torch.device("cpu"), task.recipe))
    predictor = problem.fit(setting.method.create())
    parts = data.split(data.load("digits"), 0, {"train": 1000, "validation": 297, "test": 500})
    spec = data.read_spec("digits")
    x = (parts["test"].inputs / 255 - torch.tensor(spec.mean).view(-1, 1, 1)) / torch.tensor(spec.std).view(-1, 1, 1)
    with torch.inference_mode():
        logits = predictor.outputs(x)[0]
    test = scores(made / "results", "map")["test"]
    assert test["nll"] == pytest.approx(F.cross_entropy(logits, parts["test"].labels).item(), rel=1e-3)
    assert test["accuracy"] == pytest.approx((logits.argmax(-1) == parts["test"].labels).float().mean().item())
    path = next(path for path, one in records(made / "results").items() if one == of(made / "results", "map"))
    stored = load_predictions(path.with_suffix(".safetensors"))["test"]
    assert np.allclose(np.exp(stored.log_probs), logits.softmax(-1).numpy(), atol=1e-3)
    assert stored.labels.tolist() == parts["test"].labels.tolist()
