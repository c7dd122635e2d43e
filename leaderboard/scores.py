"""Scores beside a record: every metric of its predictions, made anew by whoever doubts them.

A record says what happened; the metrics of its predictions lie beside it, with the version of the metrics that made
them. So a new metric makes scores old, never wrong, and touches no record. JSON has no NaN: here NaN and the infinities
are the strings "NaN", "Infinity" and "-Infinity".
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from leaderboard import shelf
from leaderboard.predictions import kind_of, parse_predictions, read_bytes
from leaderboard.record import RecordError
from leaderboard.scoring import score
from leaderboard.store import write_once

METRICS_VERSION = 3
"""Grows when `leaderboard.scoring.score` gives more metrics than before, or another value of one.

1: as stored in records of the first schema. 2: AUGRC, classwise ECE, predictions of numbers.
3: classes after vector, matrix and isotonic calibration.
"""
SCHEMA = 1
SUFFIX = ".scores.json"


class ScoresError(RecordError):
    """A file of scores cannot be read; the message names the file and what is wrong."""


class Scores(BaseModel):
    """The metrics of one run.

    Attributes:
        schema_version: of these fields.
        metrics_version: `METRICS_VERSION` of the program that made them; where it is lower than ours they are old: what
            they hold is right, and `score_file` gives more.
        kind: of the predictions.
        predictions: SHA-256 of the file of predictions that they were made from.
        sets: evaluation set -> metric -> value, as `leaderboard.scoring.score` gives them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    schema_version: Literal[1] = SCHEMA
    metrics_version: Annotated[int, Field(ge=1, strict=True)] = METRICS_VERSION
    kind: Literal["categorical", "gaussian"]
    predictions: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    sets: dict[str, dict[str, float]]

    @model_validator(mode="after")
    def _is_not_newer(self) -> Scores:
        if self.metrics_version > METRICS_VERSION:
            made = f"made by version {self.metrics_version} of the metrics"
            raise ValueError(f"{made}, this program has {METRICS_VERSION}: update it")
        return self

    @property
    def is_old(self) -> bool:
        """Whether this program gives metrics that are not here."""
        return self.metrics_version < METRICS_VERSION


def scores_path(path: Path) -> Path:
    """Where the scores of a run lie, from where its record or its predictions do: beside them, under the same name."""
    return path.with_suffix(SUFFIX)


def score_file(predictions_path: Path) -> Scores:
    """The scores of a file of predictions; they are not written.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or cannot be scored; the file and the evaluation set are named.
    """
    return score_bytes(read_bytes(predictions_path), str(predictions_path))


def score_bytes(data: bytes, where: str) -> Scores:
    """As `score_file`, from the bytes of the file ``where``."""
    sets = parse_predictions(data, where)
    try:
        metrics = score(sets)
    except ValueError as error:
        raise ValueError(f"{where}: cannot be scored: {error}") from error
    return Scores(kind=kind_of(sets), predictions=hashlib.sha256(data).hexdigest(), sets=metrics)


def write_scores(path: Path, scores: Scores) -> Path:
    """Write ``scores`` beside the record or predictions at ``path``, whole or not at all, in place of older ones."""
    target = scores_path(path)
    write_once(target, scores.model_dump_json(indent=1).encode() + b"\n", replace=True)
    return target


def read_scores(path: Path) -> Scores | None:
    """The scores beside the record or predictions at ``path``, of this or an older version; None where there are none.

    Raises:
        ScoresError: they are damaged, or newer than this program.
    """
    target = os.path.splitext(path)[0] + SUFFIX  # in place of `scores_path`: a path for every run takes its time
    try:
        return Scores.model_validate_json(shelf.read_bytes(target))
    except shelf.NoFile:
        return None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ScoresError(f"{target}: not scores: {place!r}: {first['msg']}") from None
    except RecordError as error:
        raise ScoresError(f"{target}: not scores: need a regular file that can be read: it {error}") from None
