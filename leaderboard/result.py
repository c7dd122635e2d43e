"""A run with its scores, as tables, comparisons and figures know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from leaderboard.identity import TaskIdentity
from leaderboard.packed import Packed, Row
from leaderboard.shelf import PREDICTIONS, beside


@dataclass(frozen=True)
class Result:
    """One run.

    Attributes:
        file: path of its record.
        run_id, row, setting: those of its identity; of the first edition what corresponds to them.
        task, version: of the task.
        label: what people call its method; ``method``: name, source and parameters.
        is_base: whether it is a run of MAP as it comes, by all that the record says.
        metrics: evaluation set -> metric -> value; empty for a run that is not ok, or not scored.
        cost: what was measured in the run, by the names of `record.Cost`; empty for a run that is not ok.
        metrics_version: of the metrics, when they were computed.
        device, device_name: class and name.
        stack: versions of `STACK`, and the hash of our code under "code" where it was recorded.
        classes, test_size: of the test set; None where unknown or no classes.
        doubt: why it cannot be ranked, whatever stands beside it; empty if it may.
        notes: what a reader of its row should know.
        likelihood: as in the task's identity.
        identity: the task's; None in the first edition.
        started: when it was made, as ISO 8601.
        state: what the board has seen of it: `record.State`, or ``stale``.
        beside: of a submitted run: MAP's runs of its machine, by seed.
    """

    file: str
    run_id: str
    row: str
    setting: str
    task: str
    version: int
    label: str
    method: tuple[object, ...]
    is_base: bool
    seed: int
    attempt: int
    status: str
    reason: str
    metrics: Packed
    cost: Row
    device: str
    device_name: str
    stack: tuple[tuple[str, str], ...]
    doubt: str = ""
    notes: tuple[str, ...] = ()
    metrics_version: int = 1
    is_history: bool = False
    likelihood: str = "categorical"
    classes: int | None = None
    test_size: int | None = None
    identity: TaskIdentity | None = field(default=None, repr=False)
    started: str = ""
    state: str = "own"
    beside: Mapping[int, Result] | None = field(default=None, repr=False)

    @classmethod
    def of_fields(cls, *parts: Mapping[str, object]) -> Result:
        """As the constructor, given every field, in a tenth of its time: a frozen dataclass sets each by a call."""
        made = object.__new__(cls)
        for part in parts:
            vars(made).update(part)
        return made

    @property
    def path(self) -> Path:
        """Of its record. Made when it is asked for: ten thousand of them take longer than a table."""
        return Path(self.file)

    @property
    def predictions(self) -> Path:
        """Where its predictions lie, if they are here."""
        return beside(self.path, PREDICTIONS)

    @property
    def code(self) -> str:
        """What says whether two attempts were made with the same code."""
        return dict(self.stack).get("code", "")

    @property
    def is_ok(self) -> bool:
        """Whether it succeeded and its numbers are known."""
        return self.status == "ok" and bool(self.metrics.layout)
