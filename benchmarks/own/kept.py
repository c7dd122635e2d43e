"""Fitted predictors that are kept: one safetensors file beside the record of a run. No torch.

The tensors are the state of the predictor. All else that answering new inputs takes stands in the file's metadata, as
JSON: so the file can be shared alone, and it holds no example, no label and no path of who made it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open

from baselines.names import UserError
from benchmarks.data.spec import DataSpec, read_spec
from benchmarks.data.truth import FIT
from benchmarks.outcome import Outcome
from benchmarks.own.look import FEW
from benchmarks.pretrained import described
from benchmarks.runs import Run
from leaderboard.calibration import SCALINGS
from leaderboard.metrics.registry import Kind
from leaderboard.predictions import parse_predictions
from leaderboard.record import Record
from leaderboard.scoring import ood_scores
from leaderboard.shelf import Shelf, beside, read_all

SUFFIX = ".model.safetensors"
OOD_SCORE = {"categorical": "energy", "gaussian": "variance"}
"""What says how unlike the training data an input is."""


class About(BaseModel):
    """What a kept predictor is and what answering takes, beside its state.

    Attributes:
        run_id, label, seed: of the run; ``method``: its spec; ``package``: what brought it;
            ``source``: SHA-256 of its file.
        state: SHA-256 of the state, as the record has it.
        task: name, model, recipe and sizes.
        data: the spec of the data set, without where it lies.
        classes: their names; none for a number.
        fills: what stands in empty cells of a table.
        scale, shift: how inputs are standardized, one number a channel or a feature; ``target``: mean and deviation.
        factor: temperature, or factor on the variance, that the validation examples chose; None where none exists.
        unlike: the OOD score of every validation example, ascending.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    run_id: str
    label: str
    method: str
    package: str | None
    source: str
    seed: int
    state: str
    task: dict[str, Any]
    data: dict[str, Any]
    classes: tuple[str, ...]
    likelihood: Literal["categorical", "gaussian"]
    outputs: int
    target: tuple[float, float] = (0.0, 1.0)
    fills: dict[str, float] = {}
    scale: tuple[float, ...]
    shift: tuple[float, ...]
    factor: float | None
    unlike: tuple[float, ...]


def refuse_streamed(runs: Sequence[Run]) -> None:
    """Say before the first run which predictors cannot be kept.

    Raises:
        UserError: a task's data are streamed.
    """
    for run in runs:
        if run.data.manifest.order is not None:
            raise UserError(
                f"--keep-models: the data of task {run.task.name} are streamed, whose predictors are not kept"
            )


def factor_of(validation: Mapping[str, float], kind: Kind) -> float | None:
    """What the validation examples' scores say answers should be scaled by; None where they cannot say.

    Where every class was right, the likelihood grows without end as the temperature falls: no temperature is the best.
    """
    factor = validation[SCALINGS[kind].parameter]
    has_no_end = kind == "categorical" and validation["accuracy"] == 1 and factor < 1
    return None if isnan(factor) or has_no_end else factor


def about_unlike(count: int) -> str:
    """What ``unlike`` rests on, of a run with ``count`` validation examples."""
    words = f"unlike: the share of {count:,} validation examples that are less strange, in steps of {1 / count:.2g}"
    return words + ("; so few tell little of how strange an input is" if count < FEW else "")


def model_file(run: Run, state: bytes, outcome: Outcome) -> bytes | None:
    """The bytes of the file that keeps a fitted predictor; None for a run that is not ok."""
    record = outcome.record
    if outcome.predictions is None or outcome.scores is None or record.audit.state is None:
        return None
    likelihood, spec = run.data.likelihood, read_spec(run.task.data.name)
    validation = parse_predictions(outcome.predictions, "predictions")["validation"]
    unlike = np.sort(ood_scores(validation)[OOD_SCORE[likelihood.kind]].astype(np.float32))
    with safe_open(run.data.folder / FIT, framework="np") as file:
        scale, shift = (tuple(file.get_tensor(name).reshape(-1).tolist()) for name in ("scale", "shift"))
        classes = tuple(json.loads(file.metadata()["classes"]))
    about = About(
        run_id=run.run_id,
        label=run.method.label,
        method=run.method.text,
        package=run.method.package,
        source=run.method.source_sha256,
        seed=run.seed,
        state=record.audit.state,
        task=_task(run),
        data=_without_places(spec),
        classes=classes,
        likelihood=likelihood.kind,
        outputs=likelihood.outputs,
        target=(run.data.manifest.target_mean, run.data.manifest.target_std),
        fills=run.data.manifest.fills,
        scale=scale,
        shift=shift,
        factor=factor_of(outcome.scores.sets["validation"], likelihood.kind),
        unlike=tuple(unlike.tolist()),
    )
    return _with_metadata(state, {"about": about.model_dump_json()})


