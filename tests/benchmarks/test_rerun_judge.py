"""What is said of fresh seeds and of other machines: known answers, and error rates by simulation."""

import numpy as np
import pytest
from scipy.stats import ttest_ind

from benchmarks.rerun.judge import FLOOR, LOOKS, MAIN, differing, look, p_too_good, step_of, tolerance
from leaderboard.record import Environment

ACCURACY = ("test", "accuracy")
OTHER = (ACCURACY, ("ood_near", "auroc_max_probability"), ("ood_far", "auroc_max_probability"))


def environment(**changes):
    values = {"commit": None, "dirty": None, "code": "0" * 64, "packages": {"torch": "2.9"}, "python": "3.11"}
    values |= {"device_name": "", "cpu": "one", "capability": "AVX2", "threads": 1, "started": "now"}
    return Environment(**values | changes)


def test_p_is_that_of_welch_s_test_in_the_direction_in_which_the_column_is_better():
    rng = np.random.default_rng(0)
    for _ in range(20):
        claimed, fresh = rng.normal(size=4), rng.normal(0.5, 2.0, size=6)
        less = ttest_ind(claimed, fresh, equal_var=False, alternative="less").pvalue
        assert p_too_good(claimed, fresh, MAIN, 100) == pytest.approx(less)
        greater = ttest_ind(claimed, fresh, equal_var=False, alternative="greater").pvalue
        assert p_too_good(claimed, fresh, ACCURACY, 10**9) == pytest.approx(greater)


def test_p_of_two_claimed_seeds_is_that_of_student_s_test():
    rng = np.random.default_rng(1)
    for fresh in (3, 5, 10):
        claimed, others = rng.normal(size=2), rng.normal(0.5, 2.0, size=fresh)
        less = ttest_ind(claimed, others, equal_var=True, alternative="less").pvalue
        assert p_too_good(claimed, others, MAIN, 100) == pytest.approx(less)


def test_accuracies_that_are_alike_by_chance_are_no_proof():
    assert p_too_good([0.95] * 3, [0.948] * 3, ACCURACY, 500) > 0.01
    assert p_too_good([0.95] * 3, [0.30] * 3, ACCURACY, 500) < 1e-6


def test_fresh_seeds_that_are_no_numbers_refute_and_a_single_claimed_one_cannot_be_tested():
    assert p_too_good([0.1, 0.2], [np.inf, 0.2], MAIN, 100) == 0.0
    assert p_too_good([0.1], [0.3, 0.4, 0.5], MAIN, 100) == 1.0


def verdict(claimed, draw):
    """Whether a claim is refuted, with as many fresh seeds as are asked for."""
    fresh = [draw() for _ in range(LOOKS[0])]
    while (seen := look(claimed, fresh, 500)).goes_on:
        more = next(one for one in LOOKS if one > len(fresh))
        fresh += [draw() for _ in range(more - len(fresh))]
    return bool(seen.refuted), len(fresh)


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "power"), [(2, 0.30), (3, 0.80), (5, 0.85)])
def test_honest_claims_are_refuted_in_two_of_a_hundred_at_most_and_the_best_of_fifty_nearly_always(seeds, power):
    rng = np.random.default_rng(seeds)

    def draw():
        values = rng.normal(size=1 + len(OTHER))
        return dict(zip((MAIN, *OTHER), (0.1 + 0.02 * values[0], *(0.8 + 0.05 * values[1:])), strict=True))

    rounds = 1500
    honest = [verdict([draw() for _ in range(seeds)], draw) for _ in range(rounds)]
    assert np.mean([refuted for refuted, _ in honest]) <= 0.02 + 2 * np.sqrt(0.02 / rounds)
    assert np.mean([count for _, count in honest]) < 5
    lucky = [
        verdict(sorted((draw() for _ in range(50)), key=lambda one: one[MAIN])[:seeds], draw) for _ in range(rounds)
    ]
    assert np.mean([refuted for refuted, _ in lucky]) > power


def test_what_decides_bits_is_named_and_nothing_else():
    assert differing(environment(), environment(started="later", device_index=1, python="3.12")) == []
    other = environment(threads=2, capability="DEFAULT", cpu="two", code="1" * 64, packages={"torch": "2.8"})
    assert differing(environment(), other) == ["code", "capability", "threads", "cpu", "torch"]


def test_where_map_is_equal_on_both_machines_little_is_allowed_and_where_it_is_another_run_as_much_as_a_seed():
    method = [0.10, 0.12, 0.11]
    equal = tolerance([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], method)
    assert equal.part == FLOOR
    apart = tolerance([1.0, 2.0, 3.0], [3.0, 1.0, 2.0], method)
    assert apart.part == 1.0 and apart.value == pytest.approx(equal.value / FLOOR)
    assert tolerance([], [], method).part == 1.0


@pytest.mark.slow
def test_an_honest_seed_of_another_machine_is_within_the_tolerance(rounds=4000):
    rng, outside = np.random.default_rng(0), 0
    for part in (0.05, 0.3, 0.7):
        for _ in range(rounds // 3):
            base, method = rng.normal(size=5), rng.normal(size=5)
            moved = base + part * np.sqrt(2) * rng.normal(size=5)
            again = method[0] + part * np.sqrt(2) * rng.normal()
            outside += abs(again - method[0]) > tolerance(base, moved, method).value
    assert outside / rounds < 0.01


def test_seeds_whose_shares_are_alike_by_chance_allow_one_example_to_change_sides_and_no_more_than_that_says():
    step = step_of(ACCURACY, 360)
    seen = tolerance([350 / 360, 347 / 360], [350 / 360, 347 / 360], [351 / 360, 351 / 360], step)
    assert seen.spread == 0.0 and step < seen.value < 3 * step
    assert step_of(MAIN, 360) == step_of(("test", "rmse"), 360) == 0.0
    assert tolerance([1.0, 2.0], [1.0, 2.0], [3.0, 3.0], step_of(MAIN, 360)).value == 0.0


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_an_honest_share_of_another_machine_is_within_the_tolerance(seeds, rounds=150, size=360):
    rng, outside, alone, step = np.random.default_rng(seeds), 0, 0, step_of(ACCURACY, size)
    for _ in range(rounds):
        base, method = ((size - rng.poisson(8, size=seeds)) / size for _ in range(2))
        flips = rng.choice([-1, 0, 1], p=[0.1, 0.8, 0.1], size=(2, seeds)) * step  # an example or none changes sides
        off = abs(flips[1, 0])
        outside += off > tolerance(base, base + flips[0], method, step).value
        alone += off > tolerance(base, base + flips[0], method).value
    assert outside == 0
    assert seeds > 2 or alone > 0  # without the step, seeds that are alike by chance accuse
