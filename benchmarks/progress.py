"""What one sees while a suite runs: which jobs, how far each is, time left for all."""

from __future__ import annotations

from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from benchmarks.measure.jobs import FitJob, Job, PredictJob
from benchmarks.runs import Run
from leaderboard.record import Record

STYLES = {"ok": "green", "skipped": "yellow"}


class SuiteProgress:
    """Bars on a terminal; one line per finished run everywhere. Nothing that a method says is read as markup.

    Args:
        console: where to draw.
        seconds: run id -> how long it may take (any unit), for all runs to come; the time left is reckoned from it.
    """

    def __init__(self, console: Console, seconds: dict[str, float]) -> None:
        self.console, self.seconds = console, seconds
        self.bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[phase]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.suite = self.bars.add_task("suite", total=sum(seconds.values()), phase="")
        self.jobs: dict[str, TaskID] = {}
        self.done: set[str] = set()

    def __enter__(self) -> SuiteProgress:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def take(self, reports: SimpleQueue[tuple[Any, str, int, int]]) -> None:
        """Show what jobs have said of themselves since the last time."""
        latest = {}
        while not reports.empty():
            job, phase, done, total = reports.get()
            latest[title_of(job)] = (phase, done, total)
        for title, (phase, done, total) in latest.items():
            if title not in self.jobs:
                self.jobs[title] = self.bars.add_task(title, total=1.0, phase=phase)
            self.bars.update(self.jobs[title], completed=done / max(1, total), phase=phase)
            if phase == "look closer" or (phase == "predict" and done == total):
                self.bars.remove_task(self.jobs.pop(title))

    def finish(self, run: Run, record: Record, path: Path) -> None:
        """A run has ended."""
        self.done.add(run.run_id)
        self.bars.update(self.suite, completed=sum(self.seconds[key] for key in self.done))
        line = Text(f"[{len(self.done)}/{len(self.seconds)}] {run.title}  ")
        line.append(record.status, STYLES.get(record.status, "red"))
        if record.cost:
            line.append(f"  {record.cost.fit_s + record.cost.predict_s:.1f} s")
        if record.error:
            line.append(f"  {record.error.reason}  → {path}")
        self.console.print(line, highlight=False, soft_wrap=True)


def title_of(job: Job) -> str:
    """What a person calls a job."""
    setting, member = job.setting, job.member if isinstance(job, FitJob) else 0
    what = f" · member {member}" if member else ""
    step = " (predict)" if isinstance(job, PredictJob) else ""
    return f"{setting.task.name} · {setting.method.label} · seed {setting.seed}{what}{step}"
