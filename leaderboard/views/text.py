"""Text that strangers wrote, made safe to show: one line, nothing hidden, nothing that a terminal would obey."""

from __future__ import annotations

import re
import unicodedata

_HIDDEN = {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}
"""Categories of what has no shape: control characters, format characters (direction, zero width), surrogates ..."""
_BLANK = re.compile(
    "[\u00a0\u034f\u115f\u1160\u17b4\u17b5\u2000-\u200a\u202f\u205f\u2800\u3000\u3164\uffa0\ufe00-\ufe0f]"
)
_PLAIN = re.compile(r"[ -~]*")


def plain(text: str) -> str:
    r"""``text`` in one line in which everything can be seen: what has no shape of its own is shown as ``\x1b``.

    Letters of all scripts stay as they are.
    """
    if _PLAIN.fullmatch(text):
        return text
    return "".join(map(_seen, text))


def _seen(character: str) -> str:
    if unicodedata.category(character) in _HIDDEN or _BLANK.match(character):
        return character.encode("unicode_escape", "backslashreplace").decode()
    return character
