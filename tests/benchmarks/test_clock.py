"""The clock charges a block for what it used: seconds, steps, bytes."""

import torch
from targets import measures_a_block

from benchmarks.measure.clock import Clock
from benchmarks.measure.process import child

CPU = torch.device("cpu")


def step(times):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    for _ in range(times):
        parameter.grad = torch.ones(1)
        optimizer.step()


def test_a_block_is_measured_in_seconds_steps_and_bytes():
    with child(measures_a_block, None, 60) as process:
        reading, _ = process.receive()
    assert reading["steps"] == 3 and 0.05 < reading["seconds"] < 10
    assert 80e6 < reading["peak_memory"] < 200e6


def test_what_happens_outside_of_a_block_is_not_charged_to_it():
    clock = Clock(CPU)
    with clock():
        step(2)
        torch.zeros(50_000_000).add_(1)
    step(2)
    with clock() as second:
        step(1)
    assert second.steps == 1 and second.peak_memory < 50e6


class Twice(torch.optim.SGD):
    """Steps another optimizer within its own step, as sharpness-aware minimization does."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, lr)
        self.inner = torch.optim.SGD(parameters, lr)

    def step(self, closure=None):
        self.inner.step()
        return super().step(closure)


def test_a_step_within_a_step_is_part_of_it():
    parameter = torch.nn.Parameter(torch.ones(1))
    optimizer, clock = Twice([parameter], 0.1), Clock(CPU)
    with clock() as reading:
        for _ in range(3):
            parameter.grad = torch.ones(1)
            optimizer.step()
        step(2)
    assert reading.steps == 5


def test_a_block_that_fails_is_measured_and_counts_no_further():
    clock = Clock(CPU)
    try:
        with clock() as reading:
            step(2)
            raise RuntimeError
    except RuntimeError:
        step(5)
    assert reading.steps == 2 and reading.seconds > 0
