"""mixup's loss is that of each mixed pair, and what it mixes is what Beta says."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from problems import problem

from baselines import mixup
from baselines.likelihood import Categorical, Gaussian
from baselines.map import MAP
from baselines.mixup import Mixup, mixed_loss
from baselines.protocol import Unsupported


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("kind", ["categorical", "gaussian"])
def test_its_loss_is_that_of_each_mixed_pair_in_a_loop(kind, share):
    given = problem(kind)
    model = given.new_model().double().eval()
    x, y = given.train.x[:9].double(), given.train.y[:9]
    y = y if kind == "categorical" else y.double()
    partners = torch.tensor([3, 0, 1, 2, 4, 8, 5, 6, 7])
    losses = []
    for i, j in enumerate(partners.tolist()):
        outputs = model((share * x[i] + (1 - share) * x[j])[None])[0]
        if kind == "categorical":
            target = torch.zeros(4).double()
            target[y[i]] += share
            target[y[j]] += 1 - share
            losses.append(-(target * outputs.log_softmax(-1)).sum())
        else:
            target = share * y[i] + (1 - share) * y[j]
            losses.append(-torch.distributions.Normal(outputs[0], (outputs[1] / 2).exp()).log_prob(target))
    likelihood = Categorical(4) if kind == "categorical" else Gaussian()
    assert torch.allclose(mixed_loss(likelihood, model, x, y, share, partners), torch.stack(losses).mean(), rtol=1e-10)


def test_shares_are_drawn_from_beta_one_a_batch_and_partners_are_a_permutation(monkeypatch):
    seen = []
    monkeypatch.setattr(
        mixup, "mixed_loss", lambda likelihood, model, x, y, *drawn: seen.append(drawn) or likelihood.loss(model(x), y)
    )
    Mixup(alpha=0.4).fit(problem("categorical", "plain", Mixup(alpha=0.4), max_steps=200))
    shares = np.array([share for share, _ in seen])
    assert len(seen) == 200 and all(sorted(p.tolist()) == list(range(16)) for _, p in seen)
    assert abs(shares.mean() - 0.5) < 0.1 and abs(shares.var() - 1 / (4 * 1.8)) < 0.03
    assert len({tuple(p.tolist()) for _, p in seen}) > 195


def test_alpha_0_is_map():
    given = problem(max_steps=9)
    assert torch.allclose(*(given.fit(m).outputs(given.validation.x) for m in (Mixup(alpha=0.0), MAP())), atol=1e-6)


def test_identifiers_of_tokens_are_refused():
    given = replace(problem(), example=torch.zeros(1, 7, dtype=torch.int64))
    with pytest.raises(Unsupported, match="tokens"):
        given.fit(Mixup())
