"""Write TOML that people go on editing: one key a line, short tables in a line of their own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

WIDTH = 110


def dumps(table: Mapping[str, Any], notes: Sequence[str] = ()) -> str:
    """``table`` as TOML, ``notes`` as comments above it.

    Values are text, numbers, booleans, lists and mappings of these; None is left out. At the top a list of mappings is
    several tables, a mapping of mappings or lists one dotted key each, any other mapping a table.
    """
    lines = [f"# {note}" for note in notes] + ([""] if notes else [])
    return "\n".join([*lines, *_lines(table)]).strip() + "\n"


def _lines(table: Mapping[str, Any]) -> Iterator[str]:
    headed = {key: value for key, value in table.items() if _is_headed(value)}
    for key, value in table.items():
        if value is None or key in headed:
            continue
        parts = value.items() if isinstance(value, Mapping) else ()
        yield from [f"{_key(key)}.{_key(one)} = {_value(inner)}" for one, inner in parts] or [
            f"{_key(key)} = {_value(value)}"
        ]
    for key, value in headed.items():
        several = isinstance(value, list)
        for one in value if several else [value]:
            head = f"[[{_key(key)}]]" if several else f"[{_key(key)}]"
            yield from ("", head, *(f"{_key(name)} = {_value(inner)}" for name, inner in one.items()))


def _is_headed(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, Mapping) for one in value)
    return isinstance(value, Mapping) and any(not isinstance(one, Mapping | list) for one in value.values())


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items()) + " }"
    if isinstance(value, Sequence):
        cells = [_value(one) for one in value]
        line = f"[{', '.join(cells)}]"
        return line if len(line) <= WIDTH else "[\n" + "".join(f"    {cell},\n" for cell in cells) + "]"
    return repr(value)
