"""One small suite, run once for all tests that look at what a run leaves."""

import pytest
from commands import ivi

SUITE = """
name = "tiny"
description = "a suite for tests"
tasks = ["digits-mlp"]
methods = ["map", "laplace", "mc_dropout(passes=2)"]
seeds = [0, 1]
"""


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A suite's file."""
    path = tmp_path_factory.mktemp("suite") / "tiny.toml"
    path.write_text(SUITE)
    return path


@pytest.fixture(scope="session")
def made(tiny, tmp_path_factory):
    """A folder in which the suite has been run: its records are in ``results``. Nobody changes it."""
    folder = tmp_path_factory.mktemp("made")
    ivi("run", tiny, cwd=folder)
    return folder
