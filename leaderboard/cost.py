"""What methods cost, measured by `ivi cost`: each alternated with MAP in one process. Kept beside the records."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from leaderboard.record import Environment, MethodInfo, Record, RecordError, TaskInfo, schema_of, write_once

COST_SCHEMA = 2
"""Grows with every change of the fields below; every schema ever written still reads. 2: energy."""
SUFFIX = ".cost.json"


class Quartiles(NamedTuple):
    """Median over rounds, and the quartiles around it."""

    median: float
    low: float
    high: float


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class MethodCost(_Part):
    """One method. Lists have an entry per round; seconds are wall-clock with the device synchronised.

    Joules are those of the whole GPU while the seconds passed; their lists are empty where no driver counts them.

    Attributes:
        method: as in records.
        fit_s: of the whole recipe; MAP's fits just before and after it, of the same round, are in ``map_fit_s``.
        map_fit_s: mean of the two.
        predict_s: of one image, likewise with ``map_predict_s``.
        map_predict_s: mean of the two.
        fit_j, map_fit_j, predict_j, map_predict_j: joules, likewise.
        fit_memory: bytes of tensors at the peak of a fit, above what there was before it.
        predict_memory: bytes of the predictor's state, and of tensors at the peak of predicting one batch.
        fit_flops: floating-point operations of the whole recipe; None where they cannot be counted.
        predict_flops: of one image; None where they cannot be counted.
        parameters: trainable numbers in the predictor.
        state_bytes: size of the predictor's state.
        error: why there are no numbers; empty if there are.
    """

    method: MethodInfo
    fit_s: list[float] = []
    map_fit_s: list[float] = []
    predict_s: list[float] = []
    map_predict_s: list[float] = []
    fit_j: list[float] = []
    map_fit_j: list[float] = []
    predict_j: list[float] = []
    map_predict_j: list[float] = []
    fit_memory: int = 0
    predict_memory: int = 0
    fit_flops: int | None = None
    predict_flops: int | None = None
    parameters: int = 0
    state_bytes: int = 0
    error: str = ""


class CostRecord(_Part):
    """One measurement of a task's methods on one device.

    Attributes:
        steps: optimizer steps of the fits that were timed; equal to ``recipe_steps`` if they were whole.
        recipe_steps: optimizer steps of the recipe, for which ``fit_s`` is given.
        batch_size: images at a time when predicting.
        methods: MAP first: its own ratio to the MAP fits around it shows the noise.
    """

    schema_version: int = COST_SCHEMA
    task: TaskInfo
    environment: Environment
    steps: int
    recipe_steps: int
    batch_size: int
    methods: list[MethodCost]

    @property
    def device(self) -> str:
        """The device class: costs of different ones are never mixed."""
        return self.environment.device_name

    @property
    def rounds(self) -> int:
        """How often each method was measured."""
        return max((len(cost.fit_s) for cost in self.methods), default=0)


def ratios(cost: MethodCost, base: MethodCost, kind: str) -> dict[int, float]:
    """Ratios to MAP by round; {} without numbers. A round in which an energy counter stood still is left out.

    Args:
        cost: of a method.
        base: of MAP in the same record; its memory is what the method's is divided by.
        kind: ``fit`` or ``predict``: seconds; ``energy`` or ``predict_energy``: joules, of fitting or predicting;
            ``memory``, which has one entry.
    """
    if cost.error:
        return {}
    if kind == "memory":
        reference = max(base.fit_memory, base.predict_memory)
        return {0: max(cost.fit_memory, cost.predict_memory) / reference} if reference else {}
    name = {"energy": "fit_j", "predict_energy": "predict_j"}.get(kind, f"{kind}_s")
    pairs = zip(getattr(cost, name), getattr(cost, f"map_{name}"), strict=True)
    return {i: mine / reference for i, (mine, reference) in enumerate(pairs) if mine > 0 and reference > 0}


def quartiles(values: Iterable[float]) -> Quartiles:
    """Median and quartiles of a cost's ratios: one slow round among several moves neither much. NaN without values."""
    array = np.asarray(list(values), dtype=np.float64)
    if not len(array):
        return Quartiles(float("nan"), float("nan"), float("nan"))
    low, median, high = np.quantile(array, [0.25, 0.5, 0.75])
    return Quartiles(float(median), float(low), float(high))


def write_cost(folder: Path, record: CostRecord) -> Path:
    """Write ``record`` below ``folder``, whole or not at all; an older one stays."""
    data = record.model_dump_json(indent=1).encode() + b"\n"
    moment = "".join(filter(str.isalnum, record.environment.started.partition("+")[0]))
    digest = hashlib.sha256(data).hexdigest()[:8]
    path = folder / record.task.name / f"{record.environment.device}-{moment}-{digest}{SUFFIX}"
    write_once(path, data)
    return path


def read_costs(folder: Path) -> list[CostRecord]:
    """Every cost record below ``folder``, the oldest first; none where there is no such folder.

    Raises:
        RecordError: one of them is damaged or newer than this program.
    """
    found = [_read(path) for path in sorted(folder.glob(f"*/*{SUFFIX}"))]
    return sorted(found, key=lambda record: record.environment.started)


def cost_of(costs: Sequence[CostRecord], records: Mapping[int, Record]) -> tuple[MethodCost, MethodCost, int] | None:
    """The costs of the method that made ``records`` (by seed) and of MAP beside it, and how many rounds.

    They come from the newest measurement on the same task and kind of device, of the same method with the same
    parameters and code; None where there is none.
    """
    if not records:
        return None
    one = next(iter(records.values()))
    devices = {record.environment.device_name for record in records.values()}
    for cost in reversed(costs):
        same_task = (cost.task.name, cost.task.version) == (one.task.name, one.task.version)
        if not same_task or devices != {cost.device}:
            continue
        for entry in cost.methods:
            if not entry.error and _identity(entry.method) == _identity(one.method):
                return entry, cost.methods[0], cost.rounds
    return None


def _identity(method: MethodInfo) -> tuple[object, ...]:
    return method.name, method.source_sha256, sorted((key, str(value)) for key, value in method.resolved.items())


def _read(path: Path) -> CostRecord:
    data = path.read_bytes()
    try:
        return CostRecord.model_validate_json(data)
    except ValidationError as error:
        first, version = error.errors()[0], schema_of(data)
        if version is not None and version > COST_SCHEMA:
            reason = f"has schema {version}, this program reads up to {COST_SCHEMA}: update it"
        else:
            reason = f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
        raise RecordError(f"{path}: not a cost record: {reason}") from None
