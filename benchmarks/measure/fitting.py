"""The process that fits: it has training and validation examples, and no others."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from safetensors.torch import save

from baselines.protocol import Method, Predictor, Problem, Unsupported, key_of, recipe_changes
from baselines.recipe import Recipe
from baselines.spec import spec_of
from baselines.train import Diverged
from benchmarks.measure.arithmetic import settle
from benchmarks.measure.audit import audit, count_parameters, loaded, state_bytes
from benchmarks.measure.clock import Clock
from benchmarks.measure.environment import code_hash
from benchmarks.measure.following import followers
from benchmarks.measure.jobs import FitJob, Setting, UsesJob, fit_key
from benchmarks.measure.probe import probe
from benchmarks.measure.process import Channel
from benchmarks.measure.shared import SharedFits
from benchmarks.problem import make_problem, warm_up
from benchmarks.sealing import open_fitting

BATCH_SIZE = 250
"""Examples at a time when predicting."""


class OtherCode(RuntimeError):
    """This machine's code is not the driver's."""


def fit(channel: Channel, job: FitJob) -> None:
    """Fit, send the state, then look closer, off the clock."""
    guarded(channel, job.setting, partial(_fit, channel, job))


def uses(channel: Channel, job: UsesJob) -> None:
    """Send which fits the method takes over."""
    setting = job.setting

    def answer() -> None:
        method = setting.method.create()
        channel.send("uses", **_uses(method, setting.task.recipe))

    guarded(channel, setting, answer)


def guarded(channel: Channel, setting: Setting, work: Callable[[], None]) -> None:
    """Do ``work`` as ``setting`` says; whatever it raises is sent as a failure."""
    settle(setting.threads)
    try:
        if code_hash() != setting.code:
            raise OtherCode("the code here is not the code that this suite was started with: start it again")
        work()
    except BaseException as error:
        channel.send("failed", status=status_of(error), reason=_reason(error), traceback=traceback.format_exc())


def status_of(error: BaseException) -> str:
    """The status of a run that ended with ``error``."""
    if isinstance(error, Unsupported):
        return "skipped"
    if isinstance(error, Diverged):
        return "diverged"
    if isinstance(error, OtherCode):
        return "killed"
    # torch's allocator of the CPU has no exception of its own
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
        return "out_of_memory"
    return "failed"


def machine_of(device: torch.device, before: Collection[str]) -> dict[str, Any]:
    """What a record says of the device and of what was loaded since the modules ``before``."""
    cuda = device.type == "cuda"
    return {
        "device_name": torch.cuda.get_device_name(device) if cuda else "",
        "device_index": device.index or 0 if cuda else None,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "packages": loaded(before),
    }


def state_of(predictor: Predictor) -> bytes:
    """Its state as safetensors."""
    return save({name: value.detach().cpu().contiguous().clone() for name, value in predictor.state_dict().items()})


def _fit(channel: Channel, job: FitJob) -> None:
    setting, before = job.setting, list(sys.modules)
    device = torch.device(setting.device)
    with followers(job, _follow) as join:
        clock = Clock(device)
        method = setting.method.create()
        shared = SharedFits(job.shared)
        base = _base(setting, lambda done, total: channel.send("progress", done=done, total=total))
        warm_up(base)
        problem = shared.problem(base).member(job.member)
        with join():
            channel.send("ready")
            channel.wait_for_go()
            with clock() as reading:
                predictor = problem.fit(method)
                state = state_of(predictor)
    channel.send("fitted", state, steps=reading.steps, memory=reading.peak_memory, taken=shared.taken)
    looked = _look(method, base.member(job.member).of(method), predictor) if job.whole else {}
    machine = machine_of(device, before) | {"ranks": max(1, len(job.ranks))}
    channel.send("looked", looked=looked, machine=machine)


def _follow(job: FitJob) -> None:
    """What another rank does: the same fit, of which nobody wants to hear."""
    problem = SharedFits(job.shared).problem(_base(job.setting, lambda done, total: None))
    problem.member(job.member).fit(job.setting.method.create())


def _base(setting: Setting, progress: Callable[[int, int], None]) -> Problem:
    changes = recipe_changes(setting.method.create())
    parts = open_fitting(setting, torch.device(setting.device), setting.task.recipe.changed(changes))
    return make_problem(setting, parts, progress)


def _look(method: Method, problem: Problem, predictor: Predictor) -> dict[str, Any]:
    quiet = replace(problem, progress=lambda done, total: None)
    x, _ = next(iter(quiet.validation.ordered(BATCH_SIZE)))
    seen = probe(method, quiet, predictor, x)
    return {
        "parameters": count_parameters(predictor),
        "state_bytes": state_bytes(predictor),
        "fit_flops": seen.fit_flops,
        "predict_flops": seen.predict_flops,
        "recipe_changes": recipe_changes(method),
        "audit": audit(method.predictor(quiet), predictor, seen.random),
    }


def _uses(method: Method, recipe: Recipe, member: int = 0) -> dict[str, Any]:
    """The key of ``method``'s fit by ``recipe`` and, below it, of those it takes over and that we can name."""
    found = []
    for other, index in getattr(method, "uses", ()):
        spec = spec_of(other)
        if spec is not None:
            found.append({"method": spec.text, **_uses(other, recipe, index)})
    key = fit_key(key_of(method), member, recipe.changed(recipe_changes(method)))
    return {"key": key, "member": member, "uses": found}


def _reason(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"the method called exit({error.code!r})"
    return f"{type(error).__name__}: {error}".strip().partition("\n")[0]
