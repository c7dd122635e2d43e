"""What is drawn from records."""

from dataclasses import replace

import numpy as np
import pytest

from leaderboard.predictions import Predictions
from leaderboard.views.drawing import _clean


def certain(right: list[bool]) -> Predictions:
    """Two classes, label 0, right or wrong with probability 0.9."""
    p = np.where(np.array(right)[:, None], [0.9, 0.1], [0.1, 0.9])
    zeros = np.zeros(len(p), dtype=np.float32)
    return Predictions(np.log(p).astype(np.float32), zeros, zeros, np.zeros(len(p), dtype=np.int64))


def test_severity_zero_is_of_the_images_that_were_corrupted():
    test = certain([True, True, False, False, False, False])
    shifted = certain([True, False])
    assert _clean({"test": test, "shift/fog/1": shifted})["accuracy"] == 1.0
    assert _clean({"test": test})["accuracy"] == pytest.approx(1 / 3)


def test_severity_zero_is_of_all_test_images_where_others_were_corrupted():
    test, shifted = certain([True, True, False]), certain([True, False])
    assert test.labels is not None
    strangers = replace(shifted, labels=np.array([1, 0]))
    assert _clean({"test": test, "shift/fog/1": strangers})["accuracy"] == pytest.approx(2 / 3)