def _task(run: Run) -> dict[str, Any]:
    """The task, without where its data and weights lie."""
    task = run.task.model_dump(mode="json", exclude={"ood", "shift"})
    task["data"]["name"] = read_spec(run.task.data.name).name
    return task | {"model": described(run.task.model)}


def _without_places(spec: DataSpec) -> dict[str, Any]:
    nowhere = {"sources": (), "near": (), "far": ()} | ({"published_corruptions": None} if spec.kind == "image" else {})
    return spec.model_copy(update=nowhere).model_dump(mode="json")


def _with_metadata(data: bytes, metadata: dict[str, str]) -> bytes:
    """A safetensors file with other metadata: its head is written anew, its tensors stay as they are."""
    size = int.from_bytes(data[:8], "little")
    head = {"__metadata__": metadata} | {k: v for k, v in json.loads(data[8 : 8 + size]).items() if k[:2] != "__"}
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def read_about(path: Path) -> About:
    """What the kept predictor at ``path`` says of itself.

    Raises:
        UserError: there is no such file, or it is none that `ivi run --keep-models` wrote.
    """
    try:
        with safe_open(path, framework="np") as file:
            words = (file.metadata() or {}).get("about")
        if words is None:
            raise ValueError("its metadata say nothing of a run")
        return About.model_validate_json(words)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: not a kept predictor that this program reads: {place}: {first['msg']}") from None
    except (OSError, SafetensorError, ValueError) as error:
        raise UserError(f"{path}: not a kept predictor: {error}") from None


def find_model(name: str, folder: Path, task: str | None = None, seed: int | None = None) -> Path:
    """The file of a kept predictor.

    Args:
        name: a path; or the run id or the method of a run in ``folder``. Of a method's seeds the lowest is taken.
        folder: of records.
        task: needed where several tasks have been run.
        seed: of the run.

    Raises:
        UserError: there is none, or several tasks have one.
    """
    if name.endswith(SUFFIX):
        return Path(name)
    shelf = read_all(folder)
    kept = [(one, path) for one, where in zip(shelf.records, shelf.paths, strict=True) if (path := model_of(where))]
    chosen = [(one, path) for one, path in kept if _means(name, one)]
    found = [
        (one, path)
        for one, path in chosen
        if task in (None, one.identity.task.name) and seed in (None, one.identity.seed)
    ]
    if not found:
        have = sorted({f"{one.label} (task {one.identity.task.name}, seed {one.identity.seed})" for one, _ in kept})
        rest = "there are " + ", ".join(have[:12]) if have else "make some with: ivi run ... --keep-models"
        raise UserError(f"no kept predictor {name!r} in {folder}; {rest}")
    tasks = sorted({one.identity.task.name for one, _ in found})
    if len(tasks) > 1:
        raise UserError(f"{name!r} was run on several tasks: say which with --task: {', '.join(tasks)}")
    newest = max(one.environment.started for one, _ in found)
    setting = next(one.identity.task.canonical for one, _ in found if one.environment.started == newest)
    same = [(one, path) for one, path in found if one.identity.task.canonical == setting]
    return min(same, key=lambda pair: (pair[0].identity.seed, -pair[0].attempt))[1]


def without_model(runs: Sequence[Run], shelf: Shelf) -> dict[str, int]:
    """Run id -> number of the next attempt, of the runs that are ok and whose predictor was not kept."""
    kept = {one.run_id for one, path in zip(shelf.records, shelf.paths, strict=True) if model_of(path)}
    ok = {one.run_id for one in shelf.records if one.status == "ok"}
    last = {one.run_id: one.attempt for one in sorted(shelf.records, key=lambda one: one.attempt)}
    return {run.run_id: last[run.run_id] + 1 for run in runs if run.run_id in ok - kept}


def model_of(record: Path) -> Path | None:
    """The kept predictor beside a record's file, if there is one."""
    path = beside(record, SUFFIX)
    return path if path.is_file() else None


def _means(name: str, record: Record) -> bool:
    return record.label == name or (len(name) >= 4 and record.run_id.startswith(name))
