"""Data of one's own: what is in the files decides who a run is, and runs on other data are never mixed with it."""

import json

import numpy as np
import pytest
from commands import is_ranked, ivi, of, records, rows, scores
from own_pictures import SPEC, TASK
from PIL import Image


def draw(folder, split, count, seed):
    """Dark and light pictures, by turns."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        path = folder / "pictures" / split / ("dark", "light")[i % 2] / f"{i:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((rng.integers(0, 150, (8, 8)) + 100 * (i % 2)).astype(np.uint8)).save(path)


SUITE = """
name = "own"
description = "a suite on data of one's own"
tasks = ["mine.toml"]
methods = ["map", "mc_dropout(passes=2)"]
seeds = [0]
"""
NUMBERS = """
name = "numbers"
description = "a suite on a table"
tasks = ["diabetes-mlp"]
methods = ["map", "deep_ensemble(members=2)"]
seeds = [0, 1]
"""


def run(folder):
    return ivi("run", "own.toml", cwd=folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The same command three times: after its test pictures were replaced, and after its spec was edited."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "data.toml").write_text(SPEC)
    (folder / "mine.toml").write_text(TASK)
    (folder / "own.toml").write_text(SUITE)
    draw(folder, "train", 80, 0)
    draw(folder, "test", 40, 1)
    run(folder)
    draw(folder, "test", 40, 2)
    run(folder)
    (folder / "data.toml").write_text(SPEC.replace("std = [0.25]", "std = [0.5]"))
    run(folder)
    return folder


def identities(folder):
    """Those of MAP in the order in which they were made."""
    found = [one for one in records(folder / "results").values() if one["label"] == "map"]
    found.sort(key=lambda record: record["environment"]["started"])
    return [(record["run_id"], record["identity"]["task"]["data"]) for record in found]


def test_replaced_pictures_and_an_edited_spec_are_other_runs(folder):
    (first, old), (second, replaced), (third, edited) = identities(folder)
    assert len({first, second, third}) == 3
    assert old["spec"] == replaced["spec"] != edited["spec"] and old["content"] != replaced["content"]


def test_older_rows_are_shown_in_grey_and_the_newest_is_ranked_alone(folder):
    found = rows("own", cwd=folder)
    assert {name: row["n"] for name, row in found.items()} == dict.fromkeys(found, 1) and len(found) == 6
    assert is_ranked(found["map"]) and is_ranked(found["mc_dropout(passes=2)"])
    for name, row in found.items():
        if name not in ("map", "mc_dropout(passes=2)"):
            assert not row["ranked"] and "other data than the MAP row's" in row["reason"], row


def test_runs_on_other_data_are_never_paired(folder):
    found = rows("own", cwd=folder)
    old = [name for name in found if name.startswith("mc_dropout") and "(other data" in name]
    assert len(old) == 2
    for name in old:
        shown = ivi("compare", found["map"]["method"], found[name]["method"], cwd=folder).stdout
        assert "left out: map: not on the same seeds, or made differently" in shown, shown
        assert (
            "other data than the MAP row's" in shown
        )  # if anything is paired, it is runs of one and the same old data


def test_a_run_on_the_pictures_of_before_is_the_run_of_before(folder):
    """What was seen comes back: no older row is lost, and its numbers are not made again."""
    before = len(records(folder / "results"))
    draw(folder, "test", 40, 1)
    (folder / "data.toml").write_text(SPEC)
    assert "runs to make" not in run(folder).stdout
    assert len(records(folder / "results")) == before


def test_the_labels_and_inputs_of_all_sets_are_hashed_in_the_record(folder):
    record = next(iter(records(folder / "results").values()))
    assert {name: one["n"] for name, one in record["sets"].items()} == {"train": 60, "validation": 20, "test": 40}
    assert len({one[key] for one in record["sets"].values() for key in ("inputs", "labels")}) == 6


@pytest.mark.slow
def test_a_task_with_a_real_number_goes_the_whole_way(tmp_path):
    (tmp_path / "numbers.toml").write_text(NUMBERS)
    ivi("run", "numbers.toml", cwd=tmp_path)
    record = of(tmp_path / "results", "map")
    task = record["identity"]["task"]
    assert (task["likelihood"], task["outputs"]) == ("gaussian", 2) and record["sets"]["test"]["n"] == 82
    test = scores(tmp_path / "results", "map")["test"]
    assert 40 < test["rmse"] < 75 and 0.7 < test["coverage_95"] <= 1 and 5 < test["nll"] < 7, "units are the target's"
    found = json.loads(ivi("table", "numbers", "-f", "json", cwd=tmp_path).stdout)
    shown = [column["key"] for column in found["columns"]]
    assert {"nll", "rmse", "crps"} <= set(shown) and not {"accuracy", "ece"} & set(shown)
    row = next(row for row in found["rows"] if row["method"] == "map")
    assert row["n"] == 2 and is_ranked(row) and isinstance(row["metrics"]["rmse"]["mean"], float)
    assert "4 records, 4 recomputed from their predictions" in ivi("verify", cwd=tmp_path).stdout

    ivi("cost", "diabetes-mlp", "-m", "deep_ensemble(members=2)", "--rounds", 2, "--steps", 30, cwd=tmp_path)
    found = rows("numbers", "-c", "fit,memory", cwd=tmp_path)
    assert {row["cost_rounds"] for row in found.values()} == {2}
    assert 1.2 < found["deep_ensemble(members=2)"]["metrics"]["fit"]["mean"], "two fits are not for the price of one"
