"""Records of the first edition (schema 1, rules 1), as they are published: read, shown, verified, never ranked.

They hold metrics, and no hashes of labels or of the code, so that nobody can say today what they were made from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from leaderboard.identity import Part as _Part
from leaderboard.identity import Values, digest

RULES = 1
"""Of comparison, under which all of these were made."""
REASON = "history: made under rules 1"
"""Why they are not ranked."""

FolderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=120)]
Status = Literal["ok", "failed", "diverged", "out_of_memory", "skipped", "crashed"]


class OldTask(_Part):
    """The task: its name, version, and the fingerprint (SHA-256 of pixels and labels) of each of its sets."""

    name: FolderName
    version: int
    fingerprints: dict[str, str] = {}


class OldMethod(_Part):
    """The method: ``label`` names its row; ``package`` is None for one loaded from a path, which is never ranked."""

    label: str
    name: str
    package: str | None
    source_sha256: str
    parameters: Values
    resolved: Values
    recipe_changes: Values = {}


class OldCost(_Part):
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


class OldAudit(_Part):
    """What one would want to look up before believing a number: names of modules and parameters."""

    random: list[str] = []
    normalization: list[str] = []
    not_updated: list[str] = []


class OldEnvironment(_Part):
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


class OldPredictions(_Part):
    """The predictions file beside the record."""

    sha256: str
    sets: list[str]


class OldError(_Part):
    """Why a run is not ok."""

    reason: str
    traceback: str = ""


class OldRecord(_Part):
    """One run. ``metrics`` maps evaluation sets to metric values; `leaderboard.scoring` computes them."""

    schema_version: Literal[1] = 1
    rules: Literal[1] = RULES
    run_id: FolderName
    attempt: int = Field(default=1, ge=1)
    task: OldTask
    method: OldMethod
    seed: int
    status: Status
    metrics: dict[str, dict[str, float]] = {}
    cost: OldCost | None = None
    audit: OldAudit = Field(default_factory=OldAudit)
    environment: OldEnvironment
    predictions: OldPredictions | None = None
    error: OldError | None = None

    @property
    def code(self) -> str:
        """Not recorded then: all attempts count as made with the same code."""
        return ""

    @property
    def row(self) -> str:
        """What the runs of one row have in common: all that is known of it but the seed."""
        method = self.method
        return digest(["rules 1", self.setting, method.name, method.package, method.resolved, method.source_sha256])[
            :12
        ]

    @property
    def setting(self) -> str:
        """What the runs of one comparison have in common."""
        return digest(["rules 1", self.task.name, self.task.version, self.environment.device])[:12]


def path_of(folder: Path, record: OldRecord) -> Path:
    """Where ``record`` belongs below ``folder``: ``task/method/seed-runid.attempt.json``."""
    label = "".join(c if c.isalnum() or c in "-_=.," else "_" for c in record.method.label)[-120:]
    return folder / record.task.name / label / f"{record.seed}-{record.run_id}.{record.attempt}.json"
