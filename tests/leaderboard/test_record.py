"""Who a run is and what is written of it: equal on every machine, refused where it contradicts itself."""

import hashlib
import json
import math

import numpy as np
import pytest
from builders import COST, identity, made, method_identity, sha, task_identity
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from leaderboard.identity import RULES, Identity, array_sha256, digest
from leaderboard.record import Cost, Error, Origin, Record

VALUES = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=8).filter(lambda text: text.isprintable()),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)  # fmt: skip


def test_the_run_id_is_the_hash_of_the_canonical_json_of_the_identity():
    who = identity("laplace", 3)
    text = json.dumps(json.loads(who.model_dump_json()), sort_keys=True, separators=(",", ":"))
    assert who.run_id == hashlib.sha256(text.encode()).hexdigest()[:12]
    data = json.loads(who.model_dump_json())
    assert who.row == digest({key: value for key, value in data.items() if key != "seed"})[:12]


@given(VALUES, VALUES)
def test_an_identity_that_was_written_and_read_has_the_same_run_id(recipe, resolved):
    who = Identity(task=task_identity(recipe=recipe), method=method_identity(resolved=resolved), seed=1)
    again = Identity.model_validate_json(who.model_dump_json())
    assert (again.run_id, again.row, again.setting) == (who.run_id, who.row, who.setting)


def test_each_part_of_the_identity_changes_the_run_id_and_the_seed_alone_leaves_the_row():
    who = identity()
    others = [
        identity(seed=1), identity("other"), identity(device="cuda"), identity(source=sha("edited")),
        identity(package_version="9"), identity(resolved={"rank": 2}),
        *(identity(task=task_identity(**change)) for change in (
            {"version": 2}, {"recipe": {}}, {"outputs": 2}, {"model": {}}, {"split": {}},
            {"evaluation": {"far": ["x"]}},
            {"data": {"name": "digits", "spec": sha("edited"), "content": sha("content")}},
            {"data": {"name": "digits", "spec": sha("spec"), "content": sha("other pictures")}},
        )),
    ]  # fmt: skip
    assert len({one.run_id for one in [who, *others]}) == 1 + len(others)
    assert others[0].row == who.row and all(one.row != who.row for one in others[1:])
    assert [one.setting == who.setting for one in others[:6]] == [True, True, False, True, True, True]


def test_the_hash_of_an_array_is_of_type_shape_and_numbers_whatever_their_order_in_memory():
    array = np.arange(6, dtype=np.int64).reshape(2, 3)
    expected = hashlib.sha256(b"int64 (2, 3)" + array.tobytes()).hexdigest()
    assert array_sha256(array) == array_sha256(np.asfortranarray(array)) == expected
    assert array_sha256(array.astype(">i8")) == expected
    others = [array.T, array.astype(np.int32), array.reshape(3, 2), array + 1, array[:0]]
    assert len({array_sha256(one) for one in others} | {expected}) == 6


@pytest.mark.parametrize("key", ["fit_s", "predict_s", "steps", "state_bytes"])
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, -math.inf, "NaN", "-Infinity"])
def test_a_cost_that_is_no_amount_is_refused(key, value):
    with pytest.raises(ValidationError):
        Cost(**COST | {key: value})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"run_id": "0" * 12}, "its identity gives"),
        ({"predictions": None}, "if and only if it has predictions"),
        ({"cost": None}, "if and only if it has predictions"),
        ({"sets": {}}, "if and only if it has predictions"),
        ({"attempt": -5}, "greater than or equal to 1"),
        ({"attempt": 0}, "greater than or equal to 1"),
        ({"label": "../map"}, "pattern"),
        ({"label": "map\n"}, "pattern"),
        ({"sets": {"../../x": {"n": 1, "inputs": sha(1)}}}, "pattern"),
        ({"mood": "good"}, "Extra inputs"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(changes, reason):
    data = json.loads(made().model_dump_json()) | changes
    with pytest.raises(ValidationError, match=reason):
        Record.model_validate_json(json.dumps(data))


@pytest.mark.parametrize("rules", [0, 1, RULES + 1, 999])
def test_rules_that_nobody_wrote_down_are_refused(rules):
    who = identity().model_copy(update={"rules": rules})
    who = Identity.model_validate_json(who.model_dump_json())
    with pytest.raises(ValidationError, match=f"made under rules {rules}"):
        made(identity=who, run_id=who.run_id)


@pytest.mark.parametrize("name", ["../../etc/x", "/abs", "a/b", "", ".hidden", "UPPER", "a b", "a\n", "é", "a" * 99])
def test_a_task_has_a_name_that_is_safe_as_a_folder(name):
    with pytest.raises(ValidationError):
        task_identity(name)


def test_free_values_are_not_nested_deeply():
    deep: dict = {}
    for _ in range(9):
        deep = {"a": deep}
    with pytest.raises(ValidationError, match="nested more than"):
        method_identity(resolved=deep)


@given(st.text(st.characters(), max_size=50))
def test_any_text_of_an_error_can_be_kept(text):
    one = made(status="failed", error=Error(reason=text), origin=Origin(who=text))
    assert Record.model_validate_json(one.model_dump_json()) == one


def test_a_changed_copy_has_the_identity_of_what_it_says():
    one = identity(seed=0)
    before = one.run_id, one.row, one.task.canonical
    other = one.model_copy(update={"seed": 1, "task": one.task.model_copy(update={"name": "another"})})
    assert other.run_id == identity(seed=1, task="another").run_id != before[0]
    assert other.row == identity(task="another").row != before[1]
    assert (one.run_id, one.row, one.task.canonical) == before


def test_records_of_one_task_share_what_they_have_in_common_and_nothing_else():
    first, second = (Record.model_validate_json(made(seed=seed).model_dump_json()) for seed in (0, 1))
    other = Record.model_validate_json(made(task=task_identity(recipe={"epochs": 3.0})).model_dump_json())
    assert first.identity.task is second.identity.task and first.run_id != second.run_id
    assert isinstance(other.identity.task.recipe["epochs"], float) and first.run_id != other.run_id


@pytest.mark.parametrize("value", [{"a": object()}, {"a": [b"bytes"]}, {"a": {1: 2}}, {"a": (1, 2)}])
def test_a_free_value_that_json_has_no_name_for_is_refused(value):
    with pytest.raises(ValidationError, match="JSON has no name for|no text"):
        identity(resolved=value)
