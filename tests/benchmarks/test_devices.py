"""Jobs are shared out to the devices of one machine by the memory that their kind was seen to take."""

import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load

from baselines.likelihood import Categorical
from baselines.names import UserError
from baselines.spec import parse
from benchmarks import machine
from benchmarks.executors.chosen import Place
from benchmarks.executors.devices import CONTEXT, MARGIN, Devices
from benchmarks.executors.local import LocalExecutor, Options, opened
from benchmarks.machine import chosen_device, memory_of
from benchmarks.measure.environment import Stack
from benchmarks.measure.jobs import Failure, FitJob, Fitted, Setting, UsesJob
from benchmarks.measure.run import measure
from benchmarks.nodes import setting_of
from benchmarks.prepare import prepare
from benchmarks.runs import Run
from benchmarks.suite import load_task

GIB = 2**30
TASK = load_task("digits-mlp")


def setting(method="map", seed=0, device="cuda"):
    return Setting(TASK, Path("nowhere"), Categorical(10), parse(method), seed, device, 1, "0" * 64, 60.0)


@dataclass
class Machine:
    """Does jobs on devices of so many bytes: each takes what its method takes, and there is what there is."""

    sizes: dict[str, int]
    takes: dict[str, int]
    on: dict[str, list[int]] = field(default_factory=dict)
    seen: list[tuple[str, str, int]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, job, report):
        name, device = job.setting.method.name, job.setting.device
        taken = self.takes[name]
        with self.lock:
            here = self.on.setdefault(device, [])
            if sum(here) + taken > self.sizes[device]:
                self.seen.append((name, "too little", len(here) + 1))
                return Failure("out_of_memory", "CUDA out of memory")
            here.append(taken)
            self.seen.append((name, device, len(here)))
        threading.Event().wait(0.01)
        with self.lock:
            here.remove(taken)
        return Fitted(b"", 1.0, 1, taken, (), {}, {})


def made(world, jobs, workers=8, **options):
    with LocalExecutor(workers, Devices(world.sizes, **options)) as executor:
        return [future.result() for future in [executor.submit(world, job) for job in jobs]]


def test_the_first_job_of_a_kind_has_a_device_to_itself_and_later_ones_stand_beside_each_other():
    world = Machine({"cuda:0": 24 * GIB, "cuda:1": 24 * GIB}, {"map": 2 * GIB})
    made(world, [FitJob(setting(seed=seed)) for seed in range(20)])
    used = Counter(device for _, device, _ in world.seen)
    assert set(used) == {"cuda:0", "cuda:1"} and used.total() == 20
    assert [count for _, _, count in world.seen[:2]] == [1, 1]
    assert max(count for _, _, count in world.seen) > 1


def test_a_job_that_found_too_little_beside_others_is_made_again_alone_and_one_that_does_alone_has_failed():
    world = Machine({"cuda:0": 10 * GIB}, {"map": 9 * GIB, "laplace": 11 * GIB})
    devices = Devices(world.sizes)
    jobs = [FitJob(setting(seed=seed)) for seed in range(3)] + [FitJob(setting("laplace"))]
    devices.measured((FitJob, TASK.name, "map"), GIB)  # as if an earlier one had taken less
    with LocalExecutor(4, devices) as executor:
        *fits, failure = [future.result() for future in [executor.submit(world, job) for job in jobs]]
    assert all(isinstance(one, Fitted) for one in fits)
    assert failure.status == "out_of_memory" and failure.machine == {"device_index": 0}
    assert Counter(name for name, where, _ in world.seen if where == "too little")["laplace"] == 1


def test_what_touches_no_device_waits_for_none():
    with LocalExecutor(2, Devices({"cuda:0": GIB})) as executor, executor.devices.room("all of it"):
        assert executor.submit(lambda job, report: job.setting.device, UsesJob(setting())).result(30) == "cuda"


def test_several_ranks_have_a_device_each_and_nobody_beside_them():
    devices = Devices({"cuda:0": 8 * GIB, "cuda:1": 8 * GIB, "cuda:2": 8 * GIB})
    devices.measured("small", GIB)
    with devices.room("large", 2) as room:
        assert room.devices == ("cuda:0", "cuda:1") and room.whole
        assert devices.found("large", 2) is None and devices.found("small").devices == ("cuda:2",)
    assert devices.found("large", 3).devices == ("cuda:0", "cuda:1", "cuda:2")


