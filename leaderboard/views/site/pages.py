"""Templates, and what every page has: its styles and script inside of it, and a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

STATIC = files("leaderboard.views.site") / "static"
BOARD = ("statistics", "front", "text", "dom", "model", "table", "panels", "scatter", "board")
"""Scripts of the board's page, in the order in which they need each other."""
D3 = ("array", "color", "format", "interpolate", "path", "time", "time-format", "scale", "selection", "axis", "shape")
"""Parts of d3 in the order in which they need each other: the whole of it is more than twice as large."""
SCRIPTS = {
    "site": ("site.js",),
    "drawn": ("site.js",),
    "front": ("site.js",),
    "search": ("data.js", "site.js", "search.js"),
    "board": (
        *(f"vendor/d3-{name}.min.js" for name in D3),
        "data.js",
        *(f"board/{name}.js" for name in BOARD),
        "site.js",
    ),
}
STYLES = {
    "site": ("site.css",),
    "drawn": ("site.css", "plots.css"),
    "front": ("site.css", "answers.css"),
    "search": ("site.css",),
    "board": ("site.css", "plots.css", "board.css"),
}
"""Of each kind of page what it needs and no more, since it stands in every page."""


@dataclass(frozen=True)
class Pages:
    """Where pages are written, and what they have in common.

    Attributes:
        to: folder of the site.
        navigation: address and name of the pages that every page leads to.
        footer: what it was made from.
    """

    to: Path
    navigation: Sequence[tuple[str, str]]
    footer: str

    def write(self, address: str, template: str, kind: str = "site", **values: Any) -> None:
        """Write a page; ``kind`` is one of `SCRIPTS`; ``values`` are escaped by the template, but for ``data``.

        ``data`` must come from `numbers.embedded`, ``content`` from a renderer that lets no markup of others through.
        """
        script, styles = _joined(SCRIPTS[kind]), _tight(_joined(STYLES[kind]))
        shown = {"wide": False} | values
        shown |= {name: Markup(values[name]) for name in ("data", "content") if name in values}
        shown |= {"policy": policy(script, styles), "script": Markup(script), "styles": Markup(styles)}
        shown |= {
            "navigation": self.navigation,
            "footer": self.footer,
            "here": address,
            "up": "../" * address.count("/"),
        }
        page = _environment().get_template(f"{template}.html").render(shown)
        path = self.to / address
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")


def policy(script: str, styles: str) -> str:
    """The content security policy of a page: its own script and styles by their hashes, pictures beside it, no more."""
    return (
        f"default-src 'none'; script-src '{_sha256(script)}'; style-src '{_sha256(styles)}'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )


def _tight(styles: str) -> str:
    """Styles without comments and without the white space that says nothing: they stand in every page."""
    return re.sub(r"\s*([{};,])\s*|\s+", lambda found: found[1] or " ", re.sub(r"/\*.*?\*/", "", styles, flags=re.S))


def _sha256(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _joined(names: tuple[str, ...]) -> str:
    parts = [(STATIC / name).read_text(encoding="utf-8") for name in names]
    text = "\n".join(part if i == 0 else part.removeprefix('"use strict";\n') for i, part in enumerate(parts))
    text = re.sub(r"\n\s+", "\n", text)
    if "</script" in text.lower() or "</style" in text.lower():
        raise ValueError("a script or style of the site would end its own element")
    return text


def named(name: str) -> Markup:
    """A name that a page may break after ``_``, ``(``, ``,`` and ``=``, and not within a word; as `Dom.named`."""
    return Markup("<wbr>").join(re.split(r"(?<=[_(,=])(?! )", name))


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("leaderboard.views.site"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["named"] = named
    return made
