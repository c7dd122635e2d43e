"""Measurements of `ivi cost`: kept, read in every schema, refused where they are no amounts."""

import json
import math
import shutil
from pathlib import Path

import pytest
from builders import made, results

from leaderboard.cost import CostRecord, MethodCost, OldCostRecord, cost_of, quartiles, ratios, read_costs, write_cost
from leaderboard.plan import Plan, write_plan
from leaderboard.results import load_results

ROOT = Path(__file__).parent.parent
PUBLISHED = ROOT.parent / "leaderboard" / "records"


def measured(*ratios_to_map, **changes):
    one = made()
    rounds = len(ratios_to_map)
    cost = MethodCost(
        label="map", method=one.identity.method, fit_s=list(ratios_to_map), map_fit_s=[1.0] * rounds,
        predict_s=[1.0] * rounds, map_predict_s=[1.0] * rounds, fit_memory=10, predict_memory=20,
    )  # fmt: skip
    values = {
        "task": one.identity.task, "device": "cpu", "environment": one.environment, "steps": 3, "recipe_steps": 3,
        "batch_size": 10, "methods": [cost],
    }  # fmt: skip
    return CostRecord(**values | changes)


def test_a_measurement_is_read_as_it_was_written_and_none_takes_the_place_of_another(tmp_path):
    first, second = measured(1.0), measured(2.0)
    write_cost(tmp_path, first)
    write_cost(tmp_path, second)
    with pytest.raises(FileExistsError):
        write_cost(tmp_path, first)
    shelf = read_costs(tmp_path)
    assert sorted(one.methods[0].fit_s[0] for one in shelf.records) == [1.0, 2.0] and shelf.findings == []


def test_measurements_of_suites_are_found_from_the_folder_of_all_of_them(tmp_path):
    suite = tmp_path / "quick"
    write_cost(suite, measured(1.0))
    assert read_costs(tmp_path).records == []  # whatever lies deeper in a folder that has no plan
    write_plan(suite, Plan(suite="quick", description="", runs=()))
    assert len(read_costs(tmp_path).records) == len(read_costs(suite).records) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda cost: cost.update(fit_s=["NaN"]), lambda cost: cost.update(fit_s=[-1.0]),
        lambda cost: cost.update(map_fit_s=["-Infinity"]), lambda cost: cost.update(fit_s=[1.0, 2.0]),
        lambda cost: cost.update(fit_memory=-1), lambda cost: cost.update(mood="good"),
    ],
)  # fmt: skip
def test_a_measurement_with_numbers_that_cannot_be_is_named_and_set_aside(tmp_path, change):
    write_cost(tmp_path, measured(1.0))
    path = write_cost(tmp_path, measured(2.0))
    data = json.loads(path.read_text())
    change(data["methods"][0])
    path.write_text(json.dumps(data))
    shelf = read_costs(tmp_path)
    assert len(shelf.records) == 1 and [finding.path for finding in shelf.findings] == [path]


def test_links_and_newer_schemas_are_set_aside(tmp_path):
    path = write_cost(tmp_path, measured(1.0))
    path.with_name("zero.cost.json").symlink_to("/dev/zero")
    path.with_name("new.cost.json").write_text('{"schema_version": 9}')
    found = {finding.path.name: finding.problem for finding in read_costs(tmp_path).findings}
    assert "has schema 9" in found["new.cost.json"] and "link" in found["zero.cost.json"]


def test_measurements_of_the_first_edition_are_read_and_fit_its_records_only(tmp_path):
    source = next((PUBLISHED / "quick-rules-1" / "mnist5k-lenet5").glob("*.cost.json"))
    (tmp_path / "mnist5k-lenet5").mkdir()
    shutil.copy(source, tmp_path / "mnist5k-lenet5")
    (cost,) = read_costs(tmp_path).records
    assert isinstance(cost, OldCostRecord)
    old = [one for one in load_results(PUBLISHED / "quick-rules-1" / "mnist5k-lenet5" / "map").results]
    assert cost_of([cost], old) is not None
    assert cost_of([cost], results("map", 0.9, task="mnist5k-lenet5")) is None
    assert isinstance(read_costs(ROOT / "old_records").records[0], OldCostRecord)


def test_a_ratio_needs_both_numbers_and_memory_is_that_of_the_peak():
    record = measured(2.0, 4.0)
    (cost,) = record.methods
    assert ratios(cost, cost, "fit") == {0: 2.0, 1: 4.0} and ratios(cost, cost, "memory") == {0: 1.0}
    assert ratios(cost, cost, "energy") == {}
    assert quartiles([1.0, 2.0, 3.0]) == (2.0, 1.5, 2.5) and math.isnan(quartiles([]).median)
