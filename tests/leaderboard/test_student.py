"""Student's t of whole degrees of freedom, held against SciPy."""

import numpy as np
import pytest
from scipy.special import nctdtr, stdtr, stdtrit

from leaderboard.student import detectable_shift, exceeds, half_width, two_sided

DEGREES = [1, 2, 3, 4, 5, 9, 10, 19, 49, 99, 100, 999, 9999]
LEVELS = [0.5, 0.8, 0.9, 0.95, 0.99, 0.999]


def test_one_degree_of_freedom_is_the_law_of_cauchy():
    t = np.geomspace(1e-9, 1e9, 500)
    np.testing.assert_allclose(two_sided(1, t), 2.0 / np.pi * np.arctan2(1.0, t), rtol=1e-14)


@pytest.mark.parametrize("degrees", DEGREES[1:])  # of one, SciPy's own p is off by 5e-9
def test_two_sided_p_is_that_of_scipy_in_relative_terms_far_into_the_tail(degrees):
    t = np.concatenate([np.geomspace(1e-9, 30.0, 400), -np.linspace(0.01, 10.0, 400)])
    np.testing.assert_allclose(two_sided(degrees, t), 2.0 * stdtr(degrees, -np.abs(t)), rtol=1e-12)


@pytest.mark.parametrize("degrees", DEGREES)
def test_p_of_no_difference_is_one_and_of_an_infinite_one_zero(degrees):
    p = two_sided(degrees, np.array([0.0, np.inf, -np.inf, np.nan]))
    assert p[:3].tolist() == [1.0, 0.0, 0.0] and np.isnan(p[3])


@pytest.mark.parametrize("degrees", DEGREES)
@pytest.mark.parametrize("level", LEVELS)
def test_half_width_is_the_quantile_of_scipy(degrees, level):
    assert half_width(degrees, level) == pytest.approx(stdtrit(degrees, 0.5 + level / 2), rel=1e-12)


@pytest.mark.parametrize("degrees", DEGREES)
@pytest.mark.parametrize("shift", [0.0, 0.5, 2.0, 3.7, 8.0, 30.0])
def test_noncentral_tail_is_that_of_scipy(degrees, shift):
    for t in (0.0, 0.3, 1.9, 2.6, 4.3, 12.7):
        assert exceeds(degrees, shift, t) == pytest.approx(1.0 - nctdtr(degrees, shift, t), abs=1e-12)


@pytest.mark.parametrize("degrees", DEGREES)
def test_the_shift_gives_its_power_by_scipy(degrees):
    shift = detectable_shift(degrees, 0.95, 0.8)
    assert 1.0 - nctdtr(degrees, shift, stdtrit(degrees, 0.975)) == pytest.approx(0.8, abs=1e-12)
