"""A look at pictures: sizes, colours, what cannot be read, what is there twice."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from baselines.names import UserError
from benchmarks.data.schema import printable
from benchmarks.data.sources.files import below
from benchmarks.data.sources.library import IMAGE_SUFFIXES
from benchmarks.data.sources.pictures import FORMATS, as_shape, open_picture
from benchmarks.data.spec import DataError, ImageSpec
from benchmarks.own.look import Found, about_classes, cut, epochs, listed, slug, which_split

SIDE, LARGEST = 32, 64
"""Pixels of the suggested square, and of small pictures of one size that are taken as they are."""
STEPS, MOST = 600, 40
"""Steps of training that the suggested recipe aims at, and passes over the data at most."""


@dataclass(frozen=True)
class Item:
    """One picture that is not read yet: its split, its class, its bytes or path, and what to call it."""

    split: str
    label: str
    cell: dict[str, Any]
    name: str


@dataclass
class Survey:
    """What a look at every picture has found.

    Attributes:
        shape: in which they are suggested to be read; ``uniform``: each has it already.
        counts: split -> class -> readable pictures.
        bad: (name, reason) of those that cannot be read.
        odd: the rest that should be known.
        mean, std: per channel, of readable pictures of the training split, in [0, 1].
    """

    shape: tuple[int, int, int]
    uniform: bool
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    bad: list[tuple[str, str]] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


def look(folder: Path) -> Found:
    """Look at ``folder``/CLASS/PICTURE or ``folder``/SPLIT/CLASS/PICTURE.

    Raises:
        UserError: the pictures do not lie so, or cannot be learned from.
    """
    files = sorted(below(folder))
    unwritable = next((path for path in files if not _is_utf8(path)), None)
    if unwritable is not None:
        raise UserError(f"{printable(str(unwritable))}: this name is not UTF-8: rename it")
    strays = [path for path in files if path.suffix.lower() not in IMAGE_SUFFIXES]
    pictures = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    depths = {len(path.relative_to(folder).parts) for path in pictures}
    if not pictures:
        raise UserError(f"{folder}: no pictures there ({', '.join(IMAGE_SUFFIXES)}), no table, no saved data set")
    if depths not in ({2}, {3}):
        odd = next(path for path in pictures if len(path.relative_to(folder).parts) != max(depths & {2, 3} or {0}))
        raise UserError(f"{folder}: pictures must lie as CLASS/PICTURE or SPLIT/CLASS/PICTURE; {odd} does not")
    names = sorted({path.relative_to(folder).parts[0] for path in pictures})
    splits = which_split(names, folder) if depths == {3} else {"all": "."}
    ours = {theirs: name for name, theirs in splits.items()}
    items = [_item(path, folder, ours, depths == {3}) for path in pictures]
    seen = survey([item for item in items if item.split])
    odd = [
        f"left out: folder {name}: this program cuts the validation set from train"
        for name in names
        if depths == {3} and name not in ours
    ]
    odd += (
        [f"left out: {len(strays)} files that are no pictures: {listed([one.name for one in strays])}"]
        if strays
        else []
    )
    odd += [f"left out: {printable(name)}: {reason}" for name, reason in seen.bad]
    odd += _empty_folders(folder, splits, seen)
    left_out = sorted([str(one.relative_to(folder)) for one in strays] + [name for name, _ in seen.bad])
    source = {"kind": "local", "format": "imagefolder", "path": str(folder), "splits": splits}
    return found_of(
        slug(folder.resolve().name),
        folder.resolve().name,
        seen,
        source | ({"leave_out": left_out} if left_out else {}),
        odd,
    )


def _item(path: Path, folder: Path, ours: dict[str, str], with_splits: bool) -> Item:
    split = ours.get(path.relative_to(folder).parts[0], "") if with_splits else "all"
    return Item(split, path.parent.name, {"bytes": None, "path": str(path)}, str(path.relative_to(folder)))


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _empty_folders(folder: Path, splits: dict[str, str], seen: Survey) -> Iterator[str]:
    known = set().union(*seen.counts.values())
    for theirs in splits.values():
        for path in sorted((folder / theirs).iterdir()):
            if path.is_dir() and not path.name.startswith(".") and path.name not in known:
                yield f"left out: class {printable(path.name)!r}: no readable picture of it"


def survey(items: list[Item]) -> Survey:
    """Look at every picture: its head first, then its pixels in the shape that suits all.

    Raises:
        UserError: none can be read.
    """
    heads = [(item, head) for item in items if (head := _head(item)) is not None]
    if not heads:
        raise UserError(f"none of the {len(items)} pictures can be read: the first is {items[0].name}")
    sizes = Counter(size for _, (size, _) in heads)
    grey = all(mode in ("L", "LA", "1", "I;16", "I", "F") for _, (_, mode) in heads)
    seen = Survey(*_shape(sizes, 1 if grey else 3))
    _read(items, seen)
    if not sum(map(sum, (one.values() for one in seen.counts.values()))):
        raise UserError(f"none of the {len(items)} pictures can be read: {seen.bad[0][0]}: {seen.bad[0][1]}")
    modes = Counter(mode for _, (_, mode) in heads)
    if len(modes) > 1:
        seen.odd.append(
            f"several kinds of picture, all read as {'grey' if grey else 'RGB'}: "
            + ", ".join(f"{n:,} {mode}" for mode, n in modes.most_common())
        )
    (width, height), (w, h) = min(sizes), max(sizes)
    if not seen.uniform:
        size = f"{seen.shape[1]} x {seen.shape[2]}"
        seen.odd.append(f"{len(sizes):,} sizes, from {width} x {height} to {w} x {h}: each is scaled and cut to {size}")
    return seen


def _head(item: Item) -> tuple[tuple[int, int], str] | None:
    """(width, height) and mode; None where there is none to be read."""
    import io

    try:
        given = item.cell["path"] if item.cell.get("bytes") is None else io.BytesIO(item.cell["bytes"])
        with Image.open(given, formats=FORMATS) as image:
            return image.size, image.mode
    except Exception:  # Pillow raises whatever a broken file makes its decoders raise
        return None


def _shape(sizes: Counter[tuple[int, int]], channels: int) -> tuple[tuple[int, int, int], bool]:
    """The shape to read pictures in, and whether each has it already."""
    width, height = next(iter(sizes))
    if len(sizes) == 1 and 8 <= min(width, height) <= max(width, height) <= LARGEST:
        return (channels, height, width), True
    return (channels, SIDE, SIDE), False


def _read(items: Iterable[Item], seen: Survey) -> None:
    spec = ImageSpec.model_construct(shape=seen.shape, resize=True)
    known: dict[bytes, Item] = {}
    twice, across, other = [], [], []
    total, squares, count = np.zeros(seen.shape[0]), np.zeros(seen.shape[0]), 0
    for item in sorted(items, key=lambda item: item.split == "test"):
        try:
            pixels = as_shape(open_picture(item.cell, spec, item.name), spec, item.name)
        except DataError as error:
            seen.bad.append((item.name, str(error).removeprefix(item.name).partition(": ")[2]))
            continue
        seen.counts.setdefault(item.split, Counter())[item.label] += 1
        before = known.setdefault(hashlib.blake2b(pixels.tobytes(), digest_size=16).digest(), item)
        if before is not item:
            place = across if before.split != item.split else other if before.label != item.label else twice
            place.append(f"{item.name} = {before.name}")
        if item.split != "test":
            unit = pixels.reshape(seen.shape[0], -1) / 255.0
            total, squares, count = total + unit.mean(1), squares + (unit**2).mean(1), count + 1
    mean = total / max(1, count)
    std = np.sqrt(np.maximum(squares / max(1, count) - mean**2, 1e-6))
    seen.mean, seen.std = (tuple(round(float(x), 4) for x in one) for one in (mean, std))
    for words, pairs in (("are in two splits", across), ("are in two classes", other), ("are there twice", twice)):
        if pairs:
            seen.odd.append(f"{len(pairs):,} pictures {words}, equal to the pixel: {listed(pairs)}")


def found_of(name: str, title: str, seen: Survey, source: dict[str, Any], odd: list[str]) -> Found:
    """The data set and a network for what was seen.

    Raises:
        UserError: fewer than two classes; or one that is not in the training split.
    """
    fitting = seen.counts.get("train", seen.counts.get("all", Counter()))
    classes = sorted(set().union(*seen.counts.values()), key=_order)
    missing = next((one for one in classes if one not in fitting), None)
    if missing is not None:
        raise UserError(f"class {missing!r} has pictures to test on and none to train on")
    if len(classes) < 2:
        raise UserError(f"one class ({classes[0]!r}): at least two are needed, each a folder of pictures")
    splits = {split: sum(counts.values()) for split, counts in seen.counts.items()}
    train = cut(splits)["train"]
    arguments = {"stride": 2} if max(seen.shape[1:]) > 16 else {}
    data = {
        "title": title,
        "licence": "unknown",
        "citation": "-",
        "shape": list(seen.shape),
        "resize": True,
        "num_classes": len(classes),
        "classes": classes,
        "mean": list(seen.mean),
        "std": list(seen.std),
        "far": ["faces", "textures"],
        "evaluation": "test" if "test" in splits else next(iter(splits)),
        "splits": {split: {"examples": count} for split, count in splits.items()},
        "sources": [source],
    }
    sizes = ", ".join(f"{split} {count:,}" for split, count in splits.items())
    counts = sum(seen.counts.values(), Counter())
    facts = [f"pictures of {' x '.join(map(str, seen.shape))}, {len(classes)} classes: {listed(classes, 8)}", sizes]
    recipe = {
        "epochs": epochs(train, 32, STEPS, MOST),
        "batch_size": 32,
        "optimizer": "sgd",
        "lr": 0.05,
        "momentum": 0.9,
    }
    recipe |= {"weight_decay": 5e-4, "warmup": 0.1, "schedule": "cosine", "clip_norm": 1.0}
    odd = [*odd, *seen.odd, *about_classes(counts)]
    return Found(name, data, splits, {"name": "resnet_small", "arguments": arguments}, recipe, facts, odd)


def _order(name: str) -> tuple[int, int, str]:
    """Whole numbers by size, before all other names."""
    return (0, int(name), name) if name.isascii() and name.isdecimal() else (1, 0, name)
