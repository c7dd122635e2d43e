"""The keys of a data set's TOML file: one class a kind of data, one a kind of source. Imports no torch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

CORRUPTIONS = (
    *("gaussian_noise", "shot_noise", "impulse_noise"),
    *("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    *("snow", "frost", "fog", "brightness"),
    *("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
)
SEVERITIES = (1, 2, 3, 4, 5)

Size = Annotated[int, Field(gt=0)]
Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Unit = Annotated[float, Field(ge=0, le=1)]


def printable(text: str) -> str:
    """``text`` in one line that any terminal shows as it is: names of files hold line feeds, escapes, stray bytes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


class DataError(ValueError):
    """Data that cannot be had, or is not what its spec says. One line: what is wrong, where, what would be right."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class Unreachable(DataError):
    """A source cannot be had here and now; the next one may."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Split(_Table):
    """One split: how many examples, and the fingerprint (see `Examples.fingerprint`) that they must have, if known."""

    examples: Size
    fingerprint: Fingerprint | None = None


class Builtin(_Table):
    """Data that a Python package brings along: ``function`` of `benchmarks.data.sources.builtin`."""

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
    """Which columns of images to read; unnamed ones are found from the features (image column, class-label column)."""

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
    """Files on this machine; ``splits`` names each split's file, pattern or folder.

    A relative ``path`` counts from the folder of the TOML file, or from that of ``package``, a Python package that
    brings the files along; ``leave_out``: files that are not read, from ``path``.
    """

    kind: Literal["local"]
    format: Literal["imagefolder", "parquet", "arrow", "csv"]
    path: Path
    splits: dict[str, str] = {}
    leave_out: tuple[str, ...] = ()
    package: str | None = None


Source = Annotated[Builtin | Idx | Hub | Local, Field(discriminator="kind")]
SOURCES: dict[str, type[BaseModel]] = {"builtin": Builtin, "idx": Idx, "hub": Hub, "local": Local}


