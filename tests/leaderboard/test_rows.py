"""What may stand beside the MAP row, and what is shown below it with its reason: nothing is mixed, nothing vanishes."""

from pathlib import Path

import pytest
from builders import DataIdentity, made, plan_of, result, results, sha, task_identity
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.columns import column
from leaderboard.history import OldRecord
from leaderboard.plan import Plan
from leaderboard.record import Audit, Error, Origin
from leaderboard.results import old_result
from leaderboard.rows import comparable, groups_of
from leaderboard.table import fold

OLD = Path(__file__).parent.parent / "old_records"
MAP = results("map", 0.9, 0.91, 0.92)


def only(results, name, plan=None):
    (group,) = [group for group in groups_of(results, plan) if group.name == name]
    return group


def reasons(results, plan=None):
    return {group.name: group.reason for group in groups_of(results, plan)}


def planned(*methods, seeds=3, **changes):
    return plan_of(*(made(method, seed, **changes) for method in methods for seed in range(seeds)))


def test_rows_with_every_seed_on_the_task_and_machine_of_map_are_ranked():
    assert reasons([*MAP, *results("laplace", 0.9, 0.9, 0.9)]) == {"map": "", "laplace": ""}
    assert reasons(MAP, planned("map", "laplace")) == {"map": "", "laplace": "0 of 3 seeds ok; seed 0 not run yet"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"environment": {"dirty": True}}, "uncommitted changes"),
        ({"method_info": {"package": None, "package_version": None}}, "loaded from a file"),
        ({"origin": Origin(state="claimed")}, "claimed"),
        ({"origin": Origin(state="withdrawn")}, "withdrawn"),
        ({"origin": Origin(state="challenged")}, "challenged"),
        ({"environment": {"device_name": "another"}}, "not made on one device: a processor, another"),
        ({"environment": {"code": sha("edited")}}, "stale: it and the MAP row were not made with the same our code"),
        ({"environment": {"packages": {"torch": "2.8.0", "numpy": "2.3.0"}}}, "not made with the same torch"),
        ({"environment": {"packages": {"numpy": "2.3.0"}}}, "not made with the same torch"),
        ({"device": "cuda"}, "made on cuda, the MAP row on cpu"),
        ({"task": task_identity(version=2)}, "another version of the task than the MAP row's: 2, not 1"),
        ({"task": task_identity(recipe={"epochs": 30})}, "another recipe of the task"),
        ({"task": task_identity(model={"name": "b"})}, "another model of the task"),
        ({"task": task_identity(evaluation={"far": []})}, "another evaluation of the task"),
        (
            {"task": task_identity(data=DataIdentity(name="digits", spec=sha("spec"), content=sha("edited")))},
            "other data than the MAP row's, by its content",
        ),
        (
            {"task": task_identity(data=DataIdentity(name="digits", spec=sha("edited"), content=sha("content")))},
            "other data than the MAP row's, by its spec",
        ),
    ],
)
@pytest.mark.parametrize("with_plan", [False, True])
def test_a_row_that_differs_from_map_is_shown_with_what_differs(changes, reason, with_plan):
    rows = [*MAP, *results("other", 0.99, 0.99, 0.99, **changes)]
    found = only(rows, "other", planned("map") if with_plan else None)
    assert reason in found.reason and len(found.ok) == 3
    assert only(rows, "map").reason == ""


def test_a_row_whose_seeds_were_made_with_different_code_is_not_ranked():
    mixed = [result("map", 0), result("map", 1, environment={"code": sha("edited")})]
    assert "its seeds were not all made with the same our code" in only(mixed, "map").reason


def test_an_edited_method_makes_a_row_of_its_own_and_the_older_one_is_stale():
    old = results("other", 0.5, 0.5)
    new = [result("other", 2, 0.9, method_info={"source": sha("edited")})]
    rows = [*MAP, *old, *new]
    plan = plan_of(
        *(made("map", s) for s in range(3)),
        *(made("other", s, method_info={"source": sha("edited")}) for s in range(3)),
    )
    found = reasons(rows, plan)
    assert found == {
        "map": "",
        "other": "1 of 3 seeds ok; seed 0 not run yet",
        "other (stale)": "stale: not in the plan any more",
    }


def test_versions_of_a_task_are_never_averaged():
    first = results("map", 1.0, 1.0, 1.0) + results("map", 0.5, 0.5, 0.5, task=task_identity(version=2))
    groups = groups_of(first)
    assert [len(group.ok) for group in groups] == [3, 3] and sum(not group.reason for group in groups) == 1
    assert len({group.name for group in groups}) == 2


def test_a_method_outside_the_plan_needs_the_seeds_of_the_plan():
    rows = [*MAP, *results("two", 0.9, 0.9), *results("three", 0.9, 0.9, 0.9), *results("four", 0.9, 0.9, 0.9, 0.9)]
    for plan in (None, planned("map")):
        found = reasons(rows, plan)
        assert found["two"] == "2 of 3 seeds ok; seed 2 not run yet"
        assert found["three"] == found["four"] == ""


def test_a_failed_seed_stands_in_its_row_with_the_reason():
    failed = result("map", 1, status="diverged", error=Error(reason="the loss is nan"))
    group = only([result("map", 0), failed], "map")
    assert (len(group.ok), group.reason) == (1, "1 of 2 seeds ok; seed 1 diverged: the loss is nan")


def test_a_run_without_scores_says_how_to_get_them():
    from leaderboard.results import result_of

    one = made("map")
    found = only([result_of(MAP[0].path, one, None, "no scores yet: make them with 'ivi score'")], "map")
    assert "no scores yet" in found.reason


