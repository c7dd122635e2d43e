"""The clock charges everyone for what they used, once."""

import time

import pytest
import torch

from benchmarks.measure.clock import Clock, Reading

CPU = torch.device("cpu")


def step(times):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    for _ in range(times):
        parameter.grad = torch.ones(1)
        optimizer.step()


def test_a_block_is_measured_in_seconds_steps_and_bytes():
    clock = Clock(CPU)
    with clock() as reading:
        step(3)
        time.sleep(0.05)
        torch.zeros(25_000_000).add_(1)
    assert reading.steps == 3 and 0.05 < reading.seconds < 3
    assert 80e6 < reading.peak_memory < 200e6


def test_the_peak_of_one_block_is_not_charged_to_the_next():
    clock = Clock(CPU)
    with clock():
        torch.zeros(50_000_000).add_(1)
    with clock() as second:
        step(1)
    assert second.peak_memory < 50e6


def test_an_inner_block_counts_for_the_outer_too():
    clock = Clock(CPU)
    with clock() as outer:
        big = torch.zeros(25_000_000).add_(1)
        del big
        with clock() as inner:
            step(2)
    assert (inner.steps, outer.steps) == (2, 2)
    assert outer.peak_memory > 80e6 > inner.peak_memory


def test_what_is_taken_over_replaces_the_time_of_getting_it():
    clock = Clock(CPU)
    with clock() as reading:
        step(1)
        mark = clock.mark()
        time.sleep(0.3)
        clock.charge(mark, Reading(seconds=100.0, steps=40, peak_memory=10**12), shared=100.0)
        step(1)
    assert reading.seconds == pytest.approx(100.0, abs=0.2) and reading.shared == 100.0
    assert reading.steps == 42 and reading.peak_memory == 10**12
