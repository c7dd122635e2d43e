"""Whether evaluation examples are in the process of a fit: everything in its memory is looked at, afterwards."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from baselines.protocol import recipe_changes
from benchmarks.data import sealed
from benchmarks.measure.fitting import guarded
from benchmarks.measure.jobs import SearchJob
from benchmarks.measure.process import Channel
from benchmarks.problem import make_problem
from benchmarks.sealing import open_fitting

LARGEST = 2**28
"""Bytes of a tensor that is looked at."""


def search(channel: Channel, job: SearchJob) -> None:
    """Fit as a run does, then send how many evaluation examples are in memory."""
    guarded(channel, job.setting, partial(_search, channel, job))


def _search(channel: Channel, job: SearchJob) -> None:
    setting, device = job.setting, torch.device(job.setting.device)
    method, recipe = setting.method.create(), setting.task.recipe
    parts = open_fitting(setting, device, recipe.changed(recipe_changes(method)))
    predictor = make_problem(setting, parts).fit(method)
    held = list(_arrays())  # before any evaluation example is in this process
    known = _digests_of_evaluation(setting.data)
    width = {len(row) for row in known.values()}
    found = {digest for array in held for digest in _digests(array, width) if digest in known}
    del predictor
    channel.send("found", count=len(found))


def _digests_of_evaluation(folder: Path) -> dict[bytes, bytes]:
    """Digest -> bytes of every evaluation example that is no fitting example, as it is stored and standardized."""
    train, validation, affine = sealed.read_fit(folder)
    inputs, _ = sealed.read_inputs(folder)
    seen = {row.tobytes() for part in (train, validation) for row in part.inputs.numpy()}
    rows = [i for i, row in enumerate(inputs.numpy()) if row.tobytes() not in seen]
    chosen = inputs[torch.tensor(rows, dtype=torch.long)]
    both = [chosen, chosen.mul(affine.scale).add_(affine.shift)]
    return {_digest(row.tobytes()): row.tobytes() for part in both for row in part.numpy()}


def _arrays() -> Iterator[np.ndarray]:
    """Every tensor and array that is alive in this process."""
    gc.collect()
    tracked = gc.get_objects()
    seen: set[int] = set()
    for thing in [*tracked, *gc.get_referents(*tracked)]:
        if id(thing) in seen or not isinstance(thing, Tensor | np.ndarray):
            continue
        seen.add(id(thing))
        try:
            array = thing.detach().cpu().numpy() if isinstance(thing, Tensor) else thing
            if array.dtype != object and 0 < array.nbytes <= LARGEST:
                yield np.ascontiguousarray(array)
        except (RuntimeError, TypeError, ValueError):
            continue  # a tensor without storage, or of a type that numpy has not


def _digests(array: np.ndarray, widths: set[int]) -> Iterator[bytes]:
    """Digests of the parts of ``array`` that have the size of one example."""
    flat = array.reshape(-1).view(np.uint8)
    for width in widths:
        if len(flat) % width == 0 and (array.ndim > 1 or len(flat) == width):
            yield from (_digest(row.tobytes()) for row in flat.reshape(-1, width))


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
