"""The tables of truth that come with the program are what the harness makes."""

import pytest

from benchmarks.submission.truths import RECORDS, seeds_of, truth_of
from benchmarks.suite import load_task, names
from leaderboard.plan import read_plan
from leaderboard.submission.truth import TRUTHS, read_truths, required


@pytest.mark.parametrize("name", ["digits-mlp", "digits-cnn", "diabetes-mlp"])
def test_a_table_is_what_the_harness_makes_of_the_task(name):
    assert read_truths()[name] == truth_of(load_task(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist5k-lenet5", "mnist5k-lenet5-no-warmup"])
def test_a_table_of_a_larger_task_is_too(name):
    assert read_truths()[name] == truth_of(load_task(name))


def test_every_table_is_of_a_task_that_there_is_in_the_version_that_there_is():
    for name, truth in read_truths().items():
        assert name in names("task")
        assert truth.task.version == load_task(name).version, (
            f"make it anew: python -m benchmarks.submission.truths {name}"
        )
    assert {path.stem for path in TRUTHS.glob("*.json")} == set(read_truths())


def test_a_suite_asks_for_its_tasks_and_seeds():
    truths = read_truths()
    assert required(truths, "smoke") == {"digits-mlp": (0, 1), "diabetes-mlp": (0, 1)}
    assert required(truths, "digits-cnn") == {"digits-cnn": (0, 1, 2)}
    assert required(truths, "none") == {}


def test_a_row_needs_the_seeds_that_the_rows_beside_it_have():
    for name, truth in read_truths().items():
        assert truth.suites == seeds_of(name), f"make it anew: python -m benchmarks.submission.truths {name}"
    plan = read_plan(RECORDS / "quick", "quick")
    (seeds,) = required(read_truths(), "quick").values()
    assert plan is not None and set(seeds) == {run.seed for run in plan.runs}
