"""Write TOML that people go on editing: one key a line, tables of more than a line's width broken up."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

WIDTH = 110


def dumps(table: Mapping[str, Any], notes: Sequence[str] = ()) -> str:
    """``table`` as TOML, ``notes`` as comments above it; a mapping in it is a table of its own, a list of them several.

    Values are text, numbers, booleans, lists and mappings of these. None is left out.
    """
    lines = [f"# {note}" for note in notes] + ([""] if notes else [])
    return "\n".join([*lines, *_lines(table, "")]).strip() + "\n"


def _lines(table: Mapping[str, Any], above: str) -> Iterator[str]:
    for key, value in table.items():
        if value is not None and not _is_table(value):
            yield f"{_key(key)} = {_value(value)}"
    for key, value in table.items():
        name = f"{above}{_key(key)}"
        if isinstance(value, Mapping):
            yield from ("", f"[{name}]", *_lines(value, f"{name}."))
        elif _is_table(value):
            for one in value:
                yield from ("", f"[[{name}]]", *_lines(one, f"{name}."))


def _is_table(value: Any) -> bool:
    several = isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)
    return isinstance(value, Mapping) or several


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Sequence):
        cells = [_value(one) for one in value]
        line = f"[{', '.join(cells)}]"
        return line if len(line) <= WIDTH else "[\n" + "".join(f"    {cell},\n" for cell in cells) + "]"
    return repr(value)
