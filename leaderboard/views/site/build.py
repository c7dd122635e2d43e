"""The whole site from folders of records."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from leaderboard.columns import column
from leaderboard.shelf import Finding
from leaderboard.store import slug
from leaderboard.table import Row
from leaderboard.views.cells import cell
from leaderboard.views.site import pictures
from leaderboard.views.site.answers import answers
from leaderboard.views.site.documents import Document, copied, documents, pages
from leaderboard.views.site.methods import MethodSeen, MethodText, method_name, methods_of
from leaderboard.views.site.numbers import embedded, page_data
from leaderboard.views.site.pages import Pages
from leaderboard.views.site.reading import BoardRead, Library, read_library
from leaderboard.views.site.runs import run_page
from leaderboard.views.site.tasks import TaskText, task_page
from leaderboard.views.site.words import RANKING
from leaderboard.views.text import plain

NAVIGATION = (("index.html", "start"), ("board.html", "board"), ("methods.html", "methods"), ("tasks.html", "tasks"))
_NLL = column("nll")
SEARCH = ("search.html", "documents")
CARDS = "docs/cards"
"""Where `ivi card` writes, below the root of the project."""


@dataclass(frozen=True)
class Texts:
    """What the project says of its own methods, tasks and suites, and where its documents lie.

    Attributes:
        methods, tasks: by name.
        suites: name of a suite -> what it is, for boards without a plan.
        root: of the project; None where it is installed without its documents.
    """

    methods: Mapping[str, MethodText] = field(default_factory=dict)
    tasks: Mapping[str, TaskText] = field(default_factory=dict)
    suites: Mapping[str, str] = field(default_factory=dict)
    root: Path | None = None


@dataclass(frozen=True)
class Built:
    """What was built: the first page, how many boards and rows, and files that are no records."""

    index: Path
    boards: int
    rows: int
    findings: Sequence[Finding]


@dataclass(frozen=True)
class _Site:
    """One call of `build`: what was read, where pages lie, and the pages."""

    library: Library
    texts: Texts
    rows: dict[tuple[str, str, str], str]
    tasks: dict[tuple[str, str], str]
    pages: Pages


def build(folder: Path, to: Path, texts: Texts | None = None) -> Built:
    """Write the site of all boards below ``folder`` to the folder ``to``; pages of an earlier one are replaced.

    Raises:
        ValueError: there are no records.
    """
    texts = texts or Texts()
    library = read_library(folder, texts.suites)
    if not library.boards:
        raise ValueError(f"no records in {folder}: make them with 'ivi run quick', or name the folder with --folder")
    found = documents(texts.root, to) if texts.root else []
    navigation = (*NAVIGATION, *([SEARCH] if found else []))
    site = _Site(library, texts, *addresses(library), Pages(to, navigation, _footer(library)))
    _board(site)
    _methods(site)
    _runs(site)
    _tasks(site)
    _documents(site, found)
    _index(site, found)
    rows = sum(len(board.board.rows) for board in library.boards)
    return Built(to / "index.html", len(library.boards), rows, library.findings)


def _footer(library: Library) -> str:
    """What the site was made from: the days of the runs, not of the building, so that it can be made again."""
    days = sorted({one.environment.started[:10] for one in library.records.values()})
    when = f", made {days[0]} to {days[-1]}" if days else ""
    return f"From {len(library.records):,} records{plain(when)}. Every number is that of ivi table."


def addresses(library: Library) -> tuple[dict[tuple[str, str, str], str], dict[tuple[str, str], str]]:
    """Where the page of each row and of each task of each board lies; rows of history have none but their task's."""
    rows, tasks = {}, {}
    for board in library.boards:
        for task in board.tasks:
            tasks[board.key, task] = f"tasks/{_name(board.key, task)}.html"
        for row in board.board.rows:
            page = f"runs/{_name(board.key, row.task, row.method)}.html"
            rows[board.key, row.task, row.method] = tasks[board.key, row.task] if _is_history(board, row) else page
    return rows, tasks


def _is_history(board: BoardRead, row: Row) -> bool:
    return board.lines[row.task, row.method].group.state == "history"


def _name(*parts: str) -> str:
    """A file's name that tells ``parts`` apart, whatever characters are in them."""
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]
    return "-".join(slug(part)[:40] for part in parts) + f"-{digest}"


def _method_page(name: str) -> str:
    return f"methods/{_name(name)}.html"


def _board(site: _Site) -> None:
    data = embedded(page_data(site.library, site.rows, site.tasks))
    site.pages.write("board.html", "board", "board", title="Board", wide=True, data=data)


