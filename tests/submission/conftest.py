"""What is published, read once for all tests of reviews."""

import pytest
from forging import Forger

from benchmarks.submission.reviewing import RECORDS
from leaderboard.submission.rivals import Published


@pytest.fixture(scope="session")
def board():
    """The published rows of the smoke suite."""
    return Published.of(RECORDS / "smoke")


@pytest.fixture
def forger(tmp_path):
    """A copy of a good bundle."""
    return Forger(tmp_path)
