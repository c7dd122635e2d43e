"""How method specs are written: ``name(parameter=value, ...)``. Values are numbers, booleans, None, words and lists."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from baselines.names import UserError

LONGEST = 1000
CALL = re.compile(r"(?P<name>.+?\.py:[\w.]+|[^()]+?)\s*(?:\((?P<arguments>.*)\))?")
TEXT = re.compile(r"[A-Za-z0-9 _.,=()+/-]*")
"""What a parameter that is a string may hold: what prints everywhere and marks up text nowhere."""
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_./+-]*")
"""A string that needs no quotes."""
CONSTANTS = {"true": True, "false": False, "True": True, "False": False, "None": None}


def split(text: str) -> list[str]:
    """Split a comma-separated list of specs, but not inside parentheses.

    Raises:
        UserError: a parenthesis or a quote in one is not closed.
    """
    return [part.strip() for part in _parts(text, depth=0) if part.strip()]


def call(text: str) -> tuple[str, dict[str, str]]:
    """The name and the arguments, as they are written, of a spec.

    Raises:
        UserError: the text has another form.

    Example:
        >>> call("deep_ensemble(of=kl_vi(rank=2), members=3)")
        ('deep_ensemble', {'of': 'kl_vi(rank=2)', 'members': '3'})
    """
    match = CALL.fullmatch(text.strip()) if len(text) <= LONGEST else None
    if match is None:
        raise UserError(f"'{text[:80]}' is no method: write a name, or name(parameter=value, parameter=value)")
    arguments: dict[str, str] = {}
    for part in filter(str.strip, _parts(match["arguments"] or "", depth=1)):
        key, separator, written = (piece.strip() for piece in part.partition("="))
        if not (key and separator and written):
            raise UserError(f"'{part.strip()}' in '{text}': parameters are written name=value")
        if key in arguments:
            raise UserError(f"'{text}' gives {key} twice")
        arguments[key] = written
    return match["name"], arguments


def value(text: str) -> Any:
    """What is written as ``text``: what has quotes is a string, what looks like a number or a list is one.

    Raises:
        UserError: a string holds a character that does not print everywhere.
    """
    if text in CONSTANTS:
        return CONSTANTS[text]
    if text.startswith("(") and text.endswith(")"):
        return tuple(value(part.strip()) for part in _parts(text[1:-1], depth=1) if part.strip())
    for number in (int, float):
        try:
            found = number(text) if text.isascii() else math.nan
        except ValueError:
            continue
        if math.isfinite(found) and abs(found) < 2**1000:
            return found + 0 if isinstance(found, int) else found + 0.0  # -0.0 is 0.0
    return unquoted(text)


def unquoted(text: str) -> str:
    """A string without its quotes.

    Raises:
        UserError: it holds a character that does not print everywhere.
    """
    if len(text) > 1 and text[0] in "'\"" and text[-1] == text[0]:
        text = text[1:-1]
    if not TEXT.fullmatch(text):
        odd = next(c for c in text if not TEXT.fullmatch(c))
        raise UserError(f"'{text[:80]}' holds {ascii(odd)}: strings are letters, digits, spaces and _ . , = ( ) + / -")
    return text


def written(one: Any) -> str:
    """How a value is written: `value` reads it back."""
    if isinstance(one, str):
        return one if WORD.fullmatch(one) and value(one) == one else f"'{one}'"
    if isinstance(one, list | tuple):
        inside = ", ".join(map(written, one))
        return f"({inside},)" if len(one) == 1 else f"({inside})"
    return str(one)


def _parts(text: str, depth: int) -> Iterator[str]:
    """The parts between commas outside of parentheses. Quotes count inside of parentheses only: paths may hold one."""
    outer, start, quote = depth, 0, ""
    for index, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif depth and char in "'\"":
            quote = char
        elif char in "()":
            depth += 1 if char == "(" else -1
            if depth < outer:
                break
        elif char == "," and depth == outer:
            yield text[start:index]
            start = index + 1
    if quote or depth != outer:
        raise UserError(f"'{text[:80]}' is no method or list of methods: a parenthesis or quote is not closed")
    yield text[start:]
