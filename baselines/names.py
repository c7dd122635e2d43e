"""Names that people type or packages bring: what they look like, and what to say when one is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
"""Names of methods, tasks, suites and data sets: fit for a file's name, a cell of any table and a shell."""
MOST = 60
"""Names that are all listed where one is wrong; of more, the nearest."""
LABEL = re.compile(r"[a-z0-9][A-Za-z0-9 _.,=()'+/-]{0,199}")
"""What a row may be called: a method spec in printable ASCII, with nothing that marks up text anywhere."""


def one_line(text: str) -> str:
    """``text`` with everything escaped that does not print: line ends, controls, bidi marks, lone surrogates.

    Example:
        >>> one_line("two\\nlines")
        'two\\\\nlines'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class UserError(ValueError):
    """Something the user gave is wrong. The message is one line: what is wrong, where, what would be right."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a ``name`` that is not among the ``known`` ones, with the nearest of them, whatever the case.

    Example:
        >>> str(unknown("method", "mpa", ["map", "laplace"]))
        "unknown method 'mpa': did you mean 'map'? (laplace, map)"
    """
    choices = sorted(known)
    return _unknown(kind, name, choices, ", ".join(choices))


def unknown_among(name: str, groups: Mapping[str, Iterable[str]]) -> UserError:
    """The error for a ``name`` that is in none of several ``groups``, kind -> names, which are listed apart.

    Example:
        >>> str(unknown_among("quik", {"suite": ["quick", "smoke"], "task": ["digits-mlp"]}))
        "unknown suite or task 'quik': did you mean 'quick'? (suites: quick, smoke; tasks: digits-mlp)"
    """
    listed = {kind: sorted(names) for kind, names in groups.items()}
    words = "; ".join(f"{kind}s: {', '.join(names)}" for kind, names in listed.items() if names)
    return _unknown(" or ".join(groups), name, [one for names in listed.values() for one in names], words)


def _unknown(kind: str, name: str, choices: Sequence[str], listed: str) -> UserError:
    folded = {choice.casefold(): choice for choice in choices}
    near = get_close_matches(name[:200].casefold(), folded, n=1, cutoff=0.5)
    if len(choices) > MOST:
        alike = get_close_matches(name[:200].casefold(), folded, n=10, cutoff=0.0)
        listed = f"{', '.join(folded[one] for one in alike)} and {len(choices) - len(alike)} more"
    hint = f"did you mean '{folded[near[0]]}'?" if near else "there is:"
    return UserError(f"unknown {kind} '{name}': {hint} ({listed or 'none'})")


def check_name(kind: str, name: str) -> str:
    """``name`` itself, if a ``kind`` (method, task ...) may be called that.

    Raises:
        UserError: it may not.
    """
    if not NAME.fullmatch(name) or len(name) > 80:
        rule = "lower-case letters, digits, '_', '.' and '-' only, a letter or digit first, 80 at most"
        raise UserError(f"a {kind} cannot be called '{name[:80]}': {rule}")
    return name
