"""What a variational network costs beside a plain one: ratios of medians, timed alternately in one process.

Run with ``pytest benchmarks/speed -s``. Ratios are printed beside their targets, never asserted: a busy machine is no
fault of the code.
"""

import copy
import statistics
import time
import weakref

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import ivi

timm = pytest.importorskip("timm")
ROWS = []


@pytest.fixture(scope="module", autouse=True)
def table():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    width = max(len(row[0]) for row in ROWS)
    print(f"\n\n{'what':<{width}}   ratio   target   ms (ours)   ms (base)")
    for name, ratio, target, ours, base in ROWS:
        print(f"{name:<{width}}  {ratio:6.3f}  {'<= ' + str(target) if target else '':>7}  {ours:10.2f}  {base:10.2f}")


def compare(benchmark, name, target, ours, base, rounds):
    """Time both in turn, order swapped every round, in CPU time of one thread; the median of the rounds' ratios."""
    times = {ours: [], base: []}
    for index in range(rounds + 1):
        for function in (ours, base) if index % 2 else (base, ours):
            start = time.process_time()
            function()
            times[function].append(time.process_time() - start)
    ratio = statistics.median(a / b for a, b in zip(times[ours][1:], times[base][1:], strict=True))
    medians = [1e3 * statistics.median(times[function][1:]) for function in (ours, base)]
    ROWS.append((name, ratio, target, *medians))
    benchmark.extra_info.update(ratio=ratio, target=target)
    benchmark.pedantic(ours, rounds=1)


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def resnet18(norm=nn.BatchNorm2d):
    """ResNet-18 as used on 32 x 32 images: a 3 x 3 stem without pooling."""
    net = timm.create_model("resnet18", num_classes=10, norm_layer=norm)
    net.conv1, net.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    return net


NETS = {"LeNet-5, batch 128": (lenet, (128, 1, 28, 28)), "ResNet-18, batch 32": (resnet18, (32, 3, 32, 32))}


def make_step(net, x):
    y = torch.arange(len(x)) % 10
    optimizer = torch.optim.SGD(ivi.param_groups(net, 1e-4), lr=1e-4, momentum=0.9)
    net.train()

    def step():
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()

    return step


@pytest.mark.parametrize("noise", ["shared", "antithetic", "per_example"])
@pytest.mark.parametrize("name", NETS)
def test_training_step(benchmark, name, noise):
    make, shape = NETS[name]
    net, x = make(), torch.randn(shape)
    plain = make_step(copy.deepcopy(net), x)
    ours = make_step(ivi.variationalize(net, example=x[:1], noise=noise), x)
    target = {"LeNet-5, batch 128": 1.05, "ResNet-18, batch 32": 1.03}[name] if noise == "shared" else None
    compare(benchmark, f"training step, {name}, {noise} : MAP", target, ours, plain, 150 if "LeNet" in name else 8)


@pytest.mark.parametrize("name", NETS)
def test_joint_draws(benchmark, name):
    make, shape = NETS[name]
    net, x = make(), torch.randn(shape)
    plain = copy.deepcopy(net).eval()
    ivi.variationalize(net, example=x[:1])
    num = 32 if "LeNet" in name else 8
    draws = ivi.sample_draws(net, num)
    ours = torch.inference_mode()(lambda: ivi.predict(net, x, draws))
    base = torch.inference_mode()(lambda: [plain(x) for _ in range(num)])
    compare(benchmark, f"{num} joint draws, {name} : {num} passes", 1.02, ours, base, 30 if num == 32 else 5)


def test_head_draws(benchmark):
    net, x = lenet(), torch.randn(128, 1, 28, 28)
    plain = copy.deepcopy(net).eval()
    ivi.variationalize(net, example=x[:1])
    draws = ivi.sample_draws(net, 8, head_draws=4)
    ours = torch.inference_mode()(lambda: ivi.predict(net, x, draws))
    base = torch.inference_mode()(lambda: [plain(x) for _ in range(32)])
    compare(benchmark, "8 trunk x 4 head draws, LeNet-5 : 32 passes", 0.35, ours, base, 20)


@pytest.mark.parametrize("name", NETS)
def test_last_layer_draws(benchmark, name):
    make, shape = NETS[name]
    net, x = make(), torch.randn(shape)
    plain = copy.deepcopy(net).eval()
    ivi.variationalize(net, layers="last", example=x[:1])
    draws = ivi.sample_draws(net, 256)
    ours = torch.inference_mode()(lambda: ivi.predict(net, x, draws))
    base = torch.inference_mode()(lambda: plain(x))
    compare(benchmark, f"256 last-layer draws, {name} : 1 pass", 1.25, ours, base, 60 if "LeNet" in name else 5)


def test_training_step_beside_inferno(benchmark):
    pytest.importorskip("inferno")
    from inferno.bnn.params import LowRankCovariance
    from inferno.models import ResNet18

    x, y = torch.randn(32, 3, 32, 32), torch.arange(32) % 10
    theirs = ResNet18(out_size=10, architecture="cifar", cov=LowRankCovariance(10)).train()
    optimizer = torch.optim.SGD(theirs.parameters(), lr=1e-4, momentum=0.9)

    def their_step():
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(theirs(x, sample_shape=torch.Size([])), y).backward()
        optimizer.step()

    net = ivi.variationalize(resnet18(norm=lambda channels, **_: nn.GroupNorm(32, channels)), example=x[:1])
    compare(benchmark, "training step, GroupNorm ResNet-18 : inferno", 1.0, make_step(net, x), their_step, 8)


class PeakMemory(TorchDispatchMode):
    """Bytes of all tensors alive at once that were made inside the block."""

    def __init__(self):
        super().__init__()
        self.alive, self.peak, self.seen = 0, 0, set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in torch.utils._pytree.tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self.track(tensor.untyped_storage())
        return out

    def track(self, storage):
        key = storage._cdata
        if key not in self.seen:
            self.seen.add(key)
            self.alive += storage.nbytes()
            self.peak = max(self.peak, self.alive)
            weakref.finalize(storage, self.forget, key, storage.nbytes())

    def forget(self, key, size):
        self.seen.discard(key)
        self.alive -= size


@pytest.mark.parametrize("name", NETS)
def test_peak_memory_of_a_step(benchmark, name):
    make, shape = NETS[name]
    net, x = make(), torch.randn(shape)
    peaks = []
    for model in (ivi.variationalize(copy.deepcopy(net), example=x[:1]), net):
        step = make_step(model, x)
        step()
        with PeakMemory() as memory:
            step()
        held = sum(p.nbytes * 2 for p in model.parameters())  # weights and momentum
        peaks.append((memory.peak + held) / 1e6)
    ROWS.append((f"peak memory of a step (MB), {name} : MAP", peaks[0] / peaks[1], 1.1, *peaks))
    benchmark.extra_info.update(ratio=peaks[0] / peaks[1], target=1.1)
    benchmark.pedantic(lambda: None, rounds=1)
