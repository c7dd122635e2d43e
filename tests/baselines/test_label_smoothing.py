"""Label smoothing's loss is torch's, and it is for classes alone."""

import pytest
import torch
from problems import problem
from torch.nn import functional as F

from baselines import label_smoothing
from baselines.label_smoothing import LabelSmoothing
from baselines.map import MAP
from baselines.protocol import Unsupported


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.6])
def test_its_loss_is_that_of_torch(smoothing, monkeypatch):
    losses = []
    monkeypatch.setattr(label_smoothing, "train", lambda model, problem, loss: losses.append(loss))
    given = problem()
    LabelSmoothing(smoothing).fit(given)
    model, x, y = given.new_model().double().eval(), given.train.x.double(), given.train.y
    expected = F.cross_entropy(model(x), y, label_smoothing=smoothing)
    assert torch.allclose(losses[0](model, x, y), expected, rtol=1e-12)


def test_it_makes_the_network_less_confident_than_map():
    given = problem()
    smooth, plain = (
        given.fit(method).outputs(given.train.x).softmax(-1).amax(-1).mean() for method in (LabelSmoothing(0.3), MAP())
    )
    assert smooth < plain - 0.05


def test_a_number_has_no_classes_to_spread_over():
    given = problem("gaussian", max_steps=1)
    with pytest.raises(Unsupported, match="no classes"):
        given.fit(LabelSmoothing())
