"""The table of truth: what a task is, so that nobody's records have to be asked. One JSON file per task.

`python -m benchmarks.submission.truths` makes them from the harness.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import ValidationError, model_validator

from leaderboard.identity import Count, Name, Part, TaskIdentity, content_of
from leaderboard.record import RecordError, SetInfo, SetName
from leaderboard.shelf import first_of, read_bytes

TRUTHS = Path(__file__).parents[1] / "truth"
"""Where the tables lie that come with the program."""


class Truth(Part):
    """One task.

    Attributes:
        task: its identity; whoever ran another task ran another task.
        sets: every set that a record of it must have: how many examples, hashes of inputs and labels.
        steps: optimizer steps of the task's recipe, which MAP takes.
        suites: suite -> the seeds that a row of it must have.
    """

    schema_version: Literal[1] = 1
    task: TaskIdentity
    sets: dict[SetName, SetInfo]
    steps: Count
    suites: dict[Name, tuple[Count, ...]]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Truth:
        if content_of(self.sets) != self.task.data.content:
            raise ValueError("its sets are not those of the task's data content")
        return self


def read_truths(folder: Path = TRUTHS) -> dict[str, Truth]:
    """Task name -> its table, of every ``.json`` file in ``folder``.

    Raises:
        RecordError: one is damaged; one line.
    """
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            truth = Truth.model_validate_json(read_bytes(str(path)))
        except ValidationError as error:
            raise RecordError(f"{path}: no table of truth: {first_of(error)}") from None
        found[truth.task.name] = truth
    return found


def required(truths: Mapping[str, Truth], suite: str) -> dict[str, tuple[int, ...]]:
    """Task -> seeds that a row of ``suite`` must have; {} for a suite that no table names."""
    return {name: truth.suites[suite] for name, truth in truths.items() if suite in truth.suites}
