"""The conformance checks pass for methods that are right and name the fault of those that are not."""

from pathlib import Path

import pytest
import torch

from baselines.checks import (
    CHECKS,
    CheckFailed,
    CheckSkipped,
    a_degenerate_case_equals_map,
    a_saved_state_gives_the_same_logits,
    asking_twice_gives_the_same_logits,
    every_trainable_parameter_is_in_one_optimizer_group_and_changes,
    logits_are_finite_numbers_of_shape_members_batch_classes,
    logits_do_not_depend_on_batch_size_or_order,
    test_data_cannot_be_reached_from_the_problem,
    the_same_seed_gives_the_same_logits,
)
from baselines.registry import known_methods, variants
from baselines.spec import parse
from benchmarks.check import subject_of

METHODS = Path(__file__).parent / "methods"
SPECS = [*sorted(known_methods()), *(name for name in sorted(variants()) if name != "laplace_all"), "laplace(link=mc)"]


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", [*SPECS, f"{METHODS / 'last_layer_ensemble.py'}:LastLayerEnsemble"])
def test_every_check_holds_for(name):
    subject = subject_of(parse(name))
    for check in CHECKS:
        try:
            check(subject)
        except CheckSkipped:
            assert check is a_degenerate_case_equals_map


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("NormalizesByTheBatch", logits_do_not_depend_on_batch_size_or_order),
        ("DrawsAnew", asking_twice_gives_the_same_logits),
        ("FreezesNormalization", every_trainable_parameter_is_in_one_optimizer_group_and_changes),
        ("SavesHalf", a_saved_state_gives_the_same_logits),
        ("NoMembers", logits_are_finite_numbers_of_shape_members_batch_classes),
        ("SeedsItself", the_same_seed_gives_the_same_logits),
        ("NotQuiteMAP", a_degenerate_case_equals_map),
    ],
)
def test_the_check_named_after_a_fault_finds_it(fault, check):
    with pytest.raises(CheckFailed):
        check(subject_of(parse(f"{METHODS / 'broken.py'}:{fault}")))


def test_a_test_image_hidden_in_the_problem_is_found():
    subject = subject_of(parse("map"))
    hidden = subject.unseen[3:5].clone()
    object.__setattr__(subject.problem, "progress", lambda done, total: hidden)
    with pytest.raises(CheckFailed, match="test image"):
        test_data_cannot_be_reached_from_the_problem(subject)