def test_without_map_nothing_is_ranked():
    assert reasons(results("laplace", 0.9)) == {"laplace": "no MAP row beside it that was made"}


def test_a_stranger_called_map_is_no_base():
    stranger = results("map", 0.9, 0.9, 0.9, method_info={"package": "stranger"})
    assert "no MAP row" in only(stranger, "map").reason
    relabelled = results("kl_vi", 0.9, 0.9, 0.9, label="map")
    found = groups_of([*MAP, *relabelled])
    assert {group.name for group in found} == {"map", "map (method kl_vi)"}
    assert next(group for group in found if group.is_base).name == "map"


def test_earlier_and_later_attempts_are_told():
    attempts = [
        result("map", 0, status="failed"), result("map", 0, 0.8, attempt=2),
        result("map", 0, status="crashed", attempt=3), result("map", 0, 0.99, attempt=4),
    ]  # fmt: skip
    group = only(attempts, "map")
    assert group.ok[0].metrics["test"]["accuracy"] == 0.8
    assert "seed 0 ok at attempt 2; 2 others not ok" in group.notes
    assert "seed 0 was made more than once (attempt 4): attempt 2 counts" in group.notes


def test_seeds_at_chance_and_declared_changes_are_footnotes():
    lucky = 0.1 + 1.96 * (0.1 * 0.9 / 100) ** 0.5
    rows = [result("map", 0, 0.9), result("map", 1, lucky - 1e-6), result("map", 2, lucky + 1e-6)]
    assert only(rows, "map").notes == ("no better than chance: seed 1",)
    changed = result("swag", 0, audit=Audit(recipe_changes={"epochs": 40}))
    assert only([changed], "swag").notes == ("changes the recipe: epochs 40",)
    wheel = result("map", 0, environment={"commit": None, "dirty": None})
    assert only([wheel], "map").reason == "" and "equals MAP's by its hash" in only([wheel], "map").notes[0]


def test_records_of_the_first_edition_are_history():
    old = OldRecord.model_validate_json((OLD / "schema1.json").read_bytes())
    alone = groups_of([old_result(MAP[0].path, old)])
    assert [group.reason for group in alone] == ["history: made under rules 1"]
    data = old.model_copy(update={"task": old.task.model_copy(update={"name": "task"})})
    beside = groups_of([*MAP, old_result(MAP[0].path, data)])
    assert [bool(group.reason) for group in beside] == [False, True]


def test_only_tasks_of_the_plan_are_shown():
    rows = [*MAP, *results("map", 0.9, task="elsewhere")]
    assert {group.task for group in groups_of(rows, planned("map"))} == {"task"}
    assert {group.task for group in groups_of(rows)} == {"task", "elsewhere"}
    assert groups_of([], Plan(suite="x", description="", runs=())) == []


def test_runs_are_paired_only_where_task_machine_and_software_agree():
    assert comparable(MAP[0], result("laplace", 0))
    for changes in ({"device": "cuda"}, {"environment": {"code": sha("edited")}}, {"task": task_identity(version=2)}):
        assert not comparable(MAP[0], result("laplace", 0, **changes))


SETTINGS = {
    "as it is": {},
    "version": {"task": task_identity(version=2)},
    "recipe": {"task": task_identity(recipe={"epochs": 30})},
    "one number of the recipe": {"task": task_identity(recipe={"epochs": 3, "lr": 0.1})},
    "network": {"task": task_identity(model={"name": "b"})},
    "weights": {"task": task_identity(model={"name": "mlp", "arguments": {"checkpoint_path": "sha256:0"}})},
    "split": {"task": task_identity(split={"train": 100, "validation": 100, "seed": 1})},
    "size": {"task": task_identity(split={"train": 90, "validation": 100, "seed": 0})},
    "classes": {"task": task_identity(outputs=9)},
    "OOD sets": {"task": task_identity(evaluation={"ood": {"near": ["glyphs"], "far": []}})},
    "pictures": {"task": task_identity(data=DataIdentity(name="digits", spec=sha("spec"), content=sha("edited")))},
    "spec": {"task": task_identity(data=DataIdentity(name="digits", spec=sha("edited"), content=sha("content")))},
    "name of the data": {
        "task": task_identity(data=DataIdentity(name="others", spec=sha("spec"), content=sha("content")))
    },
    "device": {"device": "cuda"},
    "name": {"task": task_identity("another")},
}
made_runs = st.lists(
    st.tuples(st.sampled_from([*SETTINGS]), st.sampled_from(["map", "other"]), st.integers(0, 3)),
    min_size=2,
    max_size=16,
    unique=True,
)


@given(made_runs, st.booleans())
def test_no_row_averages_and_no_comparison_pairs_runs_of_two_settings(chosen, with_plan):
    value = {name: 0.1 + 0.05 * i for i, name in enumerate(SETTINGS)}  # a row's mean tells what it was made of
    rows = [result(method, seed, value[name], **SETTINGS[name]) for name, method, seed in chosen]
    plan = plan_of(*(made(method, seed, **SETTINGS[name]) for name, method, seed in chosen)) if with_plan else None
    found = fold(rows, plan, [column("accuracy")]).rows
    shown = [row.metrics["accuracy"].mean for row in found if row.n]
    assert all(min(abs(mean - one) for one in value.values()) < 1e-9 for mean in shown), found
    wanted = {(name, method) for name, method, _ in chosen}
    assert len(shown) == len(wanted) and sum(row.n for row in found) == len(chosen)
    for row in fold(rows, plan, [column("accuracy")], against="map").rows:
        difference = row.metrics["accuracy"]
        assert difference is None or abs(difference.mean) < 1e-9
