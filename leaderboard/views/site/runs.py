"""What the page of a row shows: every seed's numbers, costs and files, and the whole error of a failure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from leaderboard.elsewhere import HISTORY, place_of
from leaderboard.history import OldPredictions, OldRecord
from leaderboard.record import PredictionsInfo, Record
from leaderboard.results import Result
from leaderboard.shelf import LOG, beside
from leaderboard.table import Line, Row
from leaderboard.views.site.numbers import command_of, cost_command_of, verified_of
from leaderboard.views.site.reading import BoardRead, Library
from leaderboard.views.site.words import RANKING, VERIFIED
from leaderboard.views.text import plain

LONGEST_LOG = 20_000
"""Characters of a log that are shown, from its end."""
COSTS = {
    "fit_s": "training, s",
    "shared_s": "of that taken over, s",
    "predict_s": "prediction, s",
    "predict_examples": "examples predicted",
    "steps": "optimizer steps",
    "parameters": "parameters",
    "state_bytes": "stored, bytes",
    "peak_memory_fit": "peak memory of training, bytes",
    "peak_memory_predict": "peak memory of prediction, bytes",
    "fit_flops": "training, FLOPs",
    "predict_flops": "one prediction, FLOPs",
}


@dataclass(frozen=True)
class Table:
    """A head and lines of text; the first of each line names it."""

    title: str
    head: Sequence[str]
    lines: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Failure:
    """Why a run is not ok: its reason, and what the program said."""

    seed: int
    status: str
    reason: str
    traceback: str
    log: str


ESSENTIAL = ("accuracy", "nll", "nll_scaled", "brier", "ece", "ece_debiased", "ece_scaled", "temperature")
ESSENTIAL += ("rmse", "crps", "coverage_95", "variance_factor", "auroc_max_probability", "auroc_variance")
"""Metrics of which the page of a row shows every seed: the scores beside a record have all."""
CHOICES = ("accuracy", "nll", "nll_scaled", "rmse")
"""Of the validation set: what something may be chosen by."""


def run_page(board: BoardRead, row: Row, line: Line, library: Library) -> dict[str, Any]:
    """What the template shows of one row."""
    group = line.group
    results = [group.results[seed] for seed in sorted(group.results)]
    records = [library.records[one.path] for one in results]
    badge, meaning = RANKING.get(group.state, (group.state or "not ranked", ""))
    return {
        "row": row,
        "name": plain(row.method),
        "task": plain(row.task),
        "badge": badge,
        "meaning": meaning,
        "reason": plain(row.reason),
        "notes": [plain(note) for note in row.notes],
        "command": command_of(group),
        "costs_by": cost_command_of(group),
        "check": f"ivi verify {plain(str(board.folder))}",
        "verified": VERIFIED[verified_of(group)],
        "identity": _identity(results, records),
        "tables": [*_metrics(results), _costs(results), _files(results, records)] if results else [],
        "environment": _environment(records),
        "failures": [_failure(one, record) for one, record in zip(results, records, strict=True) if record.error],
    }


def _identity(results: Sequence[Result], records: Sequence[Record | OldRecord]) -> list[tuple[str, str]]:
    """What all runs of the row have in common."""
    if not results:
        return []
    one, record = results[0], records[0]
    facts = [("row", one.row), ("setting", one.setting), ("method", f"{one.method[0]}, source {one.method[1]}")]
    facts += [("hyperparameters", json.dumps(one.method[2], ensure_ascii=False)), ("device", one.device)]
    if isinstance(record, Record):
        facts += [("rules", str(record.identity.rules)), ("who", record.origin.who or "the maintainers")]
    else:
        facts += [("rules", "1: history")]
    return [(name, plain(str(value))) for name, value in facts]


def _metrics(results: Sequence[Result]) -> list[Table]:
    """One table: what is `ESSENTIAL` of every evaluation set, as the names of columns, and seeds across.

    Single corruptions are on the page of the method.
    """
    made = [one for one in results if one.metrics]
    sets = sorted({name for one in made for name in one.metrics if name.count("/") < 2}, key=lambda n: (n != "test", n))
    lines = []
    for name in sets:
        keys = dict.fromkeys(key for one in made for key in one.metrics.layout.get(name, ()))
        for key in (key for key in keys if key in (CHOICES if name == "validation" else ESSENTIAL)):
            lines.append([f"{plain(name)}:{key}", *(_number(one.metrics.number(name, key)) for one in made)])
    return [Table("Every seed", ["column", *(f"seed {one.seed}" for one in made)], lines)] if lines else []


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{int(value):,}" if float(value).is_integer() else f"{value:.5g}"


def _costs(results: Sequence[Result]) -> Table:
    made = [one for one in results if one.cost]
    lines = [[words, *(_number(one.cost.get(key)) for one in made)] for key, words in COSTS.items()]
    return Table("Cost of each run", ["", *(f"seed {one.seed}" for one in made)], lines)


def _environment(records: Sequence[Record | OldRecord]) -> list[tuple[str, str]]:
    """What the runs were made with: once where all of them agree."""
    kinds = ("commit", "dirty", "code", "python", "device_name", "cpu", "capability", "threads", "started")
    seen = {key.replace("_", " "): [getattr(one.environment, key, None) for one in records] for key in kinds}
    facts = [(plain(key), _agreed(values)) for key, values in seen.items() if any(one is not None for one in values)]
    names = sorted({name for one in records for name in one.environment.packages})
    packages = [f"{plain(name)} {_agreed([one.environment.packages.get(name) for one in records])}" for name in names]
    return [*facts, ("packages", "; ".join(packages))] if packages else facts


def _agreed(values: Sequence[object]) -> str:
    """The one value, or each with how many runs have it; of many the first and the last, which those of a time are."""
    count = Counter(plain("unknown" if one is None else str(one)) for one in values)
    if len(count) == 1:
        return next(iter(count))
    if len(count) == len(values) > 3:
        return f"{min(count)} to {max(count)}"
    return ", ".join(f"{one} ({n} runs)" if n > 1 else f"{one} (1 run)" for one, n in count.items())


def _files(results: Sequence[Result], records: Sequence[Record | OldRecord]) -> Table:
    lines = []
    for result, record in zip(results, records, strict=True):
        info = record.predictions
        where = _where(result, info) if info else "none"
        log = "kept" if beside(result.path, LOG).is_file() else "empty"
        values = [
            f"seed {result.seed}",
            result.status,
            str(result.attempt),
            result.run_id,
            info.sha256 if info else "–",
        ]
        lines.append([plain(value) for value in (*values, where, log)])
    head = ["run", "status", "attempt", "run id", "SHA-256 of its predictions", "they are", "log"]
    return Table("Runs and their files", head, lines)


def _where(result: Result, info: PredictionsInfo | OldPredictions) -> str:
    if result.predictions.is_file():
        return "here"
    is_kept = isinstance(info, PredictionsInfo) and place_of(result.path, info).address == HISTORY
    return "in the repository's history" if is_kept else "not in this folder"


def _failure(one: Result, record: Record | OldRecord) -> Failure:
    assert record.error is not None
    file, log = beside(one.path, LOG), ""
    if file.is_file() and not file.is_symlink():
        log = file.read_text(errors="replace")[-LONGEST_LOG:]
    traceback = "\n".join(map(plain, record.error.traceback.splitlines()))
    logged = "\n".join(map(plain, log.splitlines()))
    return Failure(one.seed, one.status, plain(record.error.reason), traceback, logged)
