"""What happened in one run, good or bad: the record. Metrics are no part of it: `leaderboard.scores` keeps them beside.

JSON has no NaN: here NaN and the infinities are the strings "NaN", "Infinity" and "-Infinity", and null means "not
measured". Records of schema 1, the first edition's, are read by `leaderboard.history`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WrapValidator, model_validator

from leaderboard.identity import RULES, Count, Identity, Part, Recurring, Sha256, Values

SCHEMA = 2
"""Grows with every change of the fields below; every schema ever written still reads."""
FIRST_RULES = 2
"""The oldest rules that a record of this schema may be made under."""
LONGEST = 200_000
"""Characters kept of an error's text."""


class RecordError(ValueError):
    """A file of a folder of records cannot be read or written; the message is one line that names it and the reason."""


def _storable(text: Any) -> Any:
    """Text as UTF-8 can hold it: an error's text may have lone surrogates, and may be any length."""
    return text[:LONGEST].encode("utf-8", "backslashreplace").decode() if isinstance(text, str) else text


Prose = Annotated[str, BeforeValidator(_storable)]
"""Free text that others wrote: kept as it is, escaped by the view that shows it."""
Status = Literal["ok", "failed", "diverged", "out_of_memory", "timed_out", "skipped", "crashed", "killed"]
State = Literal["own", "claimed", "recomputed", "rerun", "challenged", "withdrawn"]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.,=()/+\-' ]*$", max_length=200)]
SetName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*(/[a-z0-9][a-z0-9_.-]*){0,2}$", max_length=200)]
Url = Annotated[str, Field(pattern=r"^(https|file)://[!-~]+$", max_length=2000)]


class SetInfo(Part):
    """One set of a task: how many examples, and the SHA-256 of inputs and labels (None: it has none)."""

    n: Count
    inputs: Sha256
    labels: Sha256 | None = None


class Cost(Part):
    """What the run cost. Seconds are wall-clock, read outside of the process that spent them; memory is in bytes.

    Attributes:
        fit_s: the whole fit, with what was taken over from other fits.
        shared_s: the part of ``fit_s`` that was taken over (Laplace on MAP), not spent again.
        predict_s: outputs of ``predict_examples`` examples.
        steps: optimizer steps, with those taken over.
        peak_memory_fit, peak_memory_predict: CUDA: the allocator's peak; CPU: peak resident memory of the process less
            what it held when its libraries were loaded, so with the data; None where it cannot be read.
        parameters: trainable numbers in the predictor.
        state_bytes: size of the predictor's state.
        fit_flops, predict_flops: counted floating-point operations (predict: of one example); None where not counted.
    """

    fit_s: Amount
    shared_s: Amount
    predict_s: Amount
    predict_examples: Count
    steps: Count
    peak_memory_fit: Count | None = None
    peak_memory_predict: Count | None = None
    parameters: Count
    state_bytes: Count
    fit_flops: Count | None = None
    predict_flops: Count | None = None


class Audit(Part):
    """What one would want to look up before believing a number.

    Attributes:
        random, normalization, not_updated: names of modules and parameters.
        recipe_changes: what the method declares to change in the task's recipe.
        state: SHA-256 of the fitted predictor's state.
        shared: fits that were taken over, and the SHA-256 of the state of each.
    """

    random: list[str] = []
    normalization: list[str] = []
    not_updated: list[str] = []
    recipe_changes: Values = {}
    state: Sha256 | None = None
    shared: dict[str, Sha256] = {}


class Environment(Part):
    """Where and with what the run was made.

    Attributes:
        code: SHA-256 of our own source files that decide numbers, as they were when the suite began.
        packages: distributions that decide numbers, and those of methods that were loaded.
        device_name, device_index: of a GPU; the CPU's name and None.
        capability: instruction set that torch uses on this CPU.
        threads: of torch.
        ranks: devices that trained one network together.
    """

    commit: str | None
    dirty: bool | None
    code: Sha256
    packages: dict[str, str]
    python: str
    device_name: str
    device_index: Count | None = None
    cpu: str
    capability: str
    threads: Count
    ranks: Count = 1
    started: str


class PredictionsInfo(Part):
    """The predictions file beside the record, or at ``url``."""

    sha256: Sha256
    bytes: Count
    url: Url | None = None


class Tuning(Part):
    """What was chosen by looking at data: values tried of each hyperparameter, on which set, by what."""

    tried: Values
    on: Literal["validation"]
    criterion: Prose


class Origin(Part):
    """Who made the record, and what the board's own machine has seen of it."""

    who: Prose = ""
    state: State = "own"


class Error(Part):
    """Why a run is not ok."""

    reason: Prose
    traceback: Prose = ""


class Record(Part):
    """One run.

    Attributes:
        run_id: that of the identity.
        label: what people call its method.
        attempt: 1, 2 ...: of the same run, each kept.
        sets: every set of the task, also the one that was trained on; those with predictions are all others.
    """

    schema_version: Literal[2] = SCHEMA
    run_id: str
    identity: Identity
    label: Label
    attempt: Annotated[int, Field(ge=1, le=10_000)] = 1
    status: Status
    sets: Annotated[dict[SetName, SetInfo], WrapValidator(Recurring())] = {}
    cost: Cost | None = None
    audit: Audit = Field(default_factory=Audit)  # an instance would build the schema twice
    environment: Environment
    predictions: PredictionsInfo | None = None
    tuning: Tuning | None = None
    origin: Origin = Field(default_factory=Origin)
    error: Error | None = None

    @property
    def code(self) -> str:
        """What says whether two attempts were made with the same code."""
        return self.environment.code

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Record:
        if not FIRST_RULES <= self.identity.rules <= RULES:
            raise ValueError(f"made under rules {self.identity.rules}; known are {FIRST_RULES} to {RULES}")
        if self.run_id != self.identity.run_id:
            raise ValueError(f"run_id is {self.run_id}, its identity gives {self.identity.run_id}")
        is_ok = self.status == "ok"
        if is_ok != (self.predictions is not None) or (is_ok and (self.cost is None or not self.sets)):
            raise ValueError("a run is ok if and only if it has predictions; it then has sets and a cost too")
        return self
