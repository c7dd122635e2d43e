"""What methods cost, measured by `ivi cost`: each alternated with MAP in one process. Kept beside the records."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field, ValidationError, model_validator

from leaderboard.history import OldEnvironment, OldMethod, OldTask
from leaderboard.identity import Count, Identity, MethodIdentity, Part, TaskIdentity
from leaderboard.plan import SUFFIX as PLAN
from leaderboard.record import Amount, Environment, Label, Prose, RecordError
from leaderboard.results import Result, stack_of
from leaderboard.shelf import Finding, first_of, read_bytes, schema_of
from leaderboard.store import write_once

COST_SCHEMA = 3
"""Grows with every change of the fields below; every schema ever written still reads. 2: energy; 3: identities."""
SUFFIX = ".cost.json"


class Quartiles(NamedTuple):
    """Median over rounds, and the quartiles around it."""

    median: float
    low: float
    high: float


class Numbers(Part):
    """What one method cost. Lists have an entry per round; seconds are wall-clock with the device synchronised.

    Joules are those of the whole GPU while the seconds passed; their lists are empty where no driver counts them.

    Attributes:
        fit_s: of the whole recipe; MAP's fits just before and after it, of the same round, are in ``map_fit_s``.
        map_fit_s: mean of the two.
        predict_s: of one example, likewise with ``map_predict_s``.
        map_predict_s: mean of the two.
        fit_j, map_fit_j, predict_j, map_predict_j: joules, likewise.
        fit_memory: bytes of tensors at the peak of a fit, above what there was before it.
        predict_memory: bytes of the predictor's state, and of tensors at the peak of predicting one batch.
        fit_flops: floating-point operations of the whole recipe; None where they cannot be counted.
        predict_flops: of one example; None where they cannot be counted.
        parameters: trainable numbers in the predictor.
        state_bytes: size of the predictor's state.
        error: why there are no numbers; empty if there are.
    """

    fit_s: list[Amount] = []
    map_fit_s: list[Amount] = []
    predict_s: list[Amount] = []
    map_predict_s: list[Amount] = []
    fit_j: list[Amount] = []
    map_fit_j: list[Amount] = []
    predict_j: list[Amount] = []
    map_predict_j: list[Amount] = []
    fit_memory: Count = 0
    predict_memory: Count = 0
    fit_flops: Count | None = None
    predict_flops: Count | None = None
    parameters: Count = 0
    state_bytes: Count = 0
    error: Prose = ""

    @model_validator(mode="after")
    def _in_pairs(self) -> Numbers:
        for name in ("fit_s", "predict_s", "fit_j", "predict_j"):
            mine, theirs = len(getattr(self, name)), len(getattr(self, f"map_{name}"))
            if mine != theirs:
                raise ValueError(f"{name} has {mine} rounds, map_{name} {theirs}")
        return self


class MethodCost(Numbers):
    """One method, as in records."""

    label: Label
    method: MethodIdentity


class OldMethodCost(Numbers):
    """One method in records of the first edition."""

    method: OldMethod


class CostRecord(Part):
    """One measurement of a task's methods on one device.

    Attributes:
        steps: optimizer steps of the fits that were timed; equal to ``recipe_steps`` if they were whole.
        recipe_steps: optimizer steps of the recipe, for which ``fit_s`` is given.
        batch_size: examples at a time when predicting.
        methods: MAP first: its own ratio to the MAP fits around it shows the noise.
    """

    schema_version: Literal[3] = COST_SCHEMA
    task: TaskIdentity
    device: Literal["cpu", "cuda"]
    environment: Environment
    steps: Count
    recipe_steps: Count
    batch_size: Count
    methods: Annotated[list[MethodCost], Field(min_length=1)]

    @property
    def rounds(self) -> int:
        """How often each method was measured."""
        return max((len(cost.fit_s) for cost in self.methods), default=0)


class OldCostRecord(Part):
    """As `CostRecord`, of the first edition (schemas 1 and 2)."""

    schema_version: Literal[1, 2]
    task: OldTask
    environment: OldEnvironment
    steps: int
    recipe_steps: int
    batch_size: int
    methods: Annotated[list[OldMethodCost], Field(min_length=1)]

    @property
    def rounds(self) -> int:
        """How often each method was measured."""
        return max((len(cost.fit_s) for cost in self.methods), default=0)


class Measured(NamedTuple):
    """The costs of one method and of MAP beside it, from one measurement.

    Attributes:
        cost, base: of the method and of MAP.
        rounds: how many.
        source: which measurement: numbers of two of them are never tested against each other.
    """

    cost: Numbers
    base: Numbers
    rounds: int
    source: str


class CostShelf(NamedTuple):
    """Cost records of a folder, the oldest first, and files that are none."""

    records: list[CostRecord | OldCostRecord]
    findings: list[Finding]


def ratios(cost: Numbers, base: Numbers, kind: str) -> dict[int, float]:
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
    path = folder / record.task.name / f"{record.device}-{moment}-{digest}{SUFFIX}"
    write_once(path, data)
    return path


def read_costs(folder: Path) -> CostShelf:
    """Every cost record of ``folder`` and of suites' folders in it, the oldest first; bad files are named."""
    shelf = CostShelf([], [])
    suites = {folder, *(path.parent for path in folder.glob(f"*/*{PLAN}"))}
    for path in sorted(path for suite in suites for path in suite.glob(f"*/*{SUFFIX}")):
        try:
            shelf.records.append(_parsed(read_bytes(str(path))))
        except RecordError as error:
            shelf.findings.append(Finding(path, "unreadable", str(error)))
    shelf.records.sort(key=lambda record: record.environment.started)
    return shelf


def _parsed(data: bytes) -> CostRecord | OldCostRecord:
    schema = schema_of(data)
    try:
        return (OldCostRecord if schema in (1, 2) else CostRecord).model_validate_json(data)
    except ValidationError as error:
        if schema is not None and schema > COST_SCHEMA:
            raise RecordError(f"has schema {schema}, this program reads up to {COST_SCHEMA}: update it") from None
        raise RecordError(f"not a cost record: {first_of(error)}") from None


def cost_of(costs: Sequence[CostRecord | OldCostRecord], results: Iterable[Result]) -> Measured | None:
    """The newest measurement of the method that made ``results``; None where there is none.

    It must be of the same task, method, parameters, kind of device, code and versions: what a method costs under other
    code is not what these runs cost. Of the first edition's records the code is not known; their method's file is.
    """
    results = list(results)
    if not results or not costs:
        return None
    one, devices = results[0], {(result.device_name, stack_of(result)) for result in results}
    for i in reversed(range(len(costs))):
        cost = costs[i]
        entry = _entry(cost, one) if len(devices) == 1 and cost.environment.device_name == one.device_name else None
        if entry is not None:
            return Measured(entry, cost.methods[0], cost.rounds, f"{i}: {cost.environment.started}")
    return None


def _entry(cost: CostRecord | OldCostRecord, one: Result) -> Numbers | None:
    if isinstance(cost, CostRecord):
        if stack_of(cost.environment) != stack_of(one):
            return None
        rows = ((Identity(task=cost.task, method=e.method, seed=0, device=cost.device).row, e) for e in cost.methods)
        return next((entry for row, entry in rows if row == one.row and not entry.error), None)
    if (cost.task.name, cost.task.version) != (one.task, one.version) or not one.is_history:
        return None
    return next((e for e in cost.methods if one.method == _old_method(e.method) and not e.error), None)


def _old_method(method: OldMethod) -> tuple[object, ...]:
    return method.name, method.source_sha256, method.resolved
