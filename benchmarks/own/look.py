"""What lies at a path, and a task on it: pictures in class folders, a table, a saved data set."""

from __future__ import annotations

import math
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines.names import UserError
from benchmarks.data.schema import printable

FEWEST = 30
"""Examples from which a training, a validation and a test set can be cut."""
FEW = 100
"""Examples below which shares of a set come in steps of more than one in a hundred."""
TRAIN, TEST = ("train", "training"), ("test", "testing", "val", "valid", "validation", "eval")


@dataclass(frozen=True)
class Found:
    """What a look at a path has found.

    Attributes:
        name: of the data set.
        data: its spec, as in a TOML file; ``path`` of its source is absolute.
        splits: name -> how many examples.
        model: name and arguments of a network for it; ``recipe``: how to train it.
        facts: what it is, in a few lines.
        odd: what should be known before it is used.
    """

    name: str
    data: dict[str, Any]
    splits: dict[str, int]
    model: dict[str, Any]
    recipe: dict[str, Any]
    facts: list[str]
    odd: list[str]


def look(path: Path, target: str | None = None) -> Found:
    """Look at a folder of pictures, a CSV or parquet file, or a folder that `datasets` saved.

    Args:
        path: what to look at.
        target: of a table: the column to predict; else the one with a usual name, or the last.

    Raises:
        UserError: nothing there that can be learned from; in one line what would be right.
    """
    if not path.exists():
        raise UserError(f"{path} is not there: name a folder of pictures, a CSV or a parquet file")
    from benchmarks.own import pictures, saved, tables

    if path.is_file():
        if path.suffix.lower() not in (".csv", ".parquet"):
            raise UserError(f"{path}: name a folder of pictures, a .csv or a .parquet file, or a saved data set")
        is_pictures = path.suffix.lower() == ".parquet" and saved.holds_pictures(path)
        return saved.look(path) if is_pictures else tables.look(path, target)
    if saved.is_saved(path):
        return saved.look(path) if saved.holds_pictures(path) else tables.look(path, target)
    files = [one for one in sorted(path.iterdir()) if one.suffix.lower() in (".csv", ".parquet")]
    if files:
        is_pictures = files[0].suffix.lower() == ".parquet" and saved.holds_pictures(files[0])
        return saved.look(path) if is_pictures else tables.look(path, target)
    return pictures.look(path)


def task_of(found: Found, data_file: str) -> dict[str, Any]:
    """The task on what was found, as in a TOML file."""
    sizes = cut(found.splits)
    model = {"name": found.model["name"]} | (
        {"arguments": found.model["arguments"]} if found.model["arguments"] else {}
    )
    return {
        "name": f"{found.name}-{found.model['name'].replace('_', '-')}",
        "version": 1,
        "description": f"{found.data['title']}: {found.model['name']} on data of one's own",
        "data": {"name": data_file} | sizes,
        "model": model,
        "recipe": found.recipe,
    }


def cut(splits: Mapping[str, int]) -> dict[str, int]:
    """Sizes of the parts: of all examples 70, 10 and 20 %; with a test split of its own 85 and 15 % of the others.

    Raises:
        UserError: there are too few.
    """
    total = splits.get("all", splits.get("train", 0))
    if total < FEWEST:
        raise UserError(f"{total} examples to train on: at least {FEWEST} are needed")
    if "test" in splits:
        validation = max(1, round(0.15 * total))
        return {"train": total - validation, "validation": validation}
    validation, test = max(1, round(0.1 * total)), max(1, round(0.2 * total))
    return {"train": total - validation - test, "validation": validation, "test": test}


def about_parts(sizes: Mapping[str, int], given: int | None) -> list[str]:
    """What is odd about the parts: ``sizes`` as `cut` made them; ``given``: of a test split of its own."""
    validation, test = sizes["validation"], sizes.get("test", given or 0)
    words = {
        "validation": (validation, "temperatures, and unlike of ivi predict, rest on them: take them as a hint"),
        "test": (test, f"one is worth {100 / max(1, test):.1f} points of accuracy"),
    }
    return [f"{n} {part} examples are few: {why}" for part, (n, why) in words.items() if n < FEW]


def epochs(train: int, batch_size: int, steps: int, most: int) -> int:
    """Passes over ``train`` examples for about ``steps`` steps: 5 at least, ``most`` at most."""
    return min(most, max(5, math.ceil(steps / max(1, train // batch_size))))


def slug(text: str) -> str:
    """``text`` as the name of a data set."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_.-]+", "-", plain).strip("-_.")[:60] or "mine"


def which_split(names: Sequence[str], where: Path) -> dict[str, str]:
    """Our names of splits -> theirs: "train" and, where there is one, "test".

    Raises:
        UserError: none is called as a training set is.
    """
    known = {name.lower(): name for name in names}
    train = next((known[name] for name in TRAIN if name in known), None)
    test = next((known[name] for name in TEST if name in known), None)
    if train is None:
        raise UserError(f"{where}: splits {', '.join(names)}: one of them must be called train")
    return {"train": train} | ({"test": test} if test else {})


def about_classes(counts: Mapping[str, int]) -> list[str]:
    """What is odd about the sizes of classes."""
    least, most = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
    if counts[most] >= 5 * counts[least]:
        ratio = f"{counts[most]:,} of {printable(most)!r}, {counts[least]:,} of {printable(least)!r}"
        return [f"imbalance: {ratio}: accuracy says little of the small class, look at NLL"]
    return []


def listed(names: Sequence[str], most: int = 3) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(printable(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def relative(path: Path, folder: Path) -> str:
    """``path`` as it is written in a file of ``folder``."""
    return Path(os.path.relpath(path, folder)).as_posix()
