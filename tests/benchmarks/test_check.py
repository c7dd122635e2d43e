"""`ivi check` passes what keeps the contract on tasks of every kind, and names what does not."""

from pathlib import Path

import pytest
from commands import ivi

from benchmarks.checked import TASKS

METHODS = ["deep_ensemble(members=2)", "mc_dropout(passes=4)", "laplace", "kl_vi(draws=4)", "implicit_vi(draws=4)"]
METHODS += ["swag(epochs=2, draws=4)", "sgld", "sghmc", "ivon", "checkpoint_ensemble(members=2)", "mixup"]
UNFAIR = Path(__file__).with_name("unfair.py")
BROKEN = Path(__file__).parent.parent / "baselines" / "methods" / "broken.py"
SEARCH = "no evaluation example is in the process that fits"


def test_map_keeps_the_contract():
    done = ivi("check", "map", "--task", "digits-mlp")
    assert "every check holds" in done.stdout and f"holds   {SEARCH}" in done.stdout


@pytest.mark.parametrize(
    "method",
    ["last_layer_ensemble.py:LastLayerEnsemble", pytest.param("diagonal_swag.py:DiagonalSWAG", marks=pytest.mark.slow)],
)
def test_the_methods_of_the_page_on_adding_one_keep_the_contract_and_are_announced_at_once(method):
    first, *rest = ivi("check", BROKEN.parent / method, "--task", "digits-mlp").stdout.splitlines()
    assert "on digits-mlp: some six fits on each" in first and "every check holds" in rest[-1]


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("method", ["map", *METHODS])
def test_every_method_that_comes_with_the_package_keeps_the_contract(method, task):
    if (method, task) == ("kl_vi(draws=4)", "digits-cnn"):  # its ELBO learns nothing of 600 images in two epochs
        shown = ivi("check", method, "--task", task, code=1).stdout
        assert "1 checks failed" in shown and "fails   it learns from the data that it is given" in shown
    else:
        assert "every check holds" in ivi("check", method, "--task", task).stdout


def test_a_method_that_says_why_it_cannot_work_on_a_task_is_passed_over_there():
    shown = ivi("check", "label_smoothing", "--task", "diabetes-mlp").stdout
    assert "skipped the method does not do this: there are no classes" in shown and "every check holds" in shown


@pytest.mark.parametrize(
    ("method", "task", "fact"),
    [
        (f"{UNFAIR}:FindsTheCache", "digits-mlp", SEARCH),
        (f"{UNFAIR}:FindsTheTruth", "diabetes-mlp", SEARCH),
        (f"{UNFAIR}:Thawed", "digits-mlp", "the method is a frozen dataclass"),
        (f"{UNFAIR}:TenTimes", "digits-mlp", "it takes no more steps than the recipe that it declares"),
        (f"{BROKEN}:FetchesDigits", "digits-mlp", "it learns from the data that it is given"),
        (f"{BROKEN}:DrawsAnew", "digits-mlp", "asking twice gives the same outputs"),
    ],
    ids=lambda value: value.rpartition(":")[2],
)
def test_what_breaks_the_contract_is_named_by_the_fact_and_ends_with_1(method, task, fact):
    done = ivi("check", method, "--task", task, code=1)
    assert f"fails   {fact}" in done.stdout and "checks failed" in done.stdout, done.stdout


def test_all_kinds_of_network_and_target_are_among_the_tasks():
    assert TASKS == ("digits-mlp", "digits-cnn", "diabetes-mlp")
