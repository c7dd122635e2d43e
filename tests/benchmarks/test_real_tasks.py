"""Tasks that need a hub or a GPU, made whole from local files: their own TOML with a smaller network, fewer images and
steps."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from commands import ivi_apart, records, scores
from PIL import Image
from safetensors.torch import load_file, save_file

from benchmarks import models
from benchmarks.data import StreamSource
from benchmarks.data import spec as specs
from benchmarks.data.stream import preprocessing_of
from benchmarks.suite import HERE, load_task

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def run_suite(folder: Path, methods: list[str], out: str = "results", **environment: str) -> dict[str, dict]:
    """Make the runs of ``task.toml`` in ``folder``; method -> record, with its scores under ``scores``."""
    lists = f"tasks = ['task.toml']\nmethods = {json.dumps(methods)}\nseeds = [0]\n"
    (folder / "suite.toml").write_text(f'name = "s"\ndescription = "-"\n{lists}')
    surroundings = {"IVI_CACHE": str(folder / f"cache-{out}"), "HF_HUB_OFFLINE": "1"} | environment
    ivi_apart("run", "suite.toml", "--device", "cpu", "--jobs", 1, "--out", out, cwd=folder, **surroundings)
    return {
        record["identity"]["method"]["name"]: record | {"scores": scores(folder / out, record["label"])}
        for record in records(folder / out).values()
    }


def changed(text: str, **lines: str) -> str:
    """TOML with other values for some keys, each of which it has once."""
    for key, value in lines.items():
        text, count = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
        assert count == 1, key
    return text


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def weights(path: Path, name: str, **arguments: object) -> dict[str, torch.Tensor]:
    """Random weights of a timm model in a file, as if they had been downloaded."""
    torch.manual_seed(5)
    state = {key: value.contiguous() for key, value in timm.create_model(name, **arguments).state_dict().items()}
    save_file(state, path)
    return state


@pytest.mark.slow
@pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs apt-get install dataset-fashion-mnist")
def test_fashion_mnist_from_debian_and_from_a_parquet_copy_give_the_same_records(tmp_path):
    import datasets

    from benchmarks.data import load

    place = tmp_path / "own" / "fashion_mnist"
    place.mkdir(parents=True)
    for split in ("train", "test"):
        images = load("fashion_mnist", split)
        kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(images.classes))}
        cells = [{"bytes": png(pixels[0].numpy()), "path": None} for pixels in images.inputs]
        table = {"image": cells, "label": images.labels.tolist()}
        datasets.Dataset.from_dict(table, features=datasets.Features(kinds)).to_parquet(place / f"{split}.parquet")
    task = (HERE / "tasks" / "fashion-lenet5.toml").read_text().replace("epochs = 20", "max_steps = 30")
    shift = 'corruptions = ["fog"]\nseverities = [3]\nexamples = 100'
    (tmp_path / "task.toml").write_text(task.replace("examples = 400", shift))

    methods = ["map", "implicit_vi(draws=2)"]
    debian = run_suite(tmp_path, methods, "debian")
    copy = run_suite(tmp_path, methods, "copy", IVI_DATA=str(tmp_path / "own"))
    assert set(debian) == set(copy) == {"map", "implicit_vi"}
    for method, record in debian.items():
        for part in ("run_id", "identity", "scores", "sets", "predictions"):
            assert record[part] == copy[method][part]
    decoded = [
        path.name.partition("-")[0] for path in (tmp_path / "cache-copy" / "fashion_mnist").glob("*.safetensors")
    ]
    assert sorted(decoded) == ["test", "train"]


def cifar100_like(count: int, seed: int, corrupted: bool = False):
    """A table with the schema of CIFAR-100 on the hub, or of its corrupted test images: fog, severity 3."""
    import datasets

    names = datasets.ClassLabel(names=[f"class {i}" for i in range(100)])
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    cells = [{"bytes": png(image), "path": None} for image in pixels]
    labels = [i % 100 for i in range(count)]
    if corrupted:
        kinds = {"image": datasets.Image(), "label": names}
        kinds |= {"corruption_name": datasets.Value("string"), "corruption_level": datasets.Value("int64")}
        marks = {"corruption_name": ["fog"] * count, "corruption_level": [3] * count}
        table = {"image": cells, "label": labels} | marks
    else:
        kinds = {"img": datasets.Image(), "fine_label": names}
        kinds["coarse_label"] = datasets.ClassLabel(names=[f"group {i}" for i in range(20)])
        table = {"img": cells, "fine_label": labels, "coarse_label": [i % 20 for i in range(count)]}
    return datasets.Dataset.from_dict(table, features=datasets.Features(kinds))


@pytest.fixture
def fine_tuning(tmp_path: Path) -> Path:
    """`cifar100-vit` on 140 images of noise and a ViT of 310,000 parameters, its weights in a file."""
    for name, split, table in (
        ("small100", "train", cifar100_like(140, 0)),
        ("small100", "test", cifar100_like(20, 1)),
        ("small100c", "all", cifar100_like(10, 2, corrupted=True)),
    ):
        (tmp_path / "own" / name).mkdir(parents=True, exist_ok=True)
        table.to_parquet(tmp_path / "own" / name / f"{split}.parquet")
    spec = (specs.SPECS / "cifar100.toml").read_text()
    corruptions, splits = f'"{tmp_path}/small100c.toml"', {"train": "{ examples = 140 }", "test": "{ examples = 20 }"}
    spec = changed(spec, near="[]", far='["faces"]', published_corruptions=corruptions)
    (tmp_path / "small100.toml").write_text(changed(spec, **{f"splits.{key}": value for key, value in splits.items()}))
    published = (specs.SPECS / "cifar100c.toml").read_text().replace("10000", "10")
    (tmp_path / "small100c.toml").write_text(published)

    weights(tmp_path / "vit.safetensors", "test_vit")
    task = (HERE / "tasks" / "cifar100-vit.toml").read_text().replace("vit_small_patch16_224.augreg_in21k", "test_vit")
    task = task.replace('name = "cifar100"', f'name = "{tmp_path}/small100.toml"')
    task = task.replace("[shift]", '[shift]\ncorruptions = ["fog"]\nseverities = [3]')
    task = changed(task, pretrained='"vit.safetensors"')
    sizes = {"train": "120", "validation": "20", "image_size": "160", "batch_size": "30", "epochs": "1"}
    (tmp_path / "task.toml").write_text(changed(task, **sizes))
    return tmp_path


@pytest.mark.slow
def test_a_pretrained_transformer_is_fine_tuned_from_a_file_to_a_record(fine_tuning):
    made = run_suite(fine_tuning, ["map", "implicit_vi(draws=2)", "laplace"], IVI_DATA=str(fine_tuning / "own"))
    assert {name: record["status"] for name, record in made.items()} == dict.fromkeys(made, "ok")
    assert set(made) == {"map", "implicit_vi", "laplace"}
    sets = {"validation", "test", "ood_far/faces", "shift/fog/3"}
    assert made["map"]["cost"]["steps"] == made["implicit_vi"]["cost"]["steps"] == 4
    for record in made.values():
        assert record["audit"]["not_updated"] == []
        assert set(record["sets"]) == sets | {"train"}
        assert np.isfinite(record["scores"]["test"]["nll"])


def test_pretrained_weights_come_from_the_file_and_the_head_from_the_seed(fine_tuning):
    task = load_task(str(fine_tuning / "task.toml"))
    (fine_tuning / "vit.safetensors").unlink()
    stored = weights(fine_tuning / "vit.safetensors", "test_vit")
    nets = [models.create(task.model, 100, torch.zeros(1, 3, 32, 32), seed).state_dict() for seed in (0, 1)]
    names = {name for name in stored if not name.startswith("head.")}
    assert all(torch.equal(net[f"net.{name}"], stored[name]) for net in nets for name in names)
    assert nets[0]["net.head.weight"].shape == (100, 64)
    assert {name for name in nets[0] if not torch.equal(nets[0][name], nets[1][name])} <= {"net.head.weight"}


@pytest.fixture
def untouched(tmp_path: Path) -> Path:
    """`imagenet-resnet50` on 60 images in folders of 10 classes and a small ResNet, its weights in a file."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 40), ("test", 20)):
        for row in range(count):
            folder = tmp_path / "own" / "small1k" / split / f"n{row % 10:08}"
            folder.mkdir(parents=True, exist_ok=True)
            coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
            coarse.resize((160, 120)).save(folder / f"{row:03}.jpg")
    spec = (specs.SPECS / "imagenet.toml").read_text().replace("1281167", "40").replace("50000", "20")
    (tmp_path / "small1k.toml").write_text(changed(spec, num_classes="10", far='["faces"]', shape="[3, 64, 64]"))
    weights(tmp_path / "resnet.safetensors", "test_resnet", num_classes=10)
    task = (HERE / "tasks" / "imagenet-resnet50.toml").read_text().replace("resnet50.a1_in1k", "test_resnet")
    task = task.replace('name = "imagenet"', f'name = "{tmp_path}/small1k.toml"')
    sizes = {"train": "30", "validation": "10", "batch_size": "16"}
    (tmp_path / "task.toml").write_text(changed(task, pretrained='"resnet.safetensors"', **sizes))
    return tmp_path