@given(
    sizes=st.lists(st.integers(2 * GIB, 80 * GIB), min_size=1, max_size=4),
    jobs=st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40),
    takes=st.fixed_dictionaries({kind: st.integers(0, 60 * GIB) for kind in "abc"}),
)
def test_no_device_is_ever_given_away_twice(sizes, jobs, takes):
    """Whoever comes and goes: what was given out fits, and one that is to be alone is."""
    devices, held = Devices({f"cuda:{i}": size for i, size in enumerate(sizes)}), []
    for kind, goes in jobs:
        if goes and held:
            context, _ = held.pop(0)
            context.__exit__(None, None, None)
        room = devices.found(kind)
        if room is not None:
            context = devices.room(kind)
            held.append((context, context.__enter__()))
            devices.measured(kind, takes[kind])
        for device, size in devices.free.items():
            here = [room for _, room in held if device in room.devices]
            assert sum(room.bytes for room in here) <= size and len(here) <= devices.at_once
            assert len(here) == 1 or not any(room.whole for room in here)
    for context, _ in held:
        context.__exit__(None, None, None)
    assert devices.found("new").devices == (max(devices.free, key=devices.free.get),)


def test_a_measured_job_is_given_more_than_it_took():
    devices = Devices({"cuda:0": 8 * GIB})
    devices.measured("small", GIB)
    devices.measured("small", GIB // 2)
    assert devices.found("small").bytes == MARGIN * GIB + CONTEXT


@pytest.fixture
def three_gpus(monkeypatch):
    monkeypatch.setattr(machine, "_gpus", lambda: (5 * GIB, 6 * GIB, 7 * GIB))


def test_cuda_means_every_gpu_and_an_index_that_one(three_gpus):
    assert memory_of("cuda") == {"cuda:0": 5 * GIB, "cuda:1": 6 * GIB, "cuda:2": 7 * GIB}
    assert memory_of("cuda:1") == {"cuda:1": 6 * GIB} and memory_of("cpu") == {}
    assert chosen_device("auto") == "cuda" and chosen_device("cuda:2") == "cuda:2"
    with pytest.raises(UserError, match="torch sees 3 GPU"):
        chosen_device("cuda:3")


def test_a_fit_that_cannot_be_shared_out_is_made_on_one_device_and_nothing_else_is_made_twice():
    given = []

    def world(job, report):
        given.append(job.ranks)
        method = job.setting.method.name
        refused = method == "laplace" or (method == "implicit_vi" and job.ranks)
        return Failure("skipped", "Unsupported") if refused else Fitted(b"", 1.0, 1, 0, (), {}, {})

    with LocalExecutor(1, Devices({"cuda:0": 8 * GIB, "cuda:1": 8 * GIB}), ranks=2) as executor:
        ends = [executor.submit(world, FitJob(setting(name))).result() for name in ("map", "implicit_vi", "laplace")]
    both = ("cuda:0", "cuda:1")
    assert given == [both, both, (), both, ()]
    assert [type(one) for one in ends] == [Fitted, Fitted, Failure]


def test_more_ranks_than_devices_are_refused(three_gpus):
    with pytest.raises(UserError, match=r"--ranks 4: --device cuda is 3 device\(s\) here"):
        opened(Options(ranks=4), Place(Path(), None, "cuda"))
    with opened(Options(ranks=3), Place(Path(), None, "cuda")) as executor:
        assert executor.ranks == 3 and executor.devices.free == memory_of("cuda")


@pytest.mark.slow
def test_a_fit_by_two_processes_is_that_of_one_but_for_rounding_and_one_that_cannot_be_is_made_by_one():
    task = load_task("diabetes-mlp")
    task = task.model_copy(update={"recipe": task.recipe.changed({"epochs": 1})})
    job = FitJob(setting_of(Run(task, prepare(task), parse("map"), 0), Stack.now(), 1), whole=False)
    said = []
    with LocalExecutor(1) as alone, LocalExecutor(1, ranks=2, say=said.append) as two:
        one, both = alone.submit(measure, job).result(), two.submit(measure, job).result()
        noisy = replace(job, setting=replace(job.setting, method=parse("implicit_vi")))
        refused = two.submit(measure, noisy).result()
    assert [found.machine["ranks"] for found in (one, both, refused)] == [1, 2, 1]
    states = [load(found.state) for found in (one, both)]
    assert all(torch.allclose(states[1][name], value, atol=1e-5) for name, value in states[0].items())
    assert len(said) == 1 and "implicit_vi, on one device" in said[0] and "loss or an optimizer of its own" in said[0]
