"""Costs of honest bundles: what a busy machine does to seconds, and what is trained without steps, is no doubt."""

import pytest
from forging import METHOD

from benchmarks.submission.reviewing import _is_settled, reviewed
from leaderboard.submission.findings import doubted


def slower(forger, label, seed, times):
    """One run that took so many times longer, as on a machine that did much else meanwhile."""
    path = forger.path(label=label, seed=seed)
    forger.record(
        path, cost=forger.records[path].cost.model_copy(update={"fit_s": forger.records[path].cost.fit_s * times})
    )


@pytest.mark.parametrize("label", ["map", METHOD])
def test_a_run_that_a_busy_machine_held_up_is_no_doubt(forger, board, label):
    slower(forger, label, 0, 20)
    assert (reviewed(forger.done(), board).state, reviewed(forger.bundle, board).findings) == ("recomputed", ())


def test_a_machine_that_held_up_every_run_of_map_is_a_doubt_that_a_re_run_settles(forger, board):
    for seed in (0, 1):
        slower(forger, "map", seed, 20)
    verdict = reviewed(forger.done(), board)
    assert verdict.state == "claimed" and {one.check for one in verdict.findings} == {"pace"}
    assert all(_is_settled(one, {}) for one in verdict.findings)


def test_costs_that_can_be_on_no_machine_are_not_settled():
    assert not _is_settled(doubted("cost", "records", "takes no time", "measure it"), {})


def test_a_method_without_steps_parameters_and_counted_operations_is_no_doubt(forger, board):
    none = dict.fromkeys(("steps", "parameters", "fit_flops", "predict_flops"), 0)
    for task in ("digits-mlp", "diabetes-mlp"):
        for path in forger.paths(task):
            forger.record(path, cost=forger.records[path].cost.model_copy(update=none))
    found = reviewed(forger.done(), board).findings
    assert not [one for one in found if one.where.startswith("records/")], found


def test_a_run_like_map_is_settled_by_that_run_made_again_and_by_no_other():
    like = doubted("like map", "records/digits-mlp/own/1-aaaaaaaaaaaa.1.json", "it is as MAP", "run it again")
    near, other = ({"equal_to_the_bit": False, "like_map": one} for one in (True, False))
    assert _is_settled(like, {"aaaaaaaaaaaa": near, "bbbbbbbbbbbb": other})
    assert not _is_settled(like, {"aaaaaaaaaaaa": other, "bbbbbbbbbbbb": near})
    assert not _is_settled(like, {})


def test_a_copy_of_another_machine_is_settled_where_it_comes_out_near_itself_and_of_an_equal_one_to_the_bit():
    copied = doubted("copied", "records/digits-mlp/own/1-aaaaaaaaaaaa.1.json", "it is laplace's", "run it again")
    for apart, near, settled in ((["cpu"], True, True), (["cpu"], False, False), ([], True, False)):
        again = {"equal_to_the_bit": False, "like_map": True, "near": near, "machines_differ_in": apart}
        assert _is_settled(copied, {"aaaaaaaaaaaa": again}) is settled
    assert _is_settled(copied, {"aaaaaaaaaaaa": {"equal_to_the_bit": True}})
