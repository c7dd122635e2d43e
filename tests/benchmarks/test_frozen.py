"""A frozen trunk: what it makes of pictures is computed once, and heads on that are those of the whole network."""

from __future__ import annotations

import copy
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from commands import ivi_apart
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from baselines.heads import find_head
from baselines.likelihood import Categorical
from baselines.map import MAP
from baselines.names import UserError
from baselines.protocol import Problem
from baselines.recipe import Recipe
from baselines.seeds import Seeds
from benchmarks import models
from benchmarks.data.images import Images
from benchmarks.data.sealed import read_fit, read_inputs
from benchmarks.data.spec import read_spec
from benchmarks.data.tensors import TensorSource
from benchmarks.models.frozen import FrozenTrunk
from benchmarks.prepare import prepare
from benchmarks.suite import load_task

SPEC = """
title = "Noise"
licence = "none"
citation = "none"
shape = [3, 64, 64]
num_classes = 2
classes = ["dark", "light"]
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]
evaluation = "all"
splits.all = { examples = 60 }
[[sources]]
kind = "local"
format = "imagefolder"
path = "pictures"
splits = { all = "." }
"""
TASK = """
name = "frozen"
version = 1
description = "-"
[data]
name = "noise.toml"
train = 30
validation = 15
test = 15
stratified = true
[shift]
corruptions = ["fog"]
severities = [3]
[model]
name = "test_resnet"
pretrained = "resnet.safetensors"
frozen = true
[recipe]
epochs = 40
batch_size = 10
lr = 0.05
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A task on 60 pictures with a small ResNet whose weights lie in a file."""
    folder = tmp_path_factory.mktemp("frozen")
    rng = np.random.default_rng(0)
    for row in range(60):
        path = folder / "pictures" / ("dark", "light")[row % 3 == 0] / f"{row:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 200, (64, 64, 3)) + 50 * (row % 3 == 0)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    torch.manual_seed(5)
    stored = {key: value.contiguous() for key, value in timm.create_model("test_resnet").state_dict().items()}
    save_file(stored, folder / "resnet.safetensors")
    (folder / "noise.toml").write_text(SPEC)
    (folder / "task.toml").write_text(TASK)
    return folder


@pytest.fixture(scope="module")
def trunk(folder) -> FrozenTrunk:
    return FrozenTrunk.of(load_task(str(folder / "task.toml")).model, read_spec(folder / "noise.toml"))


def test_features_are_sealed_under_the_names_of_the_pictures(folder, trunk, tmp_path, monkeypatch):
    monkeypatch.setenv("IVI_CACHE", str(tmp_path))
    task = load_task(str(folder / "task.toml"))
    prepared = prepare(task)
    frozen, _, affine = read_fit(prepared.folder)
    moving = task.model.model_copy(update={"frozen": False, "pretrained": None})
    seen = prepare(task.model_copy(update={"model": moving}))
    pictures = read_fit(seen.folder)[0]
    assert prepared.manifest.sets == seen.manifest.sets
    assert torch.allclose(frozen.inputs, trunk(pictures.inputs), atol=1e-5)
    assert torch.allclose(read_inputs(prepared.folder)[0], trunk(read_inputs(seen.folder)[0]), atol=1e-5)
    assert bool((affine.scale == 1).all()) and bool((affine.shift == 0).all())
    assert torch.equal(frozen.labels, pictures.labels) and frozen.labels.bincount().tolist() == [20, 10]


class Whole(nn.Module):
    """Trunk and head in one network, as it would be without features that were computed before."""

    def __init__(self, trunk: FrozenTrunk, head: nn.Module) -> None:
        super().__init__()
        self.trunk, self.head = [trunk], head  # in a list: its parameters are not trained

    def forward(self, x):
        with torch.no_grad():
            features = self.trunk[0].net(x)
        return self.head(features)


