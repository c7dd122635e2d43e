"""Files of weights that a task's network starts from: where they lie, and what they hold. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from baselines.names import UserError

PLACES = (("pretrained_cfg_overlay", "file"), ("pretrained_cfg", "file"), ("checkpoint_path",))
"""Arguments of `timm.create_model` that name a file of weights."""


def anchored(arguments: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Arguments of a network with the paths of its weights counted from ``folder``."""
    return _with_files(arguments, lambda path: str(folder / path))


def identified(model: dict[str, Any]) -> dict[str, Any]:
    """A network, as a task dumps it, with the SHA-256 of its files of weights in the place of their paths.

    Raises:
        UserError: there is no such file.
    """
    return model | {"arguments": _with_files(model["arguments"], _content)}


def _with_files(arguments: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    changed = dict(arguments)
    for name, *inside in PLACES:
        value = changed.get(name)
        if inside and isinstance(value, Mapping):
            changed[name] = {key: change(one) if key in inside and _is_path(one) else one for key, one in value.items()}
        elif not inside and _is_path(value):
            changed[name] = change(str(value))
    return changed


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _content(path: str) -> str:
    try:
        status = Path(path).stat()
        return _sha256(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    except OSError as error:
        raise UserError(f"{path}: weights that the task's network starts from: {error.strerror}") from None


@cache
def _sha256(path: str, *_: int) -> str:
    with Path(path).open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
