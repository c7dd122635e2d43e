"""Tasks and their data: what a run evaluates on, and that the source of the same bytes does not matter."""

import io
import os
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import ivi, ivi_apart, of, shas
from PIL import Image

from baselines.spec import parse
from benchmarks import data
from benchmarks.data.sealed import read_fit, read_inputs
from benchmarks.data.truth import read_truth
from benchmarks.measure.environment import Stack
from benchmarks.nodes import setting_of
from benchmarks.prepare import prepare
from benchmarks.problem import make_problem
from benchmarks.runs import Run, task_identity
from benchmarks.sealing import open_fitting
from benchmarks.suite import HERE, Task, TaskShift, load_task

TASK = HERE / "tasks" / "digits-mlp.toml"


@pytest.fixture(scope="module")
def shifted():
    """The digits with fog, and their sealed data."""
    task = load_task("digits-mlp")
    task = task.model_copy(update={"shift": TaskShift(corruptions=("fog",), severities=(1, 5), examples=20)})
    return task, prepare(task)


def test_a_task_takes_its_ood_groups_from_its_data_set_and_they_are_part_of_its_identity(shifted):
    task, sealed = shifted
    assert task.ood is not None and task.ood.near and task.ood.far
    groups = {f"ood_{group}/{name}" for group in ("near", "far") for name in getattr(task.ood, group)}
    assert groups == {name for name in sealed.evaluation if name.startswith("ood")}
    assert task_identity(task, sealed).evaluation["ood"] == task.ood.model_dump(mode="json")


def test_shifted_sets_are_the_first_test_images_with_their_labels(shifted):
    task, sealed = shifted
    assert {name for name in sealed.evaluation if name.startswith("shift")} == {"shift/fog/1", "shift/fog/5"}
    truth, (inputs, _) = read_truth(sealed.folder), read_inputs(sealed.folder)
    (test_places, test_labels), (places, labels) = truth["test"], truth["shift/fog/5"]
    assert len(places) == 20 and labels.tolist() == test_labels[:20].tolist()
    sizes = {"train": 1000, "validation": 297, "test": 500}
    test = data.split(data.load("digits"), 0, sizes)["test"].take(torch.arange(20))
    assert torch.equal(inputs[test_places[:20]], test.inputs)
    assert torch.equal(inputs[places], data.load_corrupted(test, "fog", 5).inputs)
    assert not torch.equal(inputs[places], test.inputs)


def test_training_validation_and_test_images_are_those_of_the_data_set_each_once(shifted):
    _, sealed = shifted
    train, validation, _ = read_fit(sealed.folder)
    inputs, truth = read_inputs(sealed.folder)[0], read_truth(sealed.folder)
    test = inputs[truth["test"][0]]
    parts = [train.inputs, validation.inputs, test]
    assert [len(part) for part in parts] == [1000, 297, 500]
    whole = sorted(image.tobytes() for image in data.load("digits").inputs.numpy())
    assert sorted(image.tobytes() for part in parts for image in part.numpy()) == whole
    assert torch.equal(inputs[truth["validation"][0]], validation.inputs)


@pytest.mark.slow
def test_the_same_images_from_another_source_give_the_same_runs(made, tiny, tmp_path):
    """A data set as built in, and as a parquet copy that a user has put on disk."""
    import datasets
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images * 255 / 16).round().astype(np.uint8)
    cells = [{"bytes": _png(image), "path": None} for image in images]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(num_classes=10)})
    (tmp_path / "digits").mkdir()
    table = datasets.Dataset.from_dict({"image": cells, "label": digits.target.tolist()}, features=features)
    table.to_parquet(tmp_path / "digits" / "all.parquet")
    places = {"IVI_CACHE": str(tmp_path / "cache"), "IVI_DATA": str(tmp_path)}
    ivi_apart("run", tiny, "-m", "map", "-s", 1, cwd=tmp_path, **places)
    ours, built_in = shas(tmp_path / "results"), shas(made / "results")
    assert len(ours) == 1 and ours.items() <= built_in.items()
    assert of(tmp_path / "results", "map")["sets"] == of(made / "results", "map")["sets"]


def _png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


SUITE = 'name = "s"\ndescription = ""\ntasks = ["task.toml"]\nmethods = ["map"]\nseeds = [0]\n'


