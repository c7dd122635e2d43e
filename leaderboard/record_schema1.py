"""What happened in one run, good or bad: the record, and how it is kept on disk.

A record is one JSON file, written whole or not at all and never overwritten. JSON has no NaN: here NaN and the
infinities are the strings "NaN", "Infinity" and "-Infinity", and null means "not measured".
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

SCHEMA = 1
"""Grows with every change of the fields below; every schema ever written still reads."""
RULES = 1
"""Grows when the rules of comparison (docs/rules.md) change what a number means; part of every run's identity."""

Status = Literal["ok", "failed", "diverged", "out_of_memory", "skipped", "crashed"]


class RecordError(ValueError):
    """A record file cannot be read; the message names the file and what is wrong."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class TaskInfo(_Part):
    """The task: its name, version, and the fingerprint (SHA-256 of pixels and labels) of each of its sets."""

    name: str
    version: int
    fingerprints: dict[str, str] = {}


class MethodInfo(_Part):
    """The method: ``label`` names its row; ``package`` is None for one loaded from a path, which is never ranked."""

    label: str
    name: str
    package: str | None
    source_sha256: str
    parameters: dict[str, Any]
    resolved: dict[str, Any]
    recipe_changes: dict[str, Any] = {}


class Cost(_Part):
    """What the run cost. Seconds are wall-clock with the device synchronised; memory is in bytes.

    Attributes:
        fit_s: the whole fit, with what was taken over from other fits.
        shared_s: the part of ``fit_s`` that was taken over (Laplace on MAP), not spent again.
        predict_s: logits of ``predict_examples`` images.
        steps: optimizer steps, with those taken over.
        peak_memory_fit, peak_memory_predict: CUDA: the allocator's peak; CPU: peak resident memory of the process less
            what it held when its libraries were loaded, so with the data.
        parameters: trainable numbers in the predictor.
        state_bytes: size of the predictor's state.
        fit_flops, predict_flops: counted floating-point operations (predict: for one image); None where not counted.
    """

    fit_s: float
    shared_s: float
    predict_s: float
    predict_examples: int
    steps: int
    peak_memory_fit: int
    peak_memory_predict: int
    parameters: int
    state_bytes: int
    fit_flops: int | None = None
    predict_flops: int | None = None


class Audit(_Part):
    """What one would want to look up before believing a number: names of modules and parameters."""

    random: list[str] = []
    normalization: list[str] = []
    not_updated: list[str] = []


class Environment(_Part):
    """Where and with what the run was made."""

    commit: str | None
    dirty: bool | None
    packages: dict[str, str]
    python: str
    device: str
    device_name: str
    cpu: str
    threads: int
    started: str


class PredictionsInfo(_Part):
    """The predictions file beside the record."""

    sha256: str
    sets: list[str]


class Error(_Part):
    """Why a run is not ok."""

    reason: str
    traceback: str = ""


class Record(_Part):
    """One run. ``metrics`` maps evaluation sets to metric values; `leaderboard.scoring` computes them."""

    schema_version: int = SCHEMA
    rules: int = RULES
    run_id: str
    attempt: int = 1
    task: TaskInfo
    method: MethodInfo
    seed: int
    status: Status
    metrics: dict[str, dict[str, float]] = {}
    cost: Cost | None = None
    audit: Audit = Audit()
    environment: Environment
    predictions: PredictionsInfo | None = None
    error: Error | None = None


def path_of(folder: Path, record: Record) -> Path:
    """Where ``record`` belongs below ``folder``: ``task/method/seed-runid.attempt.json``."""
    label = "".join(c if c.isalnum() or c in "-_=.," else "_" for c in record.method.label)[-120:]
    return folder / record.task.name / label / f"{record.seed}-{record.run_id}.{record.attempt}.json"


def write(folder: Path, record: Record) -> Path:
    """Write ``record`` below ``folder``, whole or not at all.

    Raises:
        FileExistsError: there is such a record already; it is left as it is.
    """
    path = path_of(folder, record)
    write_once(path, record.model_dump_json(indent=1).encode() + b"\n")
    return path


def write_once(path: Path, data: bytes, *, replace: bool = False) -> None:
    """Write a file so that nobody ever sees half of it; an existing one is an error unless ``replace``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            temporary.replace(path)
        else:
            os.link(temporary, path)  # fails where a rename would overwrite
    finally:
        temporary.unlink(missing_ok=True)


def read(path: Path) -> Record:
    """Read one record of any schema.

    Raises:
        RecordError: the file is damaged, or newer than this program.
    """
    return _parsed(path.read_bytes(), str(path))


def record_files(folder: Path) -> Iterator[Path]:
    """Every record file (``....1.json``) below ``folder``, in a fixed order; ``.cost.json`` is `leaderboard.cost`'s."""
    return map(Path, _files(folder))


def read_all(folder: Path) -> list[Record]:
    """Every record below ``folder``; none where there is no such folder.

    Raises:
        RecordError: one of them is damaged. Nothing is dropped in silence.
    """
    records, collecting = [], gc.isenabled()
    gc.disable()  # it would look through the growing list again and again: half the time of 10,000 records
    try:
        for path in _files(folder):
            with open(path, "rb") as file:
                records.append(_parsed(file.read(), path))
        gc.freeze()
    finally:
        if collecting:
            gc.enable()
    return records


def _files(folder: Path) -> list[str]:
    return sorted(
        os.path.join(inner, name)
        for inner, _, names in os.walk(folder)
        for name in names
        if name.count(".") > 1 and name.endswith(".json") and not name.endswith(".cost.json") and name[0] != "."
    )


def _parsed(data: bytes, path: str) -> Record:
    try:
        return Record.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        version = schema_of(data)
        if version is not None and version > SCHEMA:
            reason = f"has schema {version}, this program reads up to {SCHEMA}: update it"
        else:
            reason = f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
        raise RecordError(f"{path}: not a record: {reason}") from None


def latest(records: list[Record]) -> dict[str, Record]:
    """The record that counts for each run: an ok one if there is one, else the last attempt."""
    best: dict[str, Record] = {}
    for record in sorted(records, key=lambda r: (r.status == "ok", r.attempt)):
        best[record.run_id] = record
    return best


def schema_of(data: bytes) -> int | None:
    """The schema number that the JSON in ``data`` names; None where it names none."""
    try:
        return json.loads(data).get("schema_version")
    except (ValueError, AttributeError):
        return None
