"""What a data set is, read from one TOML file. Imports no torch."""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

SPECS = Path(__file__).parent
CORRUPTIONS = (
    *("gaussian_noise", "shot_noise", "impulse_noise"),
    *("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    *("snow", "frost", "fog", "brightness"),
    *("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
)
SEVERITIES = (1, 2, 3, 4, 5)

Size = Annotated[int, Field(gt=0)]
Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class DataError(ValueError):
    """Data that cannot be had, or is not what its spec says. One line: what is wrong, where, what would be right."""


class Unreachable(DataError):
    """A source cannot be had here and now; the next one may."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Split(_Table):
    """One split: how many images, and the fingerprint (see `Images.fingerprint`) that they must have, where known."""

    examples: Size
    fingerprint: Fingerprint | None = None


class Builtin(_Table):
    """Images that a Python package brings along: ``function`` of `benchmarks.data.builtin`."""

    kind: Literal["builtin"]
    function: str
    package: str


class Idx(_Table):
    """Gzipped idx files, as MNIST was published: ``files`` says which images and labels a split is read from."""

    kind: Literal["idx"]
    folder: Path
    files: dict[str, tuple[str, str]]
    install: str


class _Columns(_Table):
    """Which columns to read; unnamed ones are found from the features (the image column, the class-label column)."""

    image: str | None = None
    label: str | None = None
    corruption: str | None = None
    severity: str | None = None


class Hub(_Columns):
    """A data set on the Hugging Face hub; ``splits`` translates our split names into theirs."""

    kind: Literal["hub"]
    repo: str
    revision: str = "main"
    config: str | None = None
    splits: dict[str, str] = {}


class Local(_Columns):
    """Files on this machine, read by the ``datasets`` library; ``splits`` names each split's file, glob or folder.

    A relative ``path`` counts from the folder of the TOML file.
    """

    kind: Literal["local"]
    format: Literal["imagefolder", "parquet", "arrow"]
    path: Path
    splits: dict[str, str] = {}


Source = Annotated[Builtin | Idx | Hub | Local, Field(discriminator="kind")]


class DataSpec(_Table):
    """One data set.

    Attributes:
        title, licence, citation, homepage: for people.
        shape: (channels, height, width) of the decoded images.
        resize: images come in any size: cover ``shape`` with each, cut out the centre. Otherwise each must have it.
        num_classes, classes: the labels are 0 to ``num_classes`` - 1; ``classes`` names them in that order.
        mean, std: per channel, of training pixels scaled to [0, 1].
        splits: the splits; for a corrupted set one entry, which all its splits ("fog/3") share.
        evaluation: the split that is shown to models of other data sets.
        stream: too large to decode into memory; see `benchmarks.data.stream`.
        near, far: names of data sets that are out of distribution for models of this one.
        published_corruptions: name of the data set that holds this one's corrupted test images, if somebody made it.
        sources: tried in this order.
    """

    name: str
    title: str
    licence: str
    citation: str
    homepage: str = ""
    shape: tuple[Literal[1, 3], Size, Size]
    resize: bool = False
    num_classes: Size
    classes: tuple[str, ...] = ()
    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]
    splits: dict[str, Split]
    evaluation: str = "test"
    stream: bool = False
    near: tuple[str, ...] = ()
    far: tuple[str, ...] = ()
    published_corruptions: str | None = None
    sources: tuple[Source, ...]

    @model_validator(mode="after")
    def _consistent(self) -> DataSpec:
        if self.classes and len(self.classes) != self.num_classes:
            raise ValueError(f"{len(self.classes)} classes are named, num_classes is {self.num_classes}")
        twice = next((name for name in self.classes if self.classes.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"class {twice!r} is named twice")
        if len(self.mean) != self.shape[0] or len(self.std) != self.shape[0]:
            raise ValueError(f"mean and std need {self.shape[0]} numbers each, one a channel")
        if self.evaluation not in self.splits:
            raise ValueError(f"evaluation split {self.evaluation!r} is not among the splits {', '.join(self.splits)}")
        return self

    def split(self, name: str) -> Split:
        """The split ``name``, or for a corrupted set the entry of all its splits.

        Raises:
            DataError: there is no such split.
        """
        if name in self.splits:
            return self.splits[name]
        corruption, _, severity = name.partition("/")
        if "corrupted" in self.splits and corruption in CORRUPTIONS and severity in map(str, SEVERITIES):
            return Split(examples=self.splits["corrupted"].examples)
        known = "'fog/3' and the like" if "corrupted" in self.splits else ", ".join(map(repr, self.splits))
        raise DataError(f"{self.name} has no split {name!r}; it has {known}")


def names() -> list[str]:
    """Names of all data sets that come with the package."""
    return sorted(path.stem for path in SPECS.glob("*.toml"))


def read_spec(name: str) -> DataSpec:
    """Read the spec of a data set.

    Args:
        name: one of `names()`, or the path of a TOML file of your own.

    Raises:
        DataError: no such data set, or the TOML is not a spec: the first thing that is wrong, in one line.
    """
    path = Path(name) if name.endswith(".toml") else SPECS / f"{name}.toml"
    if not path.is_file():
        raise DataError(f"no data set {name!r}; {_did_you_mean(name, names()) or 'there are ' + ', '.join(names())}")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        spec = DataSpec.model_validate({"name": path.stem, **table})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a TOML file: {error}") from error
    except ValidationError as error:
        raise DataError(f"{path}: {_first_fault(error)}") from error
    sources = tuple(_anchored(source, path.parent) for source in spec.sources)
    return spec.model_copy(update={"sources": (*_own_copy(spec), *sources)})


def _anchored(source: Builtin | Idx | Hub | Local, folder: Path) -> Builtin | Idx | Hub | Local:
    return source.model_copy(update={"path": folder / source.path}) if isinstance(source, Local) else source


def _own_copy(spec: DataSpec) -> list[Local]:
    """The folder $IVI_DATA/NAME, if there is one: parquet or arrow files "SPLIT*", or folders SPLIT/CLASS/IMAGE."""
    place = os.environ.get("IVI_DATA")
    if not place:
        return []
    if not Path(place).is_dir():
        raise DataError(f"$IVI_DATA is {place}, which is not a folder: make it, or unset the variable")
    folder = Path(place) / spec.name
    if not folder.is_dir():
        return []
    columns = named_columns(spec)
    for kind in ("parquet", "arrow"):
        if any(folder.rglob(f"*.{kind}")):
            splits = {name: f"**/{'' if name == 'corrupted' else name}*.{kind}" for name in spec.splits}
            return [Local(kind="local", format=kind, path=folder, splits=splits, **columns)]
    return [Local(kind="local", format="imagefolder", path=folder)]


def named_columns(spec: DataSpec) -> dict[str, str | None]:
    """Columns that a copy of one's own must name as the hub's does.

    Which image column there is can be seen; which of several label columns is meant cannot.
    """
    hub = next((source for source in spec.sources if isinstance(source, Hub)), None)
    if hub is not None:
        return hub.model_dump(include={"label", "corruption", "severity"})
    return {"corruption": "corruption", "severity": "severity"} if "corrupted" in spec.splits else {}


def _first_fault(error: ValidationError) -> str:
    faults = error.errors(include_url=False)
    fault = min(faults, key=lambda f: f["type"] != "extra_forbidden")  # an unknown key explains a missing one
    where = ".".join(str(part) for part in fault["loc"]) or "the spec"
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    if fault["type"] == "extra_forbidden":
        key, model = str(fault["loc"][-1]), _model_at(fault["loc"])
        return f"unknown key {where!r}; {_did_you_mean(key, list(model.model_fields)) or 'remove it'}{more}"
    kinds = ["builtin", "idx", "hub", "local"]
    if fault["type"] == "union_tag_not_found":
        return f"{where}: kind is missing; there are {', '.join(kinds)}{more}"
    if fault["type"] == "union_tag_invalid":
        kind = str(fault.get("ctx", {}).get("tag"))
        return (
            f"unknown source {kind!r} in {where}; {_did_you_mean(kind, kinds) or 'there are ' + ', '.join(kinds)}{more}"
        )
    return f"{where}: {fault['msg'].removeprefix('Value error, ')}{more}"


def _model_at(location: tuple[int | str, ...]) -> type[BaseModel]:
    kinds: dict[int | str, type[BaseModel]] = {"builtin": Builtin, "idx": Idx, "hub": Hub, "local": Local}
    where = location[0] if location else ""
    if where == "sources" and len(location) > 3:
        return kinds[location[2]]
    return Split if where == "splits" and len(location) > 2 else DataSpec


def _did_you_mean(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f"did you mean {close[0]!r}?" if close else ""
