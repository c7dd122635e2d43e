"""What a run stands on is known by what it holds: whatever is replaced, wherever it lies, the run is another one."""

import os
import shutil

import numpy as np
import pytest
from own_pictures import SPEC, TASK
from PIL import Image

from baselines.names import UserError
from benchmarks.prepare import folder_of
from benchmarks.pretrained import described
from benchmarks.suite import load_task

SAME_TIME = 10**18


def draw(path, seed):
    """Pictures of one size in bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 8), dtype=np.uint8)).save(path, format="BMP")


@pytest.fixture
def task(tmp_path):
    (tmp_path / "data.toml").write_text(SPEC)
    (tmp_path / "near.toml").write_text(SPEC.replace('"pictures"', '"near"'))
    (tmp_path / "mine.toml").write_text(TASK + '\n[ood]\nnear = ["near.toml"]\n')
    for place in ("pictures/train", "pictures/test", "near/test"):
        for kind in ("dark", "light"):
            for i in range(2):
                draw(tmp_path / place / kind / f"{i}.bmp", i)
    return tmp_path


def link(folder, name):
    shutil.move(folder / name, folder / "elsewhere")
    (folder / name).symlink_to(folder / "elsewhere")


def replaced_at_the_same_time(path):
    os.utime(path, ns=(SAME_TIME, SAME_TIME))
    yield
    draw(path, 9)
    os.utime(path, ns=(SAME_TIME, SAME_TIME))


def exchanged(one, other):
    for path in (one, other):
        draw(path, len(path.parent.name))
        os.utime(path, ns=(SAME_TIME, SAME_TIME))
    yield
    held = one.with_name("held")
    one.rename(held)
    other.rename(one)
    held.rename(other)


@pytest.mark.parametrize(
    "linked", ["", "pictures", "pictures/test", "pictures/test/dark", "pictures/test/dark/0.bmp", "near/test"]
)
def test_a_picture_that_is_replaced_is_noticed_whatever_is_a_link(task, linked):
    if linked:
        link(task, linked)
    before = folder_of(load_task(str(task / "mine.toml")))
    assert folder_of(load_task(str(task / "mine.toml"))) == before
    draw(task / ("near/test/dark/0.bmp" if linked.startswith("near") else "pictures/test/dark/0.bmp"), 9)
    assert folder_of(load_task(str(task / "mine.toml"))) != before


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: replaced_at_the_same_time(folder / "pictures/test/dark/0.bmp"),
        lambda folder: replaced_at_the_same_time(folder / "near/test/dark/0.bmp"),
        lambda folder: exchanged(folder / "pictures/test/dark/0.bmp", folder / "pictures/test/light/0.bmp"),
    ],
    ids=["replaced", "replaced among strangers", "exchanged"],
)
def test_neither_an_equal_size_nor_an_equal_time_hides_a_change(task, change):
    steps = change(task)
    next(steps)
    before = folder_of(load_task(str(task / "mine.toml")))
    next(steps, None)
    assert folder_of(load_task(str(task / "mine.toml"))) != before


def network(folder, file):
    (folder / "weighty.toml").write_text(TASK.replace("[model]", f'[model]\npretrained = "{file}"'))
    return described(load_task(str(folder / "weighty.toml")).model)


def test_a_network_is_known_by_what_its_weights_hold_and_not_by_where_they_lie(task, monkeypatch):
    (task / "sub").mkdir()
    for name, content in (("a", b"one"), ("b", b"two"), ("sub/c", b"one")):
        (task / f"{name}.safetensors").write_bytes(content)
    monkeypatch.chdir(task / "sub")  # paths count from the task's file
    first, second, third = (network(task, f"{name}.safetensors") for name in ("a", "b", "sub/c"))
    assert first == third != second and str(task) not in str(first)
    (task / "a.safetensors").write_bytes(b"two")
    assert network(task, "a.safetensors") == second
    with pytest.raises(UserError, match="no such file: .*gone.safetensors"):
        network(task, "gone.safetensors")


@pytest.mark.parametrize("name", ["pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path"])
def test_weights_cannot_come_in_by_an_argument_of_the_network(task, name):
    text = TASK.replace("depth = 1 }", f'depth = 1, {name} = "a.safetensors" }}')
    (task / "weighty.toml").write_text(text)
    with pytest.raises(UserError, match="weights are no argument"):
        load_task(str(task / "weighty.toml"))


def test_a_network_without_files_is_what_its_task_says(task):
    model = load_task(str(task / "mine.toml")).model
    assert described(model) == model.model_dump(mode="json")
