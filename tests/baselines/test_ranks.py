"""A network that several processes train is the one that one process trains with whole batches, or it is refused."""

import json
import multiprocessing
import re
from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch
from problems import CPU, Conv, Dense, Plain, problem
from safetensors.torch import load_file, save_file
from torch import nn

from baselines.deep_ensemble import DeepEnsemble
from baselines.implicit_vi import ImplicitVI
from baselines.likelihood import Categorical
from baselines.map import MAP
from baselines.mc_dropout import MCDropout
from baselines.mixup import Mixup
from baselines.protocol import Unsupported
from baselines.ranks import joined

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


@dataclass(frozen=True)
class Noting(Categorical):
    """Notes every loss."""

    losses: tuple | list = ()

    def loss(self, outputs, y):
        found = super().loss(outputs, y)
        self.losses.append(found.item())
        return found


class Wide:
    """A network in float64."""

    def __init__(self, *args):
        super().__init__(*args)
        self.double()

    def forward(self, x):
        return super().forward(x.double())


class WidePlain(Wide, Plain):
    pass


class WideDense(Wide, Dense):
    pass


class WideConv(Wide, Conv):
    def __init__(self, outputs):
        super().__init__(outputs, partial(nn.BatchNorm2d, affine=False))


def as_rank(rank, folder, method, given):
    torch.set_num_threads(1)
    given = replace(given, likelihood=Noting(given.likelihood.outputs, losses=[]))
    try:
        with joined(folder / "meeting", rank, 2, CPU, 300):
            fitted = given.fit(method)
    except Unsupported as error:
        (folder / f"{rank}.json").write_text(json.dumps(str(error)))
        return
    losses = torch.tensor(given.likelihood.losses, dtype=torch.float64)
    save_file(
        {f"state {name}": p.contiguous() for name, p in fitted.state_dict().items()} | {"losses": losses},
        folder / f"{rank}",
    )


def by_two(folder, method, given):
    """What two processes make of it: their files, or why they refuse."""
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=as_rank, args=(rank, folder, method, given)) for rank in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(300)
        assert one.exitcode == 0
    refused = {path.read_text() for path in folder.glob("*.json")}
    return (json.loads(*refused), None) if refused else (load_file(folder / "0"), load_file(folder / "1"))


@pytest.mark.parametrize(
    ("network", "recipe"),
    [(WidePlain, {}), (WidePlain, {"optimizer": "adamw", "lr": 5e-3}), (WideDense, {}), (WideConv, {})],
    ids=["sgd", "adamw", "batch normalization", "of pictures"],
)
def test_two_processes_have_the_loss_curve_and_the_weights_of_one_with_the_same_global_batch(tmp_path, network, recipe):
    given = problem(network=network, clip_norm=0.5, max_steps=30, **recipe)
    alone = replace(given, likelihood=Noting(given.likelihood.outputs, losses=[]))
    fitted = alone.fit(MAP()).state_dict()
    first, second = by_two(tmp_path, MAP(), given)
    curve, whole = (first["losses"] + second["losses"]) / 2, torch.tensor(alone.likelihood.losses, dtype=torch.float64)
    assert len(whole) == 30 and not torch.allclose(first["losses"], second["losses"], rtol=1e-2)
    assert torch.allclose(curve, whole, rtol=1e-9)
    for name, p in fitted.items():
        assert torch.equal(first[f"state {name}"], second[f"state {name}"])
        assert torch.allclose(first[f"state {name}"], p, rtol=1e-8, atol=1e-10), name


class Keeping(Plain):
    def __init__(self, outputs):
        super().__init__(outputs)
        self.norm = nn.InstanceNorm2d(1, track_running_stats=True)

    def forward(self, x):
        return super().forward(self.norm(x))


@pytest.mark.parametrize(
    ("method", "network", "recipe", "message"),
    [
        (ImplicitVI(), "plain", {}, "a loss or an optimizer of its own"),
        (Mixup(), "plain", {}, "a loss or an optimizer of its own"),
        (DeepEnsemble(2, together=True), "plain", {}, "a loss or an optimizer of its own"),
        (MCDropout(placement="head"), "plain", {}, "draws random numbers while it is trained"),
        (MAP(), Keeping, {}, r"Keeping's norm keeps statistics of batches"),
        (MAP(), "plain", {"batch_size": 15}, "a batch of 15 has no 2 equal parts"),
    ],
)
def test_what_would_be_another_network_is_refused_in_one_line(tmp_path, method, network, recipe, message):
    words, _ = by_two(tmp_path, method, problem(network=network, max_steps=2, **recipe))
    assert isinstance(words, str) and "\n" not in words
    assert re.search(message, words), words


def test_alone_nobody_is_joined(tmp_path):
    with joined(tmp_path / "meeting", 0, 1, CPU, 1):
        given = problem(max_steps=2)
        assert given.fit(MAP()) and not (tmp_path / "meeting").exists()
