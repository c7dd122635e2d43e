"""A look at a table: which column is predicted, which ones are inputs, and which ones are neither."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from baselines.names import UserError
from benchmarks.data.schema import printable
from benchmarks.data.sources.frames import ROWS, read_frame
from benchmarks.data.tables import name_of
from benchmarks.own import saved
from benchmarks.own.look import Found, about_classes, cut, epochs, listed, slug, which_split

if TYPE_CHECKING:
    import pandas as pd

STEPS, MOST = 1500, 60
"""Steps of training that the suggested recipe aims at, and passes over the data at most."""
USUAL = ("target", "label", "labels", "class", "y", "species", "outcome")
MOST_LEVELS = 50
"""A text column of more is free text, or names of rows."""
MOST_CLASSES = 20
"""Whole numbers of more different values are numbers to predict, not classes."""


@dataclass
class Columns:
    """What each column is.

    Attributes:
        features: names of inputs; ``categories``: levels of those that are no numbers; ``missing``: with empty cells.
        odd: what should be known.
    """

    features: list[str] = field(default_factory=list)
    categories: dict[str, list[str]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)


def look(path: Path, target: str | None = None) -> Found:
    """Look at a CSV or parquet file, a folder of them by split, or a saved data set of plain columns.

    Args:
        path: what to look at.
        target: the column to predict; else the one with a usual name, or the last.

    Raises:
        UserError: it has no column to predict, or cells there are empty.
    """
    import pandas as pd

    frames, source = _read(path)
    frame = pd.concat(frames.values(), ignore_index=True)
    _refuse_other_separators(frame, path)
    target, why = _target(frame, target, path)
    columns = _columns(frame, target)
    if not columns.features:
        raise UserError(f"{path}: no column is left to predict {target!r} from: {'; '.join(columns.odd[:3])}")
    splits = {split: len(one) for split, one in frames.items()}
    classes, said = _classes(cast("pd.Series", frame[target]), path)
    columns.odd += [*_repeated(frames, [*columns.features, target]), *_telling(frame, target, columns)]
    if classes:
        columns.odd += about_classes({name_of(key): n for key, n in frame[target].value_counts().items()})
    name = path.resolve().stem if path.is_file() else path.resolve().name
    data = {
        "kind": "table",
        "title": name,
        "licence": "unknown",
        "citation": "-",
        "features": columns.features,
        "target": target,
        "likelihood": None if classes else "gaussian",
        "num_classes": len(classes) or None,
        "classes": classes or None,
        "missing": columns.missing or None,
        "evaluation": "test" if "test" in splits else "all",
        "categories": columns.categories or None,
        "splits": {split: {"examples": count} for split, count in splits.items()},
        "sources": [source],
    }
    data = {key: value for key, value in data.items() if value is not None}
    counts = ", ".join(f"{split} {count:,}" for split, count in splits.items())
    facts = [f"rows of {len(columns.features)} inputs; {target!r} is predicted ({why}): {said}", counts]
    return Found(slug(name), data, splits, _model(splits), _recipe(splits), facts, columns.odd)


def _model(splits: dict[str, int]) -> dict[str, Any]:
    return {"name": "mlp_table", "arguments": {"width": 32 if cut(splits)["train"] < 1000 else 128, "depth": 2}}


def _recipe(splits: dict[str, int]) -> dict[str, Any]:
    train = cut(splits)["train"]
    size = 20 if train < 1000 else 64 if train < 20_000 else 256
    recipe = {
        "epochs": epochs(train, size, STEPS, MOST),
        "batch_size": size,
        "optimizer": "sgd",
        "lr": 0.02,
        "momentum": 0.9,
    }
    return recipe | {"weight_decay": 5e-3, "warmup": 0.1, "schedule": "cosine", "clip_norm": 1.0}


def _read(path: Path) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Each split's rows, and the source that reads them."""
    source: dict[str, Any] = {"kind": "local", "format": path.suffix.lower()[1:], "path": str(path)}
    if path.is_file():
        return {"all": read_frame(path)}, source
    if saved.is_saved(path):
        tables = saved.opened(path)
        names = {"all": next(iter(tables))} if len(tables) == 1 else which_split(list(tables), path)
        whole = (path / "dataset_info.json").is_file()
        where = {ours: "*.arrow" if whole else f"{theirs}/*.arrow" for ours, theirs in names.items()}
        return {ours: tables[theirs].to_pandas() for ours, theirs in names.items()}, source | {
            "format": "arrow",
            "splits": where,
        }
    files = sorted(one for one in path.iterdir() if one.suffix.lower() in (".csv", ".parquet"))
    kinds = {one.suffix.lower() for one in files}
    if len(kinds) > 1:
        raise UserError(f"{path}: holds .csv and .parquet files: name one file, or a folder of one kind")
    names = {"all": files[0].stem} if len(files) == 1 else which_split([one.stem for one in files], path)
    where = {ours: f"{theirs}{files[0].suffix}" for ours, theirs in names.items()}
    source |= {"format": kinds.pop()[1:], "splits": where}
    return {ours: read_frame(path / file) for ours, file in where.items()}, source