def _methods(site: _Site) -> None:
    found = methods_of(site.library, site.texts.methods)
    listed = [
        {
            "name": name,
            "page": _method_page(name),
            "summary": seen.text.summary if seen.text else "",
            "rows": len(seen.rows),
        }
        for name, seen in found.items()
    ]
    site.pages.write("methods.html", "methods", title="Methods", methods=listed)
    for name, seen in found.items():
        rows = [_listed(site, board, row) for board, row, _ in sorted(seen.rows, key=lambda one: not one[1].ranked)]
        shown = {"list": rows, "pictures": _pictures(seen), "card": _card(site, name)}
        site.pages.write(_method_page(name), "method", "drawn", title=name, seen=seen, **shown)


def _card(site: _Site, name: str) -> str:
    """The picture of the method's card beside the documents' pages; empty where it has none."""
    root = site.texts.root
    return copied(root / CARDS / f"{name}.png", root, site.pages.to) if root and slug(name) == name else ""


def _listed(site: _Site, board: BoardRead, row: Row) -> dict[str, Any]:
    """A row in a list of rows."""
    state = board.lines[row.task, row.method].group.state
    nll = row.metrics.get("nll")
    return {
        "page": site.rows[board.key, row.task, row.method],
        "task_page": site.tasks[board.key, row.task],
        "name": plain(row.method),
        "task": plain(row.task),
        "board": plain(board.key),
        "n": row.n,
        "value": cell(nll, _NLL.digits, ends=True),
        "ranked": row.ranked,
        "badge": RANKING.get(state, (state or "not ranked", ""))[0],
        "reason": plain(row.reason),
    }


def _pictures(seen: MethodSeen) -> list[pictures.Pictures]:
    parts = []
    for board, row, line in sorted(seen.rows, key=lambda one: not one[1].ranked):
        name = f"{plain(row.method)} on {plain(row.task)} ({plain(board.key)})"
        if drawn := pictures.of_predictions(line):
            body = Markup('<div class="plots">{}</div>').format(Markup("").join(drawn))
            parts.append(pictures.Pictures(name, "From the stored predictions, all seeds.", body))
        if heat := pictures.corruptions(line):
            parts.append(pictures.Pictures(f"{name}: corruptions", "", heat))
    for board, task in dict.fromkeys((board.key, row.task) for board, row, _ in seen.rows):
        read = next(one for one, _, _ in seen.rows if one.key == board)
        if drawn := pictures.draws(read, task, seen.name):
            parts.append(pictures.Pictures(f"Quality against draws on {plain(task)} ({plain(board)})", "", drawn))
    return parts


def _runs(site: _Site) -> None:
    for board in site.library.boards:
        for row in (one for one in board.board.rows if not _is_history(board, one)):
            line = board.lines[row.task, row.method]
            shown = run_page(board, row, line, site.library)
            site.pages.write(
                site.rows[board.key, row.task, row.method],
                "run",
                title=f"{shown['name']} on {shown['task']}",
                view=urlencode({"board": board.key, "task": row.task, "row": f"{row.task}/{row.method}"}),
                method_page=_method_page(method_name(line)),
                task_page=site.tasks[board.key, row.task],
                **shown,
            )


def _tasks(site: _Site) -> None:
    listed = []
    for board in site.library.boards:
        for task in board.tasks:
            rows = [_listed(site, board, row) for row in board.board.rows if row.task == task]
            text, page = site.texts.tasks.get(task), site.tasks[board.key, task]
            view = urlencode({"board": board.key, "task": task})
            shown = task_page(board, task, site.library)
            site.pages.write(page, "task", "drawn", title=plain(task), text=text, view=view, list=rows, **shown)
            words = text.words if text else ""
            listed.append(
                {"page": page, "name": plain(task), "board": plain(board.key), "words": words, "rows": len(rows)}
            )
    site.pages.write("tasks.html", "tasks", title="Tasks", tasks=listed)


def _documents(site: _Site, found: Sequence[Document]) -> None:
    for page, (title, content) in pages(found).items():
        site.pages.write(page, "document", "drawn", title=title, content=content)
    if found:
        sections = [vars(section) for one in found for section in one.sections]
        links = [(one.page, one.title) for one in found]
        site.pages.write("search.html", "search", "search", title="Documents", documents=links, data=embedded(sections))


def _index(site: _Site, found: Sequence[Document]) -> None:
    parts = []
    for board in site.library.boards:
        for task in board.tasks:
            if shown := answers(board, task, site.rows):
                parts.append({"task": plain(task), "title": plain(board.title), "answers": shown})
    wanted = ("findings", "rules", "data", "metrics", "library", "adding_a_method", "reading_results")
    links = [(one.page, one.title) for one in found if one.path.stem in wanted]
    adding = next((one.page for one in found if one.path.stem == "adding_a_method"), "")
    site.pages.write("index.html", "index", "front", title="ivi", parts=parts, documents=links, adding=adding)