def test_a_head_on_features_is_the_head_of_the_whole_network_ten_times_as_fast(trunk):
    rng = np.random.default_rng(1)
    pixels = torch.from_numpy(rng.integers(0, 256, (100, 3, 64, 64), dtype=np.uint8))
    images = Images(pixels, torch.arange(100) % 2, ("a", "b"))

    def problem(source, make_model) -> Problem:
        recipe = Recipe(epochs=60, batch_size=20, lr=0.05)
        parts = {"train": source, "validation": source, "example": next(source.ordered(1))[0]}
        where = {"device": torch.device("cpu"), "seeds": Seeds.of("frozen", 0), "make_model": make_model}
        return Problem(likelihood=Categorical(2), recipe=recipe, **parts, **where)

    start = time.process_time()
    seen = trunk.features(images)
    size = seen.inputs.shape[1]
    plain = replace(trunk.affine, scale=torch.ones(size), shift=torch.zeros(size))
    source = TensorSource(seen.inputs, seen.labels, plain)
    task = models.TaskModel(name="test_resnet", pretrained="hub", frozen=True)
    heads = problem(source, lambda seed: models.create(task, 2, torch.zeros(1, size), seed))
    mine = MAP().fit(heads)
    once = time.process_time() - start

    def whole(seed: int) -> nn.Module:
        return Whole(trunk, models.create(task, 2, torch.zeros(1, size), seed))

    start = time.process_time()
    theirs = MAP().fit(problem(TensorSource(images.inputs, images.labels, trunk.affine), whole))
    again = time.process_time() - start
    x, _ = next(heads.train.ordered(100))
    assert torch.allclose(mine.outputs(x), theirs.model.head(x)[None], atol=1e-5)
    assert not torch.allclose(mine.model.fc.weight, heads.new_model().fc.weight, atol=1e-2)
    assert again > 10 * once, (again, once)


def test_the_trunk_is_as_it_was_and_the_head_is_found(trunk):
    before = copy.deepcopy(trunk.net.state_dict())
    trunk(torch.zeros(3, 3, 64, 64, dtype=torch.uint8))
    assert all(torch.equal(value, before[name]) for name, value in trunk.net.state_dict().items())
    head = models.create(models.TaskModel(name="test_resnet", pretrained="hub", frozen=True), 4, torch.zeros(1, 9), 0)
    assert find_head(head, torch.zeros(1, 9)) is head.get_classifier()


@pytest.mark.slow
def test_a_kept_head_is_shared_without_its_trunk_and_answers_new_pictures(folder, tmp_path, monkeypatch):
    from benchmarks import load_predictor

    suite = 'name = "s"\ndescription = "-"\ntasks = ["task.toml"]\nmethods = ["laplace"]\nseeds = [0]\n'
    (folder / "suite.toml").write_text(suite)
    ivi_apart("run", "suite.toml", "--device", "cpu", "--jobs", 1, "--keep-models", cwd=folder, IVI_CACHE=str(tmp_path))
    (kept,) = folder.rglob("*.model.safetensors")
    assert kept.stat().st_size < 2**20 and str(folder).encode() not in kept.read_bytes()
    alone = tmp_path / kept.name
    alone.write_bytes(kept.read_bytes())
    with pytest.raises(UserError, match="name it with --weights"):
        load_predictor(str(alone))
    (tmp_path / "other.safetensors").write_bytes(b"other")
    with pytest.raises(UserError, match="is not the file of weights"):
        load_predictor(str(alone), weights=tmp_path / "other.safetensors")
    rows = load_predictor(str(alone), weights=folder / "resnet.safetensors").predict(
        [folder / "pictures" / "dark" / "01.png", folder / "pictures" / "light" / "00.png"]
    )
    assert rows["class"].tolist() == ["dark", "light"]
    (record,) = (json.loads(path.read_text()) for path in folder.rglob("0-*.1.json"))
    assert record["identity"]["task"]["model"]["pretrained"].endswith(".safetensors")
    assert str(folder) not in json.dumps(record)
