"""What is sent to be measured, and what comes back. Nothing here imports torch."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from baselines.likelihood import Likelihood
from baselines.recipe import Recipe
from baselines.spec import MethodSpec
from benchmarks.suite import Task
from leaderboard.identity import digest
from leaderboard.record import Status

_CONTROL = re.compile(r"[^\n\t\x20-\x7e\xa0-\u200a\u2010-\u2027\u2030-\u205f\u2070-\ud7ff\uf900-\ufdff\ufe10-\ufefe]")


@dataclass(frozen=True)
class Setting:
    """What fitting and predicting have in common.

    Attributes:
        task: model, recipe, name.
        data: the folder of the task's sealed data.
        likelihood: what the network's outputs mean.
        method: what is fitted.
        seed: of the run.
        device: ``cpu``, ``cuda``, ``cuda:1`` ...
        threads: of torch.
        code: hash of the driver's code that decides numbers: a node with other code says so instead of running.
        limit: seconds that it may take.
    """

    task: Task
    data: Path
    likelihood: Likelihood
    method: MethodSpec
    seed: int
    device: str
    threads: int
    code: str
    limit: float


@dataclass(frozen=True)
class FitJob:
    """One fit.

    Attributes:
        setting: what is fitted, on what.
        member: of an ensemble.
        shared: states of the fits it may take over, by `fit_key`.
        whole: look closer afterwards.
        ranks: devices that train its network together, the setting's own first; empty: that one alone.
    """

    setting: Setting
    member: int = 0
    shared: dict[str, bytes] = field(default_factory=dict, repr=False)
    whole: bool = True
    ranks: tuple[str, ...] = ()


@dataclass(frozen=True)
class PredictJob:
    """Outputs of one fitted method, whose state this is, on every evaluation input."""

    setting: Setting
    state: bytes = field(repr=False)


@dataclass(frozen=True)
class UsesJob:
    """Which fits a method takes over."""

    setting: Setting


@dataclass(frozen=True)
class SearchJob:
    """Whether evaluation examples can be found in the process that fits a method."""

    setting: Setting


Job = FitJob | PredictJob | UsesJob | SearchJob


@dataclass(frozen=True)
class Found:
    """How many evaluation examples were found where none should be."""

    count: int


@dataclass(frozen=True)
class Fitted:
    """A fit.

    Attributes:
        state: the predictor's state dict as safetensors.
        seconds, steps, memory: of this fit alone, without those that it took over.
        taken: keys of the fits it took over.
        looked: what a close look gave: audit, counts of operations and parameters.
        machine: device name and CPU capability; distributions that were loaded.
        printed: the end of what it printed.
    """

    state: bytes = field(repr=False)
    seconds: float
    steps: int
    memory: int | None
    taken: tuple[str, ...]
    looked: dict[str, Any]
    machine: dict[str, Any]
    printed: str = ""


@dataclass(frozen=True)
class Answers:
    """Reduced outputs of every evaluation input in the order in which they lie, as safetensors."""

    arrays: bytes = field(repr=False)
    seconds: float
    memory: int | None
    printed: str = ""


@dataclass(frozen=True)
class Use:
    """A fit that a method takes over: what it is, under which key it asks for it, and what that one takes over."""

    method: MethodSpec
    member: int
    key: str
    uses: tuple[Use, ...] = ()


@dataclass(frozen=True)
class Uses:
    """The method's own key, and the fits it takes over."""

    key: str
    uses: tuple[Use, ...]


@dataclass(frozen=True)
class Failure:
    """Why there is no result."""

    status: Status
    reason: str
    traceback: str = ""
    printed: str = ""
    machine: dict[str, Any] = field(default_factory=dict)


def fit_key(method: str, member: int, recipe: Recipe) -> str:
    """What a fit on an unchanged problem is known by: `baselines.protocol.key_of` its method, member, recipe."""
    return digest([method, member, recipe.model_dump(mode="json")])


def clean(text: str, limit: int = 20_000) -> str:
    """``text`` without characters that steer a terminal, turn the direction of writing or cannot be stored."""
    return _CONTROL.sub("\ufffd", text.encode("utf-8", "replace").decode())[:limit]
