"""Snapshots are the network at the ends of cycles, and the cycles are the paper's."""

import math

import pytest
import torch
from hypothesis import given as examples
from hypothesis import strategies as st
from problems import problem
from torch import nn

from baselines.checkpoint_ensemble import CheckpointEnsemble
from baselines.map import MAP
from baselines.snapshots import Cycles, Snapshots
from baselines.train import make_optimizer, train


@pytest.mark.parametrize("network", ["dense", "conv_bn", "plain"])
def test_snapshots_are_the_network_at_the_ends_of_cycles_statistics_and_all(network):
    method = CheckpointEnsemble(members=3)
    given = problem(network=network, method=method, max_steps=12, warmup=0.0)
    fitted, model, seen = method.fit(given), given.new_model(), []

    def optimizer(groups):
        made = make_optimizer(given.recipe, groups)

        def before(optimizer, args, kwargs):
            step = len(seen)
            for group in optimizer.param_groups:
                group["lr"] = given.recipe.lr / 2 * (math.cos(math.pi * (step % 4) / 4) + 1)

        made.register_step_pre_hook(before)
        return made

    def after_step(done, total):
        seen.append({name: value.clone() for name, value in model.state_dict().items()})

    train(model, given, optimizer=optimizer, after_step=after_step)
    for member, done in enumerate((4, 8, 12)):
        kept = fitted.snapshot(member)
        assert kept.keys() == seen[done - 1].keys()
        assert all(torch.allclose(value, seen[done - 1][name], atol=1e-6) for name, value in kept.items())
    outputs = fitted.outputs(given.validation.x)
    model.load_state_dict(seen[3])
    assert torch.allclose(outputs[0], model.eval()(given.validation.x), atol=1e-5)
    assert not torch.allclose(outputs[0], outputs[2], atol=1e-2)


@examples(st.integers(1, 7), st.integers(1, 60), st.integers(0, 10))
def test_cycles_share_all_steps_and_every_one_ends(count, total, warmup):
    cycles = Cycles(count, total, min(warmup, total))
    ends = [cycles.end(cycle) for cycle in range(count)]
    assert ends == sorted(ends) and ends[-1] == total
    lengths = [end - start for start, end in zip([cycles.warmup, *ends], ends, strict=False)]
    assert max(lengths) - min(lengths) <= 1
    taken = [cycle for done in range(1, total + 1) for cycle in cycles.done(done)]
    assert cycles.warmup or sorted(taken) == list(range(count))
    for step in range(total):
        place = cycles.place(step)
        assert 0 <= place < 1 and (place == 0) == (step <= cycles.warmup or step in ends)


def test_one_member_is_map():
    given = problem(max_steps=9)
    one, other = (given.fit(method).outputs(given.validation.x) for method in (CheckpointEnsemble(members=1), MAP()))
    assert torch.equal(one, other)


def test_weights_that_two_layers_share_are_kept_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(self.a(x))

    model = Tied()
    snapshots = Snapshots(model, 2)
    with torch.no_grad():
        model.a.weight.mul_(2)
    snapshots.take(1)
    x = torch.randn(4, 3)
    assert torch.allclose(snapshots.outputs(x)[1], model(x)) and snapshots.snapshot(0).keys() == {
        "a.weight",
        "a.bias",
        "b.bias",
    }


def test_of_no_steps_every_snapshot_is_the_network_as_it_came():
    given = problem(max_steps=0)
    outputs = given.fit(CheckpointEnsemble(members=3)).outputs(given.validation.x)
    assert torch.allclose(outputs, given.new_model().eval()(given.validation.x).expand(3, -1, -1), atol=1e-6)
