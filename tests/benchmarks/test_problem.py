"""Tasks and their data: what a run evaluates on, and that the source of the same bytes does not matter."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import data
from benchmarks.problem import load_task_data
from benchmarks.suite import TaskShift, load_task

IVI = Path(sys.executable).with_name("ivi")
TASK = Path(load_task.__code__.co_filename).parent / "tasks" / "digits-mlp.toml"


def test_a_task_takes_its_ood_groups_from_its_data_set_and_they_are_part_of_its_identity():
    task = load_task("digits-mlp")
    assert task.ood is not None and task.ood.near and task.ood.far
    assert "ood" in task.model_dump()


def test_shifted_sets_are_the_first_test_images_with_their_labels():
    task = load_task("digits-mlp").model_copy(
        update={"shift": TaskShift(corruptions=("fog",), severities=(1, 5), examples=20)}
    )
    data = load_task_data(task)
    test, fog = data.evaluation["test"](), data.evaluation["shift/fog/5"]()
    assert len(fog) == 20 and fog.labels.tolist() == test.labels[:20].tolist()
    assert not np.array_equal(fog.pixels, test.pixels[:20])
    assert {name for name in data.evaluation if name.startswith("shift")} == {"shift/fog/1", "shift/fog/5"}


def test_training_validation_and_test_images_are_disjoint_and_cover_the_sizes():
    data = load_task_data(load_task("digits-mlp"))
    parts = [*data.fitting.values(), data.evaluation["test"]()]
    assert [len(part) for part in parts] == [1000, 297, 500]


@pytest.mark.parametrize(("field", "value", "near"), [("corruptions", ("fogg",), "fog"), ("severities", (6,), "")])
def test_a_misspelt_corruption_is_named(field, value, near):
    with pytest.raises(ValueError, match=f"unknown .*{near}"):
        TaskShift(**{field: value})


def test_the_same_images_from_another_source_give_the_same_records(tmp_path):
    """A data set as built in, and as a parquet copy that a user has put on disk."""
    import datasets
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images * 255 / 16).round().astype(np.uint8)
    table = {"image": list(images), "label": digits.target.tolist()}
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(num_classes=10)})
    (tmp_path / "digits").mkdir()
    datasets.Dataset.from_dict(table, features=features).to_parquet(tmp_path / "digits" / "all.parquet")

    found = {}
    for name, extra in (("built in", {}), ("copy", {"IVI_DATA": str(tmp_path)})):
        environment = os.environ | extra | {"IVI_CACHE": str(tmp_path / f"cache {name}")}
        out = tmp_path / name
        command = [IVI, "run", "smoke", "--methods", "map", "--seeds", "1", "--out", out]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        (path,) = out.rglob("*.json")
        record = json.loads(path.read_text())
        found[name] = record["run_id"], record["task"], record["metrics"], record["predictions"]["sha256"]
    assert found["built in"] == found["copy"]


def test_a_data_set_that_is_not_here_is_said_in_one_line_before_any_run(tmp_path):
    task = TASK.read_text().replace('name = "digits"', f'name = "{tmp_path}/mine.toml"')
    (tmp_path / "task.toml").write_text(task)
    spec = (Path(data.__file__).parent / "digits.toml").read_text()
    start = spec.index("[[sources]]")
    (tmp_path / "mine.toml").write_text(
        spec[:start] + '[[sources]]\nkind = "local"\nformat = "parquet"\npath = "nowhere"\nsplits.all = "all.parquet"\n'
    )
    suite = 'name = "s"\ndescription = ""\ntasks = ["task.toml"]\nmethods = ["map"]\nseeds = [0]\n'
    (tmp_path / "suite.toml").write_text(suite)
    done = subprocess.run([IVI, "run", "suite.toml"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "nowhere is not there" in done.stderr and not list(tmp_path.rglob("*.json"))


@pytest.mark.skipif(Path("/usr/share/datasets/fashion-mnist").exists(), reason="Fashion-MNIST is installed here")
def test_without_fashion_mnist_one_line_says_what_to_install(tmp_path):
    done = subprocess.run(
        [IVI, "run", "fashion", "--methods", "map", "--seeds", "1"],
        cwd=tmp_path,
        env=os.environ | {"IVI_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "apt-get install dataset-fashion-mnist" in done.stderr
