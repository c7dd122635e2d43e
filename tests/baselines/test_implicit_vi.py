"""Implicit VI as a baseline: the expected loss alone, unless an explicit regularizer is asked for."""

from dataclasses import replace

import ivi
from baselines.implicit_vi import ImplicitVI
from baselines.spec import parse
from benchmarks.check import subject_of


def distance(method, problem) -> float:
    start = ivi.prior(method.predictor(problem).net)
    return ivi.wasserstein2(method.fit(problem).net, start).item()


def test_a_weight_on_the_wasserstein_distance_keeps_the_posterior_nearer_to_the_prior():
    problem = subject_of(parse("implicit_vi")).problem
    free, held = distance(ImplicitVI(), problem), distance(ImplicitVI(w2_weight=100.0), problem)
    assert 0 < held < 0.9 * free


def test_rank_and_draws_do_not_change_what_a_seed_starts_from():
    problem = subject_of(parse("implicit_vi")).problem
    nets = [replace(ImplicitVI(), rank=rank, draws=2).predictor(problem).net for rank in (1, 10)]
    first, second = (dict(net.named_parameters()) for net in nets)
    assert all((first[name] == second[name]).all() for name in first if not name.endswith("_factor"))