@pytest.mark.parametrize("foreign", [False, True], ids=["the task's own", "an OOD set"])
def test_a_data_set_that_is_not_here_is_said_in_one_line_before_any_run(tmp_path, foreign):
    task = TASK.read_text()
    task = task + '[ood]\nnear = ["mine.toml"]\n' if foreign else task.replace('name = "digits"', 'name = "mine.toml"')
    (tmp_path / "task.toml").write_text(task)
    spec = (Path(data.__file__).parent / "digits.toml").read_text()
    source = '[[sources]]\nkind = "local"\nformat = "parquet"\npath = "nowhere"\nsplits.all = "all.parquet"\n'
    (tmp_path / "mine.toml").write_text(spec[: spec.index("[[sources]]")] + source)
    (tmp_path / "suite.toml").write_text(SUITE)
    done = ivi("run", "suite.toml", cwd=tmp_path, code=2)
    assert done.stderr.count("\n") == 1 and "nowhere is not there" in done.stderr
    assert not list(tmp_path.rglob("*.json")) and "runs to make" not in done.stdout


def test_a_set_that_is_too_small_for_the_task_is_one_line(tmp_path):
    (tmp_path / "task.toml").write_text(TASK.read_text().replace("train = 1000", "train = 1400"))
    (tmp_path / "suite.toml").write_text(SUITE)
    done = ivi("run", "suite.toml", cwd=tmp_path, code=2)
    assert "cannot cut train 1,400 + validation 297 + test 500 from 1,797" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(Path("/usr/share/datasets/fashion-mnist").exists(), reason="Fashion-MNIST is installed here")
def test_without_fashion_mnist_one_line_says_what_to_install(tmp_path):
    places = {"IVI_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = ivi_apart("run", "fashion", "--methods", "map", "--seeds", "1", cwd=tmp_path, code=2, **places)
    assert done.stderr.count("\n") == 1 and "apt-get install dataset-fashion-mnist" in done.stderr


def test_sealed_data_that_were_changed_are_not_predicted(tmp_path, made, tiny):
    places = {"IVI_CACHE": str(tmp_path / "cache")}
    arguments = ("run", tiny, "-m", "map", "-s", 1)
    sealed = prepare(load_task("digits-mlp")).folder
    copy = tmp_path / "cache" / "tasks" / sealed.name
    copy.mkdir(parents=True)
    for path in sealed.iterdir():
        content = bytearray(path.read_bytes())
        if path.name == "inputs.safetensors":
            content[-1] ^= 1
        (copy / path.name).write_bytes(content)
    done = ivi_apart(*arguments, cwd=tmp_path, code=1, **places)
    assert "its content is not what was written" in done.stdout
    assert of(tmp_path / "results", "map")["status"] == "failed" and os.path.exists(copy)


def test_a_task_under_maximal_update_draws_every_layer_anew_and_the_same_for_every_method():
    plain, drawn = (network_of(recipe) for recipe in ("standard", "maximal_update"))
    layers = [one for one in drawn().modules() if isinstance(one, torch.nn.Linear)]
    stds = [layer.weight.std().item() * layer.weight.shape[1] ** 0.5 for layer in layers]
    assert stds[:-1] == pytest.approx([1.0] * (len(layers) - 1), rel=0.15)
    assert stds[-1] == pytest.approx(layers[-1].weight.shape[1] ** -0.5, rel=0.15)
    same, other = drawn().state_dict(), plain().state_dict()
    assert all(torch.equal(one, same[name]) for name, one in drawn().state_dict().items())
    assert not any(torch.equal(layer.weight, one) for layer in layers for one in other.values())
    assert not torch.equal(next(drawn().parameters()), next(drawn(1).parameters()))


def network_of(parametrization):
    """(member) -> the untrained network of the digits' task."""
    task = load_task("digits-mlp")
    task = task.model_copy(update={"recipe": task.recipe.changed({"parametrization": parametrization})})
    setting = setting_of(Run(task, prepare(task), parse("map"), 0), Stack.now(), 1)
    given = make_problem(setting, open_fitting(setting, torch.device("cpu"), task.recipe))
    return lambda member=0: given.member(member).new_model()


def test_pretrained_weights_and_maximal_update_exclude_each_other():
    text = (HERE / "tasks" / "digits-mlp.toml").read_text()
    given = tomllib.loads(text)
    given["model"]["pretrained"], given["recipe"]["parametrization"] = "hub", "maximal_update"
    with pytest.raises(ValueError, match="draws every weight anew"):
        Task.model_validate(given)
