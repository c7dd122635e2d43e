"""The conformance checks hold for methods that are right and name the fault of those that are not."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from problems import subject

from baselines.batch_ensemble import BatchEnsemble
from baselines.checkpoint_ensemble import CheckpointEnsemble
from baselines.checks import (
    CHECKS,
    CheckFailed,
    CheckSkipped,
    a_degenerate_case_equals_map,
    a_saved_state_gives_the_same_outputs,
    asking_twice_gives_the_same_outputs,
    every_trainable_parameter_changes,
    every_trainable_parameter_is_in_one_optimizer_group,
    it_learns_from_the_data_that_it_is_given,
    it_takes_no_more_steps_than_the_recipe_that_it_declares,
    outputs_are_finite_numbers_of_shape_members_batch_outputs,
    outputs_do_not_depend_on_batch_size_or_order,
    the_fit_of_a_changed_problem_is_another_fit,
    the_method_is_a_frozen_dataclass,
    the_same_seed_gives_the_same_outputs,
)
from baselines.ddu import DDU
from baselines.deep_ensemble import DeepEnsemble
from baselines.implicit_vi import ImplicitVI
from baselines.ivon import IVON
from baselines.kl_vi import KLVI
from baselines.label_smoothing import LabelSmoothing
from baselines.laplace import Laplace
from baselines.last_layer_vi import LastLayerVI
from baselines.map import MAP
from baselines.masksembles import Masksembles
from baselines.mc_dropout import MCDropout
from baselines.mixup import Mixup
from baselines.protocol import Unsupported
from baselines.sghmc import SGHMC
from baselines.sgld import SGLD
from baselines.sngp import SNGP
from baselines.swag import SWAG
from baselines.vbll import VBLL

METHODS = Path(__file__).parent / "methods"


def from_file(name, cls):
    """The class of a file in ``methods``, imported as the harness does: by path."""
    spec = importlib.util.spec_from_file_location(name, METHODS / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, cls)


METHODS_OF_EACH_KIND = [
    MAP(),
    DeepEnsemble(members=2),
    BatchEnsemble(members=2),
    LastLayerVI(draws=4),
    VBLL(draws=4),
    SNGP(features=128),
    DDU(),
    Laplace(),
    Masksembles(members=2),
    MCDropout(passes=4),
    KLVI(draws=4),
    ImplicitVI(draws=4),
    SWAG(epochs=2, draws=4, rank=3),
    SGLD(samples=3),
    SGHMC(cycles=2, samples=2),
    IVON(draws=4),
    CheckpointEnsemble(members=2),
    LabelSmoothing(),
    Mixup(),
]
VARIANTS = [
    DeepEnsemble(members=2, of=MCDropout(passes=2)),
    LastLayerVI(structure="full", draws=4),
    VBLL(structure="diag", draws=4),
    SNGP(features=128, link="mc", draws=4),
    Laplace(prior_precision="validation"),
    Laplace(structure="full", link="mc", draws=4),
    MCDropout(passes=4, placement="head"),
    KLVI(family="low_rank", draws=4),
    ImplicitVI(layers="last", noise="shared", draws=2, head_draws=2),
    from_file("last_layer_ensemble", "LastLayerEnsemble")(),
    from_file("diagonal_swag", "DiagonalSWAG")(),
]
TAKEN_OVER = {every_trainable_parameter_is_in_one_optimizer_group}
OF_A_METHOD = [check for check in CHECKS if check is not the_fit_of_a_changed_problem_is_another_fit]
LENGTHS = {"conv": {"epochs": 3}, "conv_bn": {"epochs": 3}, "vit": {}}
"""What is changed in the recipe of each network on which the checks are slow: half of it is learnt from as well."""
CASES = [
    *(pytest.param("dense", method, id=f"dense-{type(method).__name__}") for method in METHODS_OF_EACH_KIND),
    *(pytest.param("dense", method, id=f"dense-{type(method).__name__}-variant") for method in VARIANTS),
    *(
        pytest.param(network, method, id=f"{network}-{type(method).__name__}", marks=pytest.mark.slow)
        for network in LENGTHS
        for method in METHODS_OF_EACH_KIND
    ),
]


def fitting(method, network):
    """The method with what it wants on a network: no hyperparameter that is a choice for the task suits all of them."""
    if network != "dense" and isinstance(method, KLVI):  # the ELBO learns nothing from so few examples there
        return replace(method, kl_weight=0.01)
    if network == "vit" and hasattr(method, "lr"):  # AdamW's rate in that recipe means nothing to a plain step
        return replace(method, lr=0.5 if isinstance(method, IVON) else 0.1)
    return method


@pytest.mark.parametrize("kind", ["categorical", "gaussian"])
@pytest.mark.parametrize(("network", "method"), CASES)
def test_every_check_holds_for(network, method, kind):
    method = fitting(method, network)
    examined = subject(method, kind, network, **LENGTHS.get(network, {}))
    if kind == "gaussian" and isinstance(method, DDU | LabelSmoothing):
        with pytest.raises(Unsupported):
            method.predictor(examined.problem)
        return
    for check in OF_A_METHOD:
        try:
            check(examined)
        except CheckSkipped:
            undeclared = check is a_degenerate_case_equals_map and not hasattr(method, "map_equivalent")
            assert undeclared or (isinstance(method, Laplace) and check in TAKEN_OVER), check


@pytest.mark.parametrize("kind", ["categorical", "gaussian"])
def test_the_check_of_what_a_problem_hands_out_holds(kind):
    the_fit_of_a_changed_problem_is_another_fit(subject(MAP(), kind))


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("NormalizesByTheBatch", outputs_do_not_depend_on_batch_size_or_order),
        ("DrawsAnew", asking_twice_gives_the_same_outputs),
        ("FreezesNormalization", every_trainable_parameter_changes),
        ("UpdatesTwice", every_trainable_parameter_is_in_one_optimizer_group),
        ("SavesHalf", a_saved_state_gives_the_same_outputs),
        ("NoMembers", outputs_are_finite_numbers_of_shape_members_batch_outputs),
        ("MoreOutputs", outputs_are_finite_numbers_of_shape_members_batch_outputs),
        ("SeedsItself", the_same_seed_gives_the_same_outputs),
        ("NotQuiteMAP", a_degenerate_case_equals_map),
        ("TenTimesTheSteps", it_takes_no_more_steps_than_the_recipe_that_it_declares),
        ("StepsByHand", it_takes_no_more_steps_than_the_recipe_that_it_declares),
        ("AsksForALongerFit", it_takes_no_more_steps_than_the_recipe_that_it_declares),
        ("FetchesElsewhere", it_learns_from_the_data_that_it_is_given),
        ("Thawed", the_method_is_a_frozen_dataclass),
        ("NoDataclass", the_method_is_a_frozen_dataclass),
    ],
)
def test_the_check_named_after_a_fault_finds_it(fault, check):
    examined = subject(from_file("broken", fault)())
    with pytest.raises(CheckFailed):
        check(examined)


def test_a_regression_that_learns_from_other_data_is_found():
    with pytest.raises(CheckFailed, match="correlation with the target -"):
        it_learns_from_the_data_that_it_is_given(subject(from_file("broken", "FetchesElsewhere")(), "gaussian"))


def test_extra_epochs_that_are_declared_pass():
    it_takes_no_more_steps_than_the_recipe_that_it_declares(subject(from_file("broken", "DeclaresMoreSteps")()))


def test_an_optimizer_that_steps_another_within_its_step_is_counted_once():
    it_takes_no_more_steps_than_the_recipe_that_it_declares(subject(from_file("sharpness_aware", "SharpnessAware")()))


def test_parameters_of_a_fit_without_an_optimizer_are_skipped_and_not_held_to_be_in_one():
    with pytest.raises(CheckSkipped, match="no torch optimizer"):
        every_trainable_parameter_is_in_one_optimizer_group(subject(Laplace()))


def test_a_harness_that_hands_out_the_same_fit_whatever_it_is_asked_with_is_found():
    examined, kept = subject(MAP()), []

    def remembered(method, problem):
        kept.append(method.fit(problem))
        return kept[0]

    make = examined.make_problem
    examined.make_problem = lambda method, seed: replace(make(method, seed), fitter=remembered)
    with pytest.raises(CheckFailed, match="half of the training data"):
        the_fit_of_a_changed_problem_is_another_fit(examined)


def test_a_method_that_cannot_flatten_channels_last_weights_raises_on_the_convolutional_network():
    check = outputs_are_finite_numbers_of_shape_members_batch_outputs
    check(subject(from_file("broken", "FlattensWeights")(), network="dense"))
    with pytest.raises(RuntimeError, match="view"):
        check(subject(from_file("broken", "FlattensWeights")(), network="conv"))
