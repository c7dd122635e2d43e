"""Numbers that another processor gives, and no others, agree."""

import math
from dataclasses import replace

import numpy as np
import pytest

from leaderboard.checks import differences
from leaderboard.last_digits import agree, possible
from leaderboard.predictions import Predictions
from leaderboard.scoring import score

RANKING = [
    *(
        (f"ood_{side}", f"{metric}_entropy_scaled")
        for side in ("near", "far")
        for metric in ("auroc", "aupr_in", "aupr_out")
    ),
    ("ood_near/a", "fpr95_entropy_scaled"),
    ("shift/5", "aurc_scaled"),
    ("shift/fog/5", "augrc_scaled"),
]


def as_uncertain(seed: int, labelled: bool, n: int = 60) -> Predictions:
    """Items whose distributions are each other's in another order of classes: as uncertain, but for last digits."""
    rng = np.random.default_rng(seed)
    one = np.log(np.random.default_rng(0).dirichlet(np.ones(6)))
    log_probs = np.stack([rng.permutation(one) for _ in range(n)]).astype(np.float32)
    labels = rng.integers(0, 6, n) if labelled else None
    entropy = np.full(n, -float(np.sum(np.exp(one) * one)) * 0.9, dtype=np.float32)
    return Predictions(
        log_probs=log_probs, expected_entropy=entropy, energy=rng.normal(size=n).astype(np.float32), labels=labels
    )


@pytest.fixture(scope="module")
def sets():
    labelled = {
        name: as_uncertain(i, True) for i, name in enumerate(("validation", "test", "shift/fog/5", "shift/jpeg/5"))
    }
    return labelled | {
        name: as_uncertain(9 + i, False) for i, name in enumerate(("ood_near/a", "ood_near/b", "ood_far/c"))
    }


def in_another_order_of_classes(sets, seed):
    order = np.random.default_rng(seed).permutation(6)
    back = np.argsort(order)
    return {
        name: replace(
            one,
            log_probs=np.ascontiguousarray(one.log_probs[:, order]),
            labels=None if one.labels is None else back[one.labels],
        )
        for name, one in sets.items()
    }


def test_whatever_the_order_of_near_ties_gives_agrees(sets):
    computed = score(sets)
    others = [score(in_another_order_of_classes(sets, seed)) for seed in range(12)]
    assert any(not agree(one[name][key], computed[name][key]) for one in others for name, key in RANKING)
    for one in others:
        ranks = {name: {key: one[name][key]} for name, key in RANKING}
        assert all(possible(one[name][key], sets, name, key) for name, key in RANKING)
        assert differences(ranks, computed, is_whole=False, sets=sets) == []


def test_what_no_order_gives_does_not_agree(sets):
    apart = dict(sets)
    rng = np.random.default_rng(3)
    for name, one in sets.items():
        sharp = one.log_probs * rng.uniform(0.5, 2.0, len(one.log_probs))[:, None]
        log_probs = (sharp - np.log(np.exp(sharp).sum(axis=1, keepdims=True))).astype(np.float32)
        entropy = -np.sum(np.exp(log_probs) * log_probs, axis=1).astype(np.float32) * np.float32(0.9)
        apart[name] = replace(one, log_probs=log_probs, expected_entropy=entropy)
    computed = score(apart)
    for name, key in RANKING:
        value = computed[name][key]
        assert possible(value, apart, name, key)
        assert not possible(value + 1e-4, apart, name, key) and not possible(value - 1e-4, apart, name, key)
    assert not possible(computed["test"]["nll"] + 1e-6, apart, "test", "nll")


def test_numbers_agree_to_nine_digits_and_near_zero_to_twelve_places():
    assert agree(3.7e-19, 0.0) and agree(math.nan, math.nan) and agree(math.inf, math.inf)
    assert agree(0.1234567891, 0.1234567892) and not agree(0.1234567891, 0.1234567899)
    assert not agree(math.nan, 0.5) and not agree(math.inf, 1e300) and not agree(1e-11, 0.0)
