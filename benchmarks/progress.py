"""What one sees while a suite runs: which runs, how far each is, time left for all."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.suite import Run
from leaderboard.record import Record

MARKS = {"ok": "[green]ok[/]", "skipped": "[yellow]skipped[/]"}


class SuiteProgress:
    """Bars on a terminal; one line per finished run everywhere.

    Args:
        console: where to draw.
        seconds: run_id -> how long it may take (any unit), for all runs to come; the time left is reckoned from it.
    """

    def __init__(self, console: Console, seconds: dict[str, float]) -> None:
        self.console, self.seconds = console, seconds
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[phase]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.suite = self.bars.add_task("suite", total=sum(seconds.values()), phase="")
        self.runs: dict[str, TaskID] = {}
        self.done: dict[str, float] = {}

    def __enter__(self) -> SuiteProgress:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def advance(self, run: Run, phase: str, done: int, total: int) -> None:
        """A run says how far it is."""
        if run.run_id not in self.runs:
            self.runs[run.run_id] = self.bars.add_task(run.label, total=1.0, phase=phase)
        fraction = done / max(1, total)
        self.bars.update(self.runs[run.run_id], completed=fraction, phase=phase)
        if phase == "fit":  # an ensemble fits several times: never go back
            self.done[run.run_id] = max(self.done.get(run.run_id, 0.0), 0.9 * fraction)
            self._update()

    def finish(self, run: Run, record: Record) -> None:
        """A run has ended."""
        if run.run_id in self.runs:
            self.bars.remove_task(self.runs.pop(run.run_id))
        self.done[run.run_id] = 1.0
        self._update()
        seconds = f"  {record.cost.fit_s + record.cost.predict_s:.1f} s" if record.cost else ""
        reason = f"  {record.error.reason}" if record.error else ""
        count = f"[{sum(value == 1.0 for value in self.done.values())}/{len(self.seconds)}]"
        mark = MARKS.get(record.status, f"[red]{record.status}[/]")
        self.console.print(f"\\{count} {run.label}  {mark}{seconds}{reason}", highlight=False)

    def _update(self) -> None:
        self.bars.update(self.suite, completed=sum(self.seconds[key] * part for key, part in self.done.items()))
