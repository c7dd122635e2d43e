"""The plan beside the records: what was last planned, whole or named as damaged."""

import pytest
from builders import made, method_identity, plan_of

from leaderboard.plan import is_base, plan_path, plans, read_plan, write_plan
from leaderboard.record import RecordError


def test_a_plan_is_read_as_it_was_written_and_a_later_one_takes_its_place(tmp_path):
    first, second = plan_of(made("map"), made("laplace")), plan_of(made("map"))
    write_plan(tmp_path, first)
    assert read_plan(tmp_path, "suite") == first
    write_plan(tmp_path, second)
    write_plan(tmp_path, plan_of(made("kl_vi"), suite="other"))
    assert [plan.suite for plan in plans(tmp_path)] == ["other", "suite"] and plans(tmp_path)[1] == second
    assert read_plan(tmp_path, "nowhere") is None


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": 99}', '{"a":' * 1000])
def test_a_damaged_plan_is_named(tmp_path, text):
    plan_path(tmp_path, "suite").write_text(text)
    with pytest.raises(RecordError, match=r"suite\.plan\.json: not a plan"):
        read_plan(tmp_path, "suite")


def test_the_map_row_is_ours_with_default_parameters():
    ours = method_identity("map")
    assert is_base(ours, True)
    strangers = [
        method_identity("map", package="stranger"),
        method_identity("map", package=None),
        method_identity("laplace"),
    ]
    assert not is_base(ours, False) and not any(is_base(one, True) for one in strangers)
