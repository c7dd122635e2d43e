"""Networks of our own, as timm makes them."""

import pytest
import timm
import torch

from baselines.likelihood import Gaussian
from benchmarks import models
from benchmarks.data.spec import read_spec
from benchmarks.suite import TaskModel, load_task, names


def test_lenet5_has_the_parameters_that_one_counts_by_hand():
    by_hand = (25 + 1) * 6 + (6 * 25 + 1) * 16 + (400 + 1) * 120 + (120 + 1) * 84 + (84 + 1) * 10
    assert sum(p.numel() for p in timm.create_model("lenet5", in_chans=1, num_classes=10).parameters()) == by_hand


@pytest.mark.parametrize("name", ["lenet5", "mlp", "resnet_small", "mlp_table"])
def test_the_seed_alone_decides_the_initial_weights(name):
    example = {"mlp": torch.zeros(1, 1, 8, 8), "mlp_table": torch.zeros(1, 9)}.get(name, torch.zeros(1, 1, 28, 28))
    a = models.create(TaskModel(name=name), 7, example, seed=3)
    torch.rand(5)
    b, other = (models.create(TaskModel(name=name), 7, example, seed) for seed in (3, 4))
    assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))
    assert any(not torch.equal(x, y) for x, y in zip(a.state_dict().values(), other.state_dict().values(), strict=True))
    assert a(torch.cat([example, example])).shape == (2, 7) and not a.training


def test_making_a_network_leaves_the_global_random_numbers_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    models.create(TaskModel(name="lenet5"), 10, torch.zeros(1, 1, 28, 28), seed=99)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("norm", ["group", "batch"])
def test_a_resnet_for_small_images_keeps_their_resolution_in_its_stem(norm):
    net = timm.create_model("resnet_small", in_chans=1, num_classes=10, norm=norm).eval()
    assert net.maxpool(net.act1(net.bn1(net.conv1(torch.zeros(1, 1, 28, 28))))).shape[-1] == 28
    kinds = {type(m).__name__ for m in net.modules() if "Norm" in type(m).__name__}
    assert kinds == ({"GroupNorm"} if norm == "group" else {"BatchNorm2d"})


def test_a_stem_of_stride_2_halves_the_resolution_of_every_block_and_keeps_the_parameters():
    nets = [
        timm.create_model("resnet_small", in_chans=1, num_classes=10, **k) for k in ({}, {"stride": 1}, {"stride": 2})
    ]
    x = torch.zeros(1, 1, 28, 28)
    assert [net.conv1(x).shape[-1] for net in nets] == [28, 28, 14]
    assert [net.forward_features(x).shape[-1] for net in nets] == [4, 4, 2]
    shapes = [[tuple(p.shape) for p in net.parameters()] for net in nets]
    assert shapes[0] == shapes[1] == shapes[2] and sum(p.numel() for p in nets[2].parameters()) == 164_458


@pytest.mark.parametrize("name", names("task"))
def test_the_network_of_every_task_can_be_made(name):
    task = load_task(name)
    spec = read_spec(task.data.name)
    if task.model.frozen:
        pytest.skip("its head is made for features, which pictures are not")
    example, outputs = torch.zeros(1, *spec.shape), spec.num_classes or Gaussian().outputs
    net = models.create(task.model.model_copy(update={"pretrained": None}), outputs, example, seed=0)
    assert net(example).shape == (1, outputs) and net.get_classifier() is not None


def test_pretrained_weights_that_do_not_exist_are_refused():
    for name in ("lenet5", "mlp", "resnet_small", "resnet34_small_images", "mlp_table"):
        with pytest.raises(ValueError, match="no pretrained weights"):
            timm.create_model(name, pretrained=True)


def test_a_table_network_has_the_parameters_that_one_counts_by_hand():
    net = timm.create_model("mlp_table", in_chans=10, num_classes=2, width=32, depth=2)
    assert sum(p.numel() for p in net.parameters()) == (10 + 1) * 32 + (32 + 1) * 32 + (32 + 1) * 2