@pytest.mark.slow
def test_published_weights_on_a_streamed_set_are_judged_as_they_are(untouched, monkeypatch):
    made = run_suite(untouched, ["map", "laplace"], IVI_DATA=str(untouched / "own"))
    assert {name: record["status"] for name, record in made.items()} == {"map": "ok", "laplace": "ok"}
    assert made["map"]["cost"]["steps"] == 0
    assert set(made["map"]["sets"]) == {"train", "validation", "test", "ood_far/faces"}

    monkeypatch.setenv("IVI_DATA", str(untouched / "own"))
    task, stored = load_task(str(untouched / "task.toml")), load_file(untouched / "resnet.safetensors")
    net = models.create(task.model, 10, torch.zeros(1, 3, 64, 64), seed=0)
    assert all(torch.equal(tensor, stored[name]) for name, tensor in net.state_dict().items())
    how = preprocessing_of(task.model.name)  # as the weights were published: their own crop, interpolation, mean, std
    x, y = next(iter(StreamSource(task.data.name, "test", preprocessing=how).ordered(20)))
    with torch.inference_mode():
        loss = torch.nn.functional.cross_entropy(net(x), y)
    assert made["map"]["scores"]["test"]["nll"] == pytest.approx(float(loss), abs=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("field", ["train", "validation"])
def test_a_streamed_set_that_is_too_small_for_the_task_is_one_line(untouched, field):
    text = changed((untouched / "task.toml").read_text(), **{field: "41"})
    (untouched / "task.toml").write_text(text)
    assert "from 40 examples" in refused(untouched)


def refused(folder: Path) -> str:
    """The one line that `ivi run` says of ``task.toml``."""
    lists = "tasks = ['task.toml']\nmethods = ['map']\nseeds = [0]\n"
    (folder / "suite.toml").write_text(f'name = "s"\ndescription = "-"\n{lists}')
    places = {"IVI_DATA": str(folder / "own")} if (folder / "own").exists() else {}
    done = ivi_apart("run", "suite.toml", "--device", "cpu", cwd=folder, code=2, **places)
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr
