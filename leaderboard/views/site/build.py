"""The whole site from folders of records."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from leaderboard.shelf import Finding
from leaderboard.store import slug
from leaderboard.views.site.numbers import embedded, page_data
from leaderboard.views.site.pages import Pages
from leaderboard.views.site.reading import Library, read_library

NAVIGATION = (("index.html", "start"), ("board.html", "board"), ("methods.html", "methods"), ("tasks.html", "tasks"))


@dataclass(frozen=True)
class Built:
    """What was built: the first page, how many boards and rows, and files that are no records."""

    index: Path
    boards: int
    rows: int
    findings: Sequence[Finding]


def build(folder: Path, to: Path) -> Built:
    """Write the site of all boards below ``folder`` to the folder ``to``; pages of an earlier one are replaced.

    Raises:
        ValueError: there are no records.
    """
    library = read_library(folder)
    if not library.boards:
        raise ValueError(f"no records in {folder}: make them with 'ivi run quick', or name the folder with --folder")
    rows = sum(len(board.board.rows) for board in library.boards)
    pages = Pages(to, NAVIGATION, "")
    of_rows, of_tasks = addresses(library)
    data = embedded(page_data(library, of_rows, of_tasks))
    pages.write("board.html", "board", "board", title="Board", wide=True, data=data)
    return Built(to / "board.html", len(library.boards), rows, library.findings)


def addresses(library: Library) -> tuple[dict[tuple[str, str, str], str], dict[tuple[str, str], str]]:
    """Where the page of each row and of each task of each board lies."""
    rows, tasks = {}, {}
    for board in library.boards:
        for task in board.tasks:
            tasks[board.key, task] = f"tasks/{_name(board.key, task)}.html"
        for row in board.board.rows:
            rows[board.key, row.task, row.method] = f"runs/{_name(board.key, row.task, row.method)}.html"
    return rows, tasks


def _name(*parts: str) -> str:
    """A file's name that tells ``parts`` apart, whatever characters are in them."""
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]
    return "-".join(slug(part)[:40] for part in parts) + f"-{digest}"
