"""Intervals hold what they promise, equal methods are called equal, and ranks are those of scipy."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from leaderboard import ranks, statistics
from leaderboard.statistics import (
    average_ranks,
    compare,
    detectable_difference,
    holm,
    item_interval,
    paired_difference,
    paired_p,
    t_interval,
    told_apart,
    top_group,
)

SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS, st.integers(2, 20))
def test_the_t_interval_is_that_of_scipy(seed, n):
    values = np.random.default_rng(seed).normal(3, 2, n)
    low, high = stats.t.interval(0.95, n - 1, values.mean(), stats.sem(values))
    assert t_interval(values) == pytest.approx((values.mean(), low, high))


def test_one_value_has_a_mean_and_no_bounds():
    mean, low, high = t_interval([0.3])
    assert mean == 0.3
    assert math.isnan(low) and math.isnan(high)


def test_values_that_are_not_finite_give_no_bounds():
    assert t_interval([1.0, math.inf]).mean == math.inf
    assert math.isnan(t_interval([1.0, math.nan, 2.0]).mean)
    assert math.isnan(t_interval([-math.inf, math.inf]).mean)
    assert all(math.isnan(bound) for bound in t_interval([1.0, math.inf, 2.0])[1:])


def test_no_values_are_refused():
    with pytest.raises(ValueError, match="n >= 1"):
        t_interval([])


def by_seed(values) -> dict[int, float]:
    return dict(enumerate(values))


@given(SEEDS, st.integers(2, 12))
def test_paired_p_and_interval_are_those_of_scipy(seed, n):
    a, b = np.random.default_rng(seed).normal(size=(2, n))
    theirs = stats.ttest_rel(a, b)
    assert paired_p(by_seed(a), by_seed(b)) == pytest.approx(theirs.pvalue)
    interval = theirs.confidence_interval(0.95)
    assert paired_difference(by_seed(a), by_seed(b)) == pytest.approx(((a - b).mean(), interval.low, interval.high))


def test_only_common_seeds_are_paired():
    assert paired_difference({0: 1.0, 1: 5.0, 2: 9.0}, {1: 2.0, 2: 8.0, 3: 0.0}).mean == 2.0
    with pytest.raises(ValueError, match="no seed in common"):
        paired_difference({0: 1.0}, {1: 1.0})


def test_p_is_nan_where_nothing_can_be_tested():
    assert math.isnan(paired_p({0: 1.0}, {0: 2.0}))
    assert math.isnan(paired_p({0: 1.0, 1: math.inf}, {0: 2.0, 1: math.inf}))
    assert paired_p({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0}) == 1.0


@pytest.mark.parametrize("n", [2, 3, 5, 9])
def test_a_difference_that_is_the_same_on_every_seed_has_the_error_of_unpaired_ones(n):
    a = by_seed(0.9 + 0.002 * np.arange(n))
    b = {seed: value - 0.002 for seed, value in a.items()}  # differences: 0.002 and, by rounding, not quite
    error = math.sqrt(2 * np.var(list(a.values()), ddof=1) / n)
    assert paired_p(a, b) == pytest.approx(2 * stats.t.sf(0.002 / error, n - 1))
    low, high = stats.t.interval(0.95, n - 1, 0.002, error)
    assert paired_difference(a, b) == pytest.approx((0.002, low, high))
    assert "cannot be told apart" in compare(a, b, ("x", "y"), "accuracy", "higher").sentence
    assert paired_p(a, {seed: value - 0.4 for seed, value in a.items()}) < 0.01, "far beyond what seeds do"


@pytest.mark.parametrize(("low", "high"), [(61706.0, 123412.0), (29 / 30, 1.0)])
def test_where_no_seed_changes_either_number_there_is_nothing_to_judge_by(low, high):
    small, large = dict.fromkeys(range(5), low), dict.fromkeys(range(5), high)
    assert paired_p(small, large) == 1.0 and top_group({"a": small, "b": large, "c": small}, "lower") == ["a", "c", "b"]
    difference = paired_difference(large, small)
    assert difference.mean == pytest.approx(high - low) and np.isnan(difference.low)
    assert "no spread to judge it by" in compare(small, large, ("a", "b"), "accuracy", "higher").sentence
    assert paired_difference(small, small) == (0.0, 0.0, 0.0)


def test_sentences_say_what_the_numbers_say():
    a, b = by_seed([0.10, 0.11, 0.12]), by_seed([0.20, 0.22, 0.21])
    clear = compare(a, b, ("ensemble", "map"), "nll", "lower")
    assert clear.sentence.startswith("ensemble has a lower (better) nll than map by 0.1 (95 % interval")
    assert clear.sentence.endswith("3 seeds).")
    assert "map has a higher (worse) nll" in compare(b, a, ("map", "ensemble"), "nll", "lower").sentence
    assert "lower (worse) accuracy" in compare(a, b, ("ensemble", "map"), "accuracy", "higher").sentence
    assert "has a lower entropy than" in compare(a, b, ("ensemble", "map"), "entropy", "").sentence
    tied = compare(a, by_seed([0.13, 0.09, 0.12]), ("x", "y"), "nll", "lower")
    assert tied.sentence.startswith("x and y cannot be told apart on nll")
    assert "too few to judge" in compare({0: 1.0}, {0: 2.0}, ("x", "y"), "nll", "lower").sentence
    assert "NaN or infinite" in compare(by_seed([1.0, math.inf]), a, ("x", "y"), "nll", "lower").sentence


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_rejects_exactly_what_its_steps_reject(p_values):
    adjusted = holm(p_values)
    rejected: set[int] = set()
    for step, i in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[i] > 0.05 / (len(p_values) - step):
            break
        rejected.add(int(i))
    close = np.abs(adjusted - 0.05) < 1e-12
    assert all((adjusted[i] <= 0.05) == (i in rejected) for i in range(len(p_values)) if not close[i])
    ranked = adjusted[np.argsort(p_values, kind="stable")]
    assert all(low <= high for low, high in pairwise(ranked))


def test_holm_refuses_nan():
    with pytest.raises(ValueError, match="NaN"):
        holm([0.1, math.nan])


def test_the_top_group_holds_the_best_and_what_cannot_be_told_from_it():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=10)
    values = {
        "worst": by_seed(shared + 5 + 0.1 * rng.normal(size=10)),
        "best": by_seed(shared + 0.1 * rng.normal(size=10)),
        "near": by_seed(shared + 0.02 + 0.1 * rng.normal(size=10)),
        "diverged": by_seed([math.nan] * 10),
        "infinite": by_seed([math.inf] * 10),
        "absent": {},
    }
    assert sorted(top_group(values, "lower")) == ["best", "near"]
    assert top_group(values, "higher") == ["worst"]


def test_one_seed_tells_nothing_apart():
    assert top_group({"a": {0: 1.0}, "b": {0: 9.0}}, "lower") == ["a", "b"]
    assert top_group({"a": {0: 1.0}}, "lower") == ["a"]
    assert top_group({}, "lower") == []


def test_a_direction_is_needed():
    with pytest.raises(ValueError, match="higher"):
        top_group({"a": {0: 1.0}}, "up")
    with pytest.raises(ValueError, match="higher"):
        average_ranks(pd.DataFrame(np.eye(2)), "")


@pytest.mark.parametrize("methods", [2, 6])
def test_the_same_method_with_other_seeds_is_tied_in_at_least_93_of_100_tables(methods):
    rng = np.random.default_rng(0)
    repeats, tied = 1000, 0
    for _ in range(repeats):
        values = {str(m): by_seed(rng.normal(size=5)) for m in range(methods)}
        tied += len(top_group(values, "lower")) == methods
    assert tied / repeats >= 0.93


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("methods", [2, 7])
def test_the_same_method_is_tied_on_shares_of_few_images_too(methods, seeds):
    """Of 500 images the same number more or less is right on all seeds quite often."""
    rng = np.random.default_rng(0)
    repeats, tied = 400, 0
    for _ in range(repeats):
        values = {str(m): by_seed(rng.binomial(500, 0.97, seeds) / 500) for m in range(methods)}
        tied += len(top_group(values, "higher")) == methods
    assert tied / repeats >= 0.93


def test_the_item_interval_repeats_and_is_centred_on_the_difference():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 500))
    first = item_interval(a, b)
    assert first == item_interval(a, b)
    assert first.mean == pytest.approx((a - b).mean())
    assert first.low < first.mean < first.high
    assert item_interval(b, a) == pytest.approx((-first.mean, -first.high, -first.low), abs=1e-12)


@settings(max_examples=10)
@given(SEEDS)
def test_the_item_interval_is_that_of_scipy_within_the_noise_of_resampling(seed):
    items = np.random.default_rng(seed).lognormal(size=300)
    ours = item_interval(items, draws=20_000, seed=1)
    theirs = stats.bootstrap((items,), np.mean, n_resamples=20_000, method="percentile", rng=seed, batch=2000)
    width = ours.high - ours.low
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.03 * width)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.03 * width)


def test_trainings_are_averaged_item_by_item():
    runs = np.random.default_rng(0).random((3, 200))
    assert item_interval(runs) == item_interval(runs.mean(axis=0))
    # What is common to all items of two methods cancels: the difference is constant.
    assert item_interval(runs, runs + 1.0) == pytest.approx((-1.0, -1.0, -1.0))


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        (np.zeros(1), None, "two at least"),
        (np.zeros(3), np.zeros(4), "need 3"),
        (np.array([0.0, math.inf]), None, "infinity"),
        (np.array([0.0, math.nan]), None, "NaN"),
    ],
)
def test_items_without_an_interval_are_refused(a, b, reason):
    with pytest.raises(ValueError, match=reason):
        item_interval(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nll", "accuracy", "paired"])
def test_item_intervals_cover_the_truth_93_to_97_times_in_100(kind):
    rng = np.random.default_rng(5)
    repeats, held = 2000, 0
    for i in range(repeats):
        if kind == "nll":
            a, b, truth = rng.gamma(0.5, size=1000), None, 0.5
        elif kind == "accuracy":
            a, b, truth = rng.random(1000) < 0.9, None, 0.9
        else:
            shared = rng.gamma(0.5, size=1000)
            a, b, truth = shared + rng.normal(0.1, 0.3, 1000), shared, 0.1
        interval = item_interval(a, b, seed=i)
        held += interval.low <= truth <= interval.high
    assert 0.93 <= held / repeats <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 5, 10])
def test_seed_intervals_cover_the_truth_93_to_97_times_in_100(n):
    rng = np.random.default_rng(n)
    intervals = [t_interval(rng.normal(0.3, 0.1, n)) for _ in range(4000)]
    assert 0.93 <= np.mean([low <= 0.3 <= high for _, low, high in intervals]) <= 0.97


def cells(seed: int, tasks: int, methods: int) -> pd.DataFrame:
    values = np.random.default_rng(seed).random((tasks, methods)).round(1)
    return pd.DataFrame(values, columns=[f"m{i}" for i in range(methods)])


@given(SEEDS, st.integers(3, 8), st.integers(3, 8))
def test_ranks_and_the_friedman_test_are_those_of_scipy(seed, tasks, methods):
    table = cells(seed, tasks, methods)
    ranks = average_ranks(table, "lower")
    for name, value in zip(table.columns, stats.rankdata(table, axis=1).mean(axis=0), strict=True):
        assert ranks.average[name] == pytest.approx(value)
    assert list(ranks.average.values()) == sorted(ranks.average.values())
    if len(set(ranks.average.values())) > 1:
        assert ranks.friedman_p == pytest.approx(stats.friedmanchisquare(*table.to_numpy().T).pvalue)
    flipped = average_ranks(table, "higher")
    assert all(flipped.average[m] == pytest.approx(methods + 1 - ranks.average[m]) for m in ranks.average)


def test_critical_differences_are_those_of_the_published_table():
    # Demšar 2006, table 5(a): q_0.05 for 2 to 6 classifiers.
    for methods, q in zip(range(2, 7), [1.960, 2.343, 2.569, 2.728, 2.850], strict=True):
        expected = q * math.sqrt(methods * (methods + 1) / (6 * 14))
        assert average_ranks(cells(0, 14, methods), "lower").critical_difference == pytest.approx(expected, rel=1e-3)


def test_groups_are_the_longest_runs_closer_than_the_critical_difference():
    average = {"a": 1.0, "b": 1.8, "c": 2.5, "d": 5.0}
    assert ranks._groups(average, 1.0) == [("a", "b"), ("b", "c")]
    assert ranks._groups(average, 2.0) == [("a", "b", "c")]
    assert ranks._groups(average, 0.5) == []
    assert ranks._groups(average, 9.0) == [("a", "b", "c", "d")]


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (pd.DataFrame({"a": [1.0], "b": [2.0]}), "two tasks"),
        (pd.DataFrame({"a": [1.0, 2.0]}), "two methods"),
        (pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, math.nan]}), "leave out"),
    ],
)
def test_a_table_that_cannot_be_ranked_is_refused(table, reason):
    with pytest.raises(ValueError, match=reason):
        average_ranks(table, "lower")


def test_methods_alike_on_every_task_share_one_rank():
    ranks = average_ranks(pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 2.0]}), "lower")
    assert ranks.average == {"a": 1.5, "b": 1.5}
    assert ranks.friedman_p == 1.0
    assert ranks.groups == [("a", "b")]


def test_pairs_tested_at_once_have_the_p_of_the_paired_test():
    rng = np.random.default_rng(0)
    values = {name: dict(enumerate(rng.normal(size=5))) for name in "abcd"} | {"e": dict.fromkeys(range(5), 0.5)}
    values["f"] = values["e"]
    pairs = list(combinations(values, 2))
    expected = [statistics.paired_p(values[a], values[b]) for a, b in pairs]
    assert statistics._pair_p_values(values, pairs) == pytest.approx(expected, rel=1e-12)
    del values["a"][4]
    expected = [statistics.paired_p(values[a], values[b]) for a, b in pairs]
    assert statistics._pair_p_values(values, pairs) == pytest.approx(expected, rel=1e-12)


def test_bounds_are_clipped_to_what_the_metric_can_be_and_the_mean_is_not():
    assert t_interval([0.01, 0.09]).clipped(0.0, 1.0) == pytest.approx((0.05, 0.0, 0.5582), abs=1e-4)
    assert t_interval([0.2, 0.9]).clipped(0.0, 1.0)[1:] == (0.0, 1.0)
    assert math.isnan(t_interval([0.3]).clipped(0.0, 1.0).low)
    assert t_interval([1.0, 2.0]).clipped(-math.inf, math.inf) == t_interval([1.0, 2.0])


def drawn_seeds(rng: np.random.Generator, differences: list[float], n: int) -> dict[str, dict[int, float]]:
    """Methods that share what a seed does to all of them, and differ in their mean."""
    seed_effect = rng.normal(size=n)
    return {f"m{i}": by_seed(0.9 + d + seed_effect + rng.normal(size=n)) for i, d in enumerate(differences)}


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_detectable_difference_is_found_in_four_of_five_experiments(n):
    rng = np.random.default_rng(n)
    spread = math.sqrt(2)  # of a paired difference of two methods, each with noise of 1
    pooled = math.sqrt(np.mean([detectable_difference(drawn_seeds(rng, [0.0] * 20, n)) ** 2 for _ in range(100)]))
    tables = (drawn_seeds(rng, [0.0, pooled], n) for _ in range(3000))
    found = np.mean([paired_p(table["m0"], table["m1"]) < 0.05 for table in tables])
    assert found == pytest.approx(0.8, abs=0.025)
    assert pooled / spread == pytest.approx({3: 3.26, 5: 1.68, 10: 1.0}[n], rel=0.03)


def test_the_spread_is_pooled_over_all_pairs():
    rng = np.random.default_rng(0)
    values = drawn_seeds(rng, [0.0, 1.0, 5.0], 5)
    squares = [np.var([a[s] - b[s] for s in range(5)], ddof=1) for a, b in combinations(values.values(), 2)]
    shift = 3.761060  # of a noncentral t with 4 degrees of freedom
    assert stats.nct.sf(stats.t.ppf(0.975, 4), 4, shift) == pytest.approx(0.8, abs=1e-5)
    assert detectable_difference(values) == pytest.approx(shift * math.sqrt(np.mean(squares) / 5), rel=1e-5)


@given(SEEDS, st.integers(2, 6), st.integers(2, 400))
def test_the_detectable_difference_scales_with_the_metric_and_is_finite(seed, methods, n):
    values = drawn_seeds(np.random.default_rng(seed), [0.0] * methods, n)
    one = detectable_difference(values)
    assert 0.0 < one < math.inf
    scaled = {name: {s: 1000.0 * v for s, v in row.items()} for name, row in values.items()}
    assert detectable_difference(scaled) == pytest.approx(1000.0 * one, rel=1e-6)


def test_where_no_pair_can_be_tested_no_difference_is_detectable():
    assert math.isnan(detectable_difference({}))
    assert math.isnan(detectable_difference({"a": by_seed([1.0, 2.0])}))
    assert math.isnan(detectable_difference({"a": {0: 1.0}, "b": {0: 2.0}}))
    assert math.isnan(detectable_difference({"a": by_seed([1.0, 2.0]), "b": {7: 1.0, 8: 2.0}}))
    assert math.isnan(detectable_difference({"a": by_seed([1.0, 2.0]), "b": by_seed([1.0, math.inf])}))
    known = {"a": by_seed([1.0, 2.0, 3.0]), "b": by_seed([1.5, 2.0, 3.1])}
    assert detectable_difference(known | {"c": by_seed([math.nan] * 3)}) == detectable_difference(known)


@given(SEEDS, st.integers(1, 8), st.integers(1, 6))
def test_what_is_marked_is_the_top_group_or_nothing_with_a_reason(seed, n, methods):
    rng = np.random.default_rng(seed)
    values = drawn_seeds(rng, list(rng.normal(size=methods) * 5), n)
    told = told_apart(values, "higher")
    if n <= 3 or methods < 2:
        assert (told.top, told.worse) == ([], []) and told.reason
    else:
        assert told.top == top_group(values, "higher") and not told.reason
        assert sorted([*told.top, *told.worse]) == sorted(values)


def test_seeds_that_are_not_common_do_not_count_and_infinite_values_are_not_judged():
    a, b = by_seed([1.0, 1.1, 1.2, 1.3, 1.4]), by_seed([5.0, 5.1, 5.3, 5.3, 5.4])
    assert told_apart({"a": a, "b": b}, "lower") == (["a"], ["b"], "")
    few = told_apart({"a": a, "b": {s + 2: v for s, v in b.items()}}, "lower")
    assert few.top == [] and few.reason == "3 common seeds: more than 3 are needed to tell methods apart"
    infinite = told_apart({"a": a, "b": b, "c": by_seed([0.1, math.inf, 0.1, 0.1, 0.1])}, "lower")
    assert infinite.top == ["a"] and infinite.worse == ["b"]
    assert told_apart({"a": a, "c": by_seed([math.nan] * 5)}, "lower").reason.startswith("nothing to compare")
    with pytest.raises(ValueError, match="need 'higher' or 'lower'"):
        told_apart({"a": a, "b": b}, "")
