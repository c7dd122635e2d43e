"""A look at data sets of the `datasets` library: what it saved to disk, and parquet files with pictures in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from baselines.names import UserError
from benchmarks.data.sources.files import below, first_line
from benchmarks.own.look import Found, slug, which_split
from benchmarks.own.pictures import Item, found_of, survey


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` has made ``folder``."""
    return any((folder / name).is_file() for name in ("dataset_info.json", "dataset_dict.json"))


def holds_pictures(path: Path) -> bool:
    """Whether a column of a saved data set, or of a parquet file, holds pictures."""
    return _image_column(next(iter(opened(path).values()))) is not None


def opened(path: Path) -> dict[str, Any]:
    """Tables of the `datasets` library by split: "all" where there are none.

    Raises:
        UserError: they cannot be read.
    """
    import datasets

    datasets.disable_progress_bars()
    try:
        if path.is_file():
            return {"all": datasets.Dataset.from_parquet(str(path))}
        if is_saved(path):
            found: Any = datasets.load_from_disk(str(path))
            is_split = isinstance(found, datasets.DatasetDict)
            return {str(name): found[name] for name in found} if is_split else {"all": found}
        files = sorted(one for one in below(path) if one.suffix.lower() == ".parquet")
        return {one.stem.partition("-")[0]: datasets.Dataset.from_parquet(str(one)) for one in files}
    except Exception as error:  # the library raises whatever its own dependencies raise
        raise UserError(f"{path}: could not be read: {first_line(error)}") from error


def look(path: Path) -> Found:
    """Look at the pictures of a saved data set, or of parquet files.

    Raises:
        UserError: there are no labels, or pictures that cannot be read.
    """
    import datasets

    tables = opened(path)
    first = next(iter(tables.values()))
    image = _image_column(first)
    assert image is not None
    label = _label_column(first, image, path)
    names = list(tables)
    splits = {"all": names[0]} if len(names) == 1 else which_split(names, path)
    numbered = getattr(first.features[label], "names", None)
    items = []
    for ours, theirs in splits.items():
        table = tables[theirs].cast_column(image, datasets.Image(decode=False))
        items += list(_items(table, image, label, ours, numbered))
    seen = survey(items)
    if seen.bad:
        raise UserError(f"{path}: {len(seen.bad)} pictures cannot be read; {seen.bad[0][0]}: {seen.bad[0][1]}")
    saved = path.is_dir() and is_saved(path)
    where = {ours: _files(path, theirs, saved, len(names) == 1) for ours, theirs in splits.items()}
    source = {"kind": "local", "format": "arrow" if saved else "parquet", "path": str(path), "image": image}
    source |= {"label": label} | ({} if path.is_file() else {"splits": where})
    odd = [f"left out: split {name}" for name in names if name not in splits.values()]
    return found_of(slug(path.resolve().stem), path.resolve().stem, seen, source, odd)


def _items(table: Any, image: str, label: str, split: str, names: list[str] | None) -> Iterator[Item]:
    for row, (cell, mark) in enumerate(zip(table[image], table[label], strict=True)):
        where = f"split {split}, row {row}"
        if mark is None or (names and not 0 <= mark < len(names)):
            raise UserError(f"{where}: no label in column {label!r}")
        yield Item(split, names[mark] if names else str(mark), cell or {}, where)


def _image_column(table: Any) -> str | None:
    from datasets import Image

    for name, kind in table.features.items():
        if isinstance(kind, Image) or (isinstance(kind, dict) and set(kind) == {"bytes", "path"}):
            return name
    return None


def _label_column(table: Any, image: str, path: Path) -> str:
    from datasets import ClassLabel

    classes = [name for name, kind in table.features.items() if isinstance(kind, ClassLabel)]
    usual = [name for name in ("label", "labels", "class", "target") if name in table.features]
    rest = [name for name in table.features if name != image]
    for found in (classes, usual, rest):
        if len(found) == 1 or (found and found is usual):
            return found[0]
    raise UserError(f"{path}: which column is the label? Rename one of {', '.join(rest) or 'them'} to label")


def _files(path: Path, split: str, saved: bool, alone: bool) -> str:
    """The pattern of a split's files, counted from ``path``."""
    if saved:
        return "*.arrow" if alone and (path / "dataset_info.json").is_file() else f"{split}/*.arrow"
    return f"{split}*.parquet"
