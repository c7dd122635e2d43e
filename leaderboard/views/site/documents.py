"""The project's documents on the site: Markdown without raw HTML, links between them kept, and an index to search."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

PICTURES = {".png", ".jpg", ".jpeg"}
BOARD = ("leaderboard/README.md", "board.html")
"""The document whose tables are another page of the site: links to it lead there."""
_COMMENT = re.compile(r"^<!--.*?-->\n?", re.M)


@dataclass(frozen=True)
class Section:
    """A heading of a document and the text below it."""

    page: str
    document: str
    title: str
    text: str


@dataclass
class Document:
    """One document: its file, its address on the site, and what it renders to.

    Attributes:
        page: its address.
    """

    path: Path
    page: str
    title: str
    content: str = ""
    sections: list[Section] = field(default_factory=list)


def documents(root: Path, to: Path) -> list[Document]:
    """The project's documents for its users, below ``root``, rendered; pictures they show are copied below ``to``.

    What was decided and why is for those who have the repository: links there become text.
    """
    beside = [path for path in sorted((root / "leaderboard").glob("*.md")) if path != root / BOARD[0]]
    paths = [root / "README.md", *beside, root / "CONTRIBUTING.md"]
    paths += sorted((root / "docs").glob("*.md"))
    found = {path.resolve(): Document(path, _page(root, path), _title(path)) for path in paths if path.is_file()}
    for one in found.values():
        _render(one, root, to, found)
    return list(found.values())


def pages(found: Iterable[Document]) -> dict[str, tuple[str, str]]:
    """Address -> title and content of every page that the documents are on."""
    return {one.page: (one.title, one.content) for one in found}


def _page(root: Path, path: Path) -> str:
    inner = path.relative_to(root).with_suffix("").as_posix().removeprefix("docs/")
    return f"docs/{inner.replace('/', '-')}.html"


def _title(path: Path) -> str:
    heading = re.search(r"^# (.+)$", path.read_text(), re.M)
    return heading[1].replace("`", "") if heading else path.stem


def _render(one: Document, root: Path, to: Path, known: dict[Path, Document]) -> None:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("table_open", lambda *_: '<div class="scroll" tabindex="0"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    tokens = parser.parse(_COMMENT.sub("", one.path.read_text()))
    taken: dict[str, int] = {}
    title, anchor, text = one.title, "", []
    for i, token in enumerate(tokens):
        _aligned(token)
        if token.type == "fence" or token.type == "code_block":
            token.attrs = {}
            text.append(token.content)
        if token.type == "heading_open":
            _close(one, title, anchor, text)
            title, text = _words(tokens[i + 1]), []
            anchor = _anchor(title, taken)
            token.attrSet("id", anchor)
        elif token.type == "inline":
            text.append(_words(token))
            for child in token.children or []:
                _link(child, one, root, to, known)
    _close(one, title, anchor, text)
    content = str(parser.renderer.render(tokens, parser.options, {}))
    one.content = content.replace("<pre>", '<pre tabindex="0">')


def _aligned(token: Token) -> None:
    """Alignment of a table's cell as a class: the policy lets no style attribute in."""
    style = str(token.attrs.pop("style", ""))
    if "right" in style:
        token.attrSet("class", "number")


def _close(one: Document, title: str, anchor: str, text: list[str]) -> None:
    if text or title != one.title:
        page = f"{one.page}#{anchor}" if anchor else one.page
        one.sections.append(Section(page, one.title, title, " ".join(text)))


def _words(token: Token) -> str:
    kinds = ("text", "code_inline", "softbreak")
    return "".join(child.content or " " for child in token.children or [] if child.type in kinds)


def _anchor(title: str, taken: dict[str, int]) -> str:
    """As on GitHub: lower case, no punctuation, hyphens for spaces."""
    base = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
    taken[base] = taken.get(base, -1) + 1
    return f"{base}-{taken[base]}" if taken[base] else base


def _link(token: Token, one: Document, root: Path, to: Path, known: dict[Path, Document]) -> None:
    """Point at the page or picture on the site; what is not on it becomes text."""
    if token.type == "image":
        source = str(token.attrs.get("src", ""))
        path = (one.path.parent / source).resolve()
        token.attrSet("src", copied(path, root, to))
    elif token.type == "link_open":
        target = str(token.attrs.get("href", ""))
        if re.match(r"https?:", target) or target.startswith("#"):
            return
        name, _, anchor = target.partition("#")
        path = (one.path.parent / name).resolve()
        if path == (root / BOARD[0]).resolve():
            token.attrSet("href", f"../{BOARD[1]}")
            return
        there = known.get(path)
        if there is None:
            token.attrs = {"class": "soft", "title": f"{target}, in the project's repository"}
        else:
            token.attrSet("href", there.page.removeprefix("docs/") + (f"#{anchor}" if anchor else ""))


def copied(path: Path, root: Path, to: Path) -> str:
    """A picture of the project beside the documents' pages, by a name of its own; empty for anything else."""
    if path.suffix.lower() not in PICTURES or not path.is_file() or not path.is_relative_to(root.resolve()):
        return ""
    name = f"{path.stem}-{hashlib.sha256(str(path.relative_to(root.resolve())).encode()).hexdigest()[:6]}{path.suffix}"
    target = to / "docs" / "pictures" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    return f"pictures/{name}"
