"""The process that predicts: it has a fitted state and inputs, mixed over all sets, and no labels."""

from __future__ import annotations

from functools import partial

import torch
from safetensors.torch import load, save
from torch import Tensor

from baselines.likelihood import Likelihood
from baselines.protocol import Predictor
from baselines.train import Diverged
from benchmarks.measure.clock import Clock
from benchmarks.measure.fitting import BATCH_SIZE, guarded
from benchmarks.measure.jobs import PredictJob
from benchmarks.measure.process import Channel
from benchmarks.problem import Absent, Parts, make_problem, warm_up
from benchmarks.sealing import Inputs, open_inputs


def predict(channel: Channel, job: PredictJob) -> None:
    """Load the state, answer every input, send what is stored of the answers."""
    guarded(channel, job.setting, partial(_predict, channel, job))


def answers(predictor: Predictor, x: Tensor, likelihood: Likelihood) -> dict[str, Tensor]:
    """What is stored of the outputs of a batch, on the CPU.

    Raises:
        Diverged: an output is not finite.
        ValueError: the outputs have the wrong shape.
    """
    outputs = predictor.outputs(x)
    if outputs.dim() != 3 or outputs.shape[1:] != (len(x), likelihood.outputs) or not len(outputs):
        wanted = f"[members, {len(x)}, {likelihood.outputs}]"
        raise ValueError(f"outputs have shape {tuple(outputs.shape)}, not {wanted}")
    if not outputs.isfinite().all():
        raise Diverged("predictions are not finite numbers")
    return {name: part.cpu() for name, part in likelihood.reduce(outputs).items()}


def _predict(channel: Channel, job: PredictJob) -> None:
    setting, device = job.setting, torch.device(job.setting.device)
    clock = Clock(device)
    inputs = open_inputs(setting, device)
    absent = Absent(setting.task.data.train)
    problem = make_problem(setting, Parts(absent, Absent(setting.task.data.validation), inputs.example))
    warm_up(problem)
    method = setting.method.create()
    predictor = method.predictor(problem.of(method))
    predictor.load_state_dict({name: value.to(device) for name, value in load(job.state).items()})
    channel.send("ready")
    channel.wait_for_go()
    with clock() as reading:
        arrays = _all(channel, predictor, inputs, setting.likelihood)
    channel.send("answered", memory=reading.peak_memory)
    channel.send("arrays", save(arrays))


def _all(channel: Channel, predictor: Predictor, inputs: Inputs, likelihood: Likelihood) -> dict[str, Tensor]:
    parts: dict[str, list[Tensor]] = {}
    done = 0
    with torch.inference_mode():
        for x in inputs.batches(BATCH_SIZE):
            for name, part in answers(predictor, x, likelihood).items():
                parts.setdefault(name, []).append(part)
            done += len(x)
            channel.send("progress", done=done, total=inputs.num_examples)
    return {name: torch.cat(found).contiguous() for name, found in parts.items()}