def _refuse_other_separators(frame: pd.DataFrame, path: Path) -> None:
    only = str(frame.columns[0])
    mark = next((mark for mark in (";", "\t", "|") if mark in only), None)
    if len(frame.columns) == 1 and mark:
        raise UserError(f"{path}: its cells seem to be parted by {mark!r}: save it with commas")


def _target(frame: pd.DataFrame, wanted: str | None, path: Path) -> tuple[str, str]:
    """The column to predict, and why that one."""
    names = list(map(str, frame.columns))
    if wanted is not None and wanted not in names:
        raise UserError(f"{path}: no column {wanted!r}; there are {', '.join(names[:30])}")
    usual = next((name for name in names if name.lower() in USUAL), None)
    target = wanted or usual or names[-1]
    is_empty = frame[target].isna().to_numpy()
    empty = int(is_empty.sum())
    if empty:
        row = int(np.flatnonzero(is_empty)[0])
        raise UserError(
            f"{path}: column {target!r} is empty in {empty:,} of {len(frame):,} rows, the first of them row {row}: "
            "remove these rows, or name another column with --target"
        )
    return target, "as you said" if wanted else "by its name" if usual else "the last column; another: --target"


def _classes(column: pd.Series, path: Path) -> tuple[list[str], str]:
    """Names of the classes, none for a number; and what the column holds in words."""
    import pandas as pd

    kinds = set(column.map(lambda cell: type(cell).__name__).unique()) if column.dtype == object else {"number"}
    if "str" in kinds and len(kinds) > 1:
        raise UserError(f"{path}: column {column.name!r} mixes {' and '.join(sorted(kinds))}: make it one of them")
    values = column.unique().tolist()
    whole = pd.api.types.is_numeric_dtype(column) and bool((column % 1 == 0).all())
    few = len(values) <= MOST_CLASSES and len(values) * 10 <= len(column)
    if len(values) < 2:
        raise UserError(f"{path}: column {column.name!r} is {name_of(values[0])!r} in every row: nothing to predict")
    if pd.api.types.is_bool_dtype(column) or (whole and few):
        names = [name_of(value) for value in sorted(values)]
    elif not pd.api.types.is_numeric_dtype(column):
        names = sorted(map(str, values))
        if len(names) > max(MOST_CLASSES, len(column) // 10):
            raise UserError(f"{path}: column {column.name!r} has {len(names):,} different texts: no classes; --target?")
    else:
        return [], f"a number from {column.min():g} to {column.max():g}"
    return names, f"{len(names)} classes: {listed(names, 8)}"


def _columns(frame: pd.DataFrame, target: str) -> Columns:
    found = Columns()
    for name in map(str, frame.columns):
        if name == target:
            continue
        column: Any = frame[name]
        reason = _unusable(column)
        if reason:
            found.odd.append(f"left out: column {printable(name)!r}: {reason}")
            continue
        found.features.append(name)
        if _is_text(column):
            found.categories[name] = sorted({name_of(cell) for cell in column.dropna().unique()})
        if column.isna().any():
            found.missing.append(name)
    if found.missing:
        cells = int(frame[found.missing].isna().sum().sum())
        found.odd.append(
            f"{cells:,} empty cells in {listed(found.missing, 5)}: numbers get the median of the training rows and a "
            "mark, categories no mark at all"
        )
    if found.categories:
        found.odd.append(f"categories, one input a level: {listed(list(found.categories), 8)}")
    return found


def _is_text(column: Any) -> bool:
    import pandas as pd

    return not pd.api.types.is_numeric_dtype(column)


def _unusable(column: Any) -> str:
    """Why a column can be no input; nothing if it can."""
    import pandas as pd

    known = column.dropna()
    if not len(known):
        return "is empty"
    if pd.api.types.is_datetime64_any_dtype(column):
        return "holds dates: make numbers of them"
    if any(isinstance(cell, list | dict | np.ndarray) for cell in known.head(100).tolist()):
        return "holds lists"
    if known.nunique() == 1 and not column.isna().any():
        return f"is {name_of(known.iloc[0])} in every row"
    return _unusable_text(column, known) if _is_text(column) else _unusable_numbers(column, known)


def _unusable_numbers(column: Any, known: Any) -> str:
    values = known.to_numpy(dtype=np.float64)
    if not np.isfinite(values.astype(np.float32)).all():
        return "holds infinite numbers"
    steps = np.diff(values)
    named = str(column.name).lower() in ("id", "index", "row", "") or str(column.name).startswith("Unnamed:")
    if len(steps) and len(known) == len(column) and np.all(steps == 1) and (named or values[0] in (0, 1)):
        return "numbers the rows"
    return "numbers the rows" if named and known.nunique() == len(column) else ""


def _unusable_text(column: Any, known: Any) -> str:
    import pandas as pd

    numbers: Any = pd.to_numeric(known, errors="coerce")
    texts = known[numbers.isna()]
    if 0 < len(texts) < 0.5 * len(known):
        shown = listed([ascii(one) for one in texts.unique()])
        return f"mixes numbers with {len(texts):,} cells of text ({shown}): make these cells empty"
    levels = known.nunique()
    if levels > MOST_LEVELS or 2 * levels > len(known):
        return f"holds {levels:,} different texts: no categories"
    return ""


def _repeated(frames: dict[str, pd.DataFrame], names: list[str]) -> Iterator[str]:
    import pandas as pd
    from pandas import util

    hashed: Any = util.hash_pandas_object
    # A piece at a time: as text a large table would not fit into memory.
    hashes: dict[str, Any] = {
        split: pd.concat(
            [hashed(one[names].iloc[i : i + ROWS].astype(str), index=False) for i in range(0, len(one), ROWS)]
        )
        for split, one in frames.items()
    }
    for split, rows in hashes.items():
        twice = int(rows.duplicated().sum())
        if twice:
            yield f"{twice:,} rows of {split} are there twice" if split != "all" else f"{twice:,} rows are there twice"
    if len(hashes) == 2:
        shared = int(hashes["test"].isin(hashes["train"]).sum())
        if shared:
            yield f"{shared:,} rows of test are also in train"


def _telling(frame: pd.DataFrame, target: str, columns: Columns) -> Iterator[str]:
    """Inputs that say what is to be predicted."""
    import pandas as pd

    codes = pd.Series(pd.factorize(frame[target])[0])
    numeric = pd.api.types.is_numeric_dtype(frame[target])
    wanted: Any = frame[target].astype(float) if numeric else codes
    for name in columns.features:
        if name in columns.categories:
            continue
        column: Any = frame[name].astype(float)
        if abs(column.corr(wanted)) > 0.9999:
            yield f"column {printable(name)!r} is as good as {target!r} itself: is it known when predicting?"
