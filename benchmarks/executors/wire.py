"""Jobs and what came of them as JSON and bytes, for executors that send them through files. No pickle, no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from baselines.likelihood import Categorical, Gaussian, Likelihood
from baselines.spec import MethodSpec
from benchmarks.measure.jobs import Answers, Failure, FitJob, Fitted, Found, Job, PredictJob, SearchJob, Setting
from benchmarks.measure.run import Outcome
from benchmarks.suite import Task

_JOBS = {"fit": FitJob, "predict": PredictJob, "search": SearchJob}
_ENDS: dict[str, tuple[type, str | None]] = {
    "fitted": (Fitted, "state"),
    "answers": (Answers, "arrays"),
    "failure": (Failure, None),
    "found": (Found, None),
}
"""Kind -> class, and which of its fields is bytes."""


class NoOutcome(ValueError):
    """What lies there is not what a worker writes."""


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Setting(_Words):
    """`Setting`, with the fields of a method that its own dump leaves out."""

    task: Task
    data: Path
    likelihood: Categorical | Gaussian
    method: dict[str, Any]
    seed: int
    device: str
    threads: int
    code: str
    limit: float


class JobWords(_Words):
    """A job without its bytes: ``shared`` and ``state`` are names of states."""

    kind: Literal["fit", "predict", "search"]
    setting: _Setting
    member: int = 0
    shared: dict[str, str] = {}
    whole: bool = True
    state: str = ""


def states_of(job: Job) -> list[bytes]:
    """The fitted states that a job carries."""
    return list(job.shared.values()) if isinstance(job, FitJob) else [job.state] if isinstance(job, PredictJob) else []


def words_of(job: Job, names: list[str]) -> str:
    """A job as JSON; ``names`` of its `states_of`, in their order."""
    kind = next(kind for kind, cls in _JOBS.items() if type(job) is cls)
    values = {name: getattr(job.setting, name) for name in Setting.__dataclass_fields__}
    method = _spec_words(job.setting.method)
    words = JobWords(kind=kind, setting=_Setting(**values | {"method": method}))  # pyright: ignore[reportArgumentType]
    if isinstance(job, FitJob):
        words.member, words.whole, words.shared = job.member, job.whole, dict(zip(job.shared, names, strict=True))
    elif isinstance(job, PredictJob):
        (words.state,) = names
    return words.model_dump_json()


def read_words(text: bytes) -> JobWords:
    """A job's words, as `words_of` wrote them.

    Raises:
        ValueError: they are none.
    """
    return JobWords.model_validate_json(text)


def job_of(words: JobWords, states: dict[str, bytes]) -> Job:
    """The job; ``states`` by their names."""
    values = {name: getattr(words.setting, name) for name in Setting.__dataclass_fields__}
    likelihood: Likelihood = words.setting.likelihood
    setting = Setting(**values | {"method": _spec(words.setting.method), "likelihood": likelihood})
    if words.kind == "fit":
        return FitJob(setting, words.member, {key: states[name] for key, name in words.shared.items()}, words.whole)
    return PredictJob(setting, states[words.state]) if words.kind == "predict" else SearchJob(setting)


def outcome_words(outcome: Outcome) -> tuple[dict[str, Any], bytes]:
    """An outcome as what JSON holds, and its bytes."""
    kind = next(kind for kind, (cls, _) in _ENDS.items() if type(outcome) is cls)
    field = _ENDS[kind][1]
    values = {name: value for name, value in vars(outcome).items() if name != field}
    return {"kind": kind, **values}, getattr(outcome, field) if field else b""


def outcome_of(words: Any, data: bytes) -> Outcome:
    """An outcome from its words and bytes; every field has the type that it must have.

    Raises:
        NoOutcome: they are none.
    """
    try:
        cls, field = _ENDS[words.pop("kind")]
        outcome: Outcome = TypeAdapter[Any](cls).validate_python(words | ({field: data} if field else {}))
        return outcome
    except (ValidationError, KeyError, TypeError, AttributeError) as error:
        raise NoOutcome(f"not what a worker writes: {type(error).__name__}") from None


def _spec_words(spec: MethodSpec) -> dict[str, Any]:
    nested = {key: _spec_words(one) for key, one in spec.nested.items()}
    return spec.model_dump(mode="json") | {"target": spec.target, "nested": nested}


def _spec(words: dict[str, Any]) -> MethodSpec:
    nested = {key: _spec(one) for key, one in words["nested"].items()}
    values: dict[str, Any] = words | {"nested": nested}
    return MethodSpec(**values)