class _Spec(_Table):
    """What every kind of data set says of itself.

    Attributes:
        kind: what an example is.
        name: the file's name without its ending.
        title, licence, citation, homepage: for people.
        classes: names of the classes, in label order.
        splits: the splits; for a corrupted set one entry, which all its splits ("fog/3") share.
        evaluation: the split that is shown to models of other data sets.
        near, far: data sets that are out of distribution for models of this one: names, or paths of TOML files.
        sources: tried in this order.
    """

    FORMATS: ClassVar[tuple[str, ...]]

    name: str
    title: str
    licence: str
    citation: str
    homepage: str = ""
    classes: tuple[str, ...] = ()
    splits: dict[str, Split]
    evaluation: str = "test"
    near: tuple[str, ...] = ()
    far: tuple[str, ...] = ()
    sources: tuple[Source, ...]

    @model_validator(mode="after")
    def _splits_and_sources(self) -> _Spec:
        if self.evaluation not in self.splits:
            raise ValueError(f"evaluation split {self.evaluation!r} is not among the splits {', '.join(self.splits)}")
        for source in self.sources:
            if isinstance(source, Local) and source.format not in self.FORMATS:
                raise ValueError(f"this kind is not read from {source.format}; there are {', '.join(self.FORMATS)}")
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

    @property
    def sha256(self) -> str:
        """SHA-256 of all that decides what models see: not of words for people, other sets, or where files lie."""
        words = {"name", "title", "licence", "citation", "homepage", "near", "far", "sources"}
        text = json.dumps(self._deciding(words), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def _deciding(self, words: set[str]) -> dict[str, Any]:
        """All that decides, without ``words``; what a later version has added stands in it only where it is used."""
        return self.model_dump(mode="json", exclude=words)


class ImageSpec(_Spec):
    """One set of labelled images.

    Attributes:
        shape: (channels, height, width) of the decoded images.
        resize: images come in any size: cover ``shape`` with each, cut out the centre. Otherwise each must have it.
        num_classes: the labels are 0 to ``num_classes`` - 1.
        mean, std: per channel, of training pixels scaled to [0, 1].
        stream: too large to decode into memory; see `benchmarks.data.stream`.
        published_corruptions: the data set that holds this one's corrupted test images, if somebody made it.
    """

    FORMATS: ClassVar = ("imagefolder", "parquet", "arrow")

    kind: Literal["image"] = "image"
    shape: tuple[Literal[1, 3], Size, Size]
    resize: bool = False
    num_classes: Size
    mean: tuple[Unit, ...]
    std: tuple[Annotated[float, Field(gt=0, le=1)], ...]
    stream: bool = False
    published_corruptions: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> ImageSpec:
        _check_classes(self.classes, self.num_classes)
        if len(self.mean) != self.shape[0] or len(self.std) != self.shape[0]:
            raise ValueError(f"mean and std need {self.shape[0]} numbers each, one a channel")
        return self

    @property
    def likelihood(self) -> Literal["categorical"]:
        """What the targets are: classes."""
        return "categorical"

    @property
    def decoding(self) -> list[Any]:
        """All of the spec that decoded images depend on."""
        return [self.shape, self.resize, self.num_classes, self.classes]


class TableSpec(_Spec):
    """One table: rows of numbers, and a class or a real number to predict from them.

    Attributes:
        features: the columns of the inputs, in this order; all other columns are left aside.
        categories: of features that are no numbers: their levels.
        missing: features whose cells may be empty.
        only: column -> which rows are read: [least, most] of a number, or the names of levels.
        target: the column to predict.
        likelihood: "categorical" for classes, "gaussian" for a real number.
        num_classes: the labels are 0 to ``num_classes`` - 1; None for a real number.
    """

    FORMATS: ClassVar = ("csv", "parquet", "arrow")

    kind: Literal["table"]
    features: Annotated[tuple[str, ...], Field(min_length=1)]
    categories: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = {}
    missing: tuple[str, ...] = ()
    only: dict[str, tuple[float, float] | Annotated[tuple[str, ...], Field(min_length=1)]] = {}
    target: str
    likelihood: Literal["categorical", "gaussian"] = "categorical"
    num_classes: Size | None = None

    @model_validator(mode="after")
    def _consistent(self) -> TableSpec:
        columns = (*self.features, self.target)
        twice = next((name for name in columns if columns.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"column {twice!r} is named twice among features and target")
        strange = next((name for name in (*self.categories, *self.missing) if name not in self.features), None)
        if strange is not None:
            raise ValueError(f"{strange!r} is none of the features, but stands in categories or missing")
        if self.likelihood == "gaussian" and (self.num_classes or self.classes):
            raise ValueError('likelihood = "gaussian" predicts a real number: leave out num_classes and classes')
        if self.likelihood == "categorical" and self.num_classes is None:
            raise ValueError('num_classes is missing (or, for a real number, likelihood = "gaussian")')
        if self.num_classes is not None:
            _check_classes(self.classes, self.num_classes)
        if any(not isinstance(source, Builtin | Hub | Local) for source in self.sources):
            raise ValueError("idx files hold images, not tables")
        return self

    def _deciding(self, words: set[str]) -> dict[str, Any]:
        unused = {name for name in ("categories", "missing", "only") if not getattr(self, name)}
        return super()._deciding(words | unused)

    @property
    def shape(self) -> tuple[int]:
        """(features,): the shape of one row as it is read."""
        return (len(self.features),)

    @property
    def decoding(self) -> list[Any]:
        """All of the spec that the rows depend on."""
        plain = ["table", self.features, self.target, self.likelihood, self.num_classes, self.classes]
        more = [self.categories, self.missing, self.only]
        return plain + (more if any(more) else [])


DataSpec = ImageSpec | TableSpec
KINDS: dict[str, type[ImageSpec] | type[TableSpec]] = {"image": ImageSpec, "table": TableSpec}


def _check_classes(classes: tuple[str, ...], num_classes: int) -> None:
    if classes and len(classes) != num_classes:
        raise ValueError(f"{len(classes)} classes are named, num_classes is {num_classes}")
    twice = next((name for name in classes if classes.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"class {twice!r} is named twice")
    check_case(classes)


def check_case(classes: tuple[str, ...]) -> None:
    """Refuse class names that only case tells apart: on some file systems they are one folder.

    Raises:
        ValueError: naming the two.
    """
    seen: dict[str, str] = {}
    for name in classes:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise ValueError(f"classes {other!r} and {name!r} differ in case only: rename one")
