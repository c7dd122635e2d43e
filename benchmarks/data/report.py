"""What ``ivi data`` shows: which data sets are here, and what to type for the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.table import Table

from benchmarks.data.cache import entry_path
from benchmarks.data.examples import duplicates, repeated
from benchmarks.data.loading import load
from benchmarks.data.sheets import opened
from benchmarks.data.sources.files import AnySource, describe, identity, missing
from benchmarks.data.spec import DataError, DataSpec, Hub, ImageSpec, TableSpec, named_columns, names, read_spec


@dataclass(frozen=True)
class SplitFacts:
    """One split as it is on this machine.

    Attributes:
        name, examples: of the split.
        fingerprint: of its content.
        pinned: the spec states the fingerprint, so it has been checked.
        duplicates: inputs equal to an earlier one of the split; None for a set that is streamed, which is not read.
        repeated: other split -> how many inputs of this one are also there; likewise.
    """

    name: str
    examples: int
    fingerprint: str
    pinned: bool
    duplicates: int | None = None
    repeated: dict[str, int] | None = None


def split_facts(name: str) -> list[SplitFacts]:
    """Load every split of ``name`` and measure what it has in common with the others.

    Raises:
        DataError: as `benchmarks.data.load`; also for a set that is streamed and not on this machine.
    """
    spec = read_spec(name)
    if isinstance(spec, ImageSpec) and spec.stream:
        streams = {split: opened(name, spec, split) for split in spec.splits}
        return [
            SplitFacts(split, len(source), source.fingerprint, spec.splits[split].fingerprint is not None)
            for split, source in streams.items()
        ]
    loaded = {split: load(name, split) for split in spec.splits if split != "corrupted"}
    return [
        SplitFacts(
            name=split,
            examples=len(examples),
            fingerprint=examples.fingerprint,
            pinned=spec.splits[split].fingerprint is not None,
            duplicates=duplicates(examples),
            repeated={other: repeated(examples, among) for other, among in loaded.items() if other != split},
        )
        for split, examples in loaded.items()
    ]


def overview() -> Table:
    """One row a data set: size, and where it would be read from on this machine. Loads nothing."""
    table = Table(title="Data sets")
    for column in ("name", "kind", "shape", "classes", "examples", "here"):
        table.add_column(column)
    for name in names():
        spec = read_spec(name)
        sizes = ", ".join(f"{split} {facts.examples:,}" for split, facts in spec.splits.items())
        classes = str(spec.num_classes or "real number")
        table.add_row(name, spec.kind, _times(spec.shape), classes, sizes, whereabouts(spec))
    return table


def whereabouts(spec: DataSpec) -> str:
    """Where the first split would come from now, or what to type to get it, in one line."""
    states = [(source, _state(source, spec, _first_split(spec))) for source in spec.sources]
    for source, state in states:
        if state in ("here", "in the cache"):
            return f"{state} ({describe(source)})"
    ways = [f"{describe(source)}: {state}" for source, state in states]
    return "not here. " + "; or ".join([*ways, f"put a copy into $IVI_DATA/{spec.name}"])


def details(name: str) -> Iterator[Table]:
    """Tables on one data set: what it is, its sources, its out-of-distribution sets, and its splits as loaded.

    Raises:
        DataError: the spec cannot be read; or, after the tables that need no data, the data cannot be had.
    """
    spec = read_spec(name)
    about = Table(title=spec.title, show_header=False)
    for field in ("licence", "citation", "homepage"):
        about.add_row(field, getattr(spec, field) or "-")
    about.add_row("examples", _what(spec))
    yield about
    yield sources_table(spec)
    groups = Table("group", "set", "on this machine", title="Out of distribution")
    for group, members in (("near", spec.near), ("far", spec.far)):
        for member in members:
            groups.add_row(group, member, whereabouts(read_spec(member)))
    yield groups
    yield _splits_table(name)


def _what(spec: DataSpec) -> str:
    classes = f"{spec.num_classes} classes: {', '.join(spec.classes[:12]) or 'unnamed'}"
    if isinstance(spec, ImageSpec):
        return f"{_times(spec.shape)} pixels, {classes}"
    predicts = classes if spec.likelihood == "categorical" else "a real number"
    return f"rows of {len(spec.features)} numbers ({', '.join(spec.features[:12])}); {spec.target!r}: {predicts}"


def sources_table(spec: DataSpec) -> Table:
    """Where a data set may come from, what to type for it, and how a copy of one's own has to look. Loads nothing."""
    sources = Table("source", "on this machine", title="Sources, in the order they are tried")
    for source in spec.sources:
        sources.add_row(describe(source), _state(source, spec, _first_split(spec)))
    own = f"tried first where it exists: {_layout(spec)}"
    sources.add_row(f"a copy in $IVI_DATA/{spec.name}", own)
    return sources


def _splits_table(name: str) -> Table:
    table = Table("split", "examples", "fingerprint", "checked", "duplicates", "also in", title="Splits")
    for facts in split_facts(name):
        also = ", ".join(f"{other}: {count:,}" for other, count in (facts.repeated or {}).items()) or "-"
        checked = "yes" if facts.pinned else "no: the spec states none"
        twice = "not read" if facts.duplicates is None else f"{facts.duplicates:,}"
        table.add_row(facts.name, f"{facts.examples:,}", facts.fingerprint, checked, twice, also)
    spec = read_spec(name)
    if "corrupted" in spec.splits:
        examples = f"{spec.splits['corrupted'].examples:,} each"
        table.add_row("fog/3 and the like", examples, whereabouts(spec), "no: the spec states none", "-", "-")
    return table


def _state(source: AnySource, spec: DataSpec, split: str) -> str:
    reason = missing(source)
    if reason is not None:
        return reason
    try:
        if entry_path(spec.name, split, identity(source, spec, split)).is_file():
            return "in the cache"
    except DataError as error:
        return str(error)
    if isinstance(source, Hub):
        return "needs a network, once" + (
            "" if isinstance(spec, ImageSpec) and spec.stream else f": ivi data {spec.name}"
        )
    return "here"


def _layout(spec: DataSpec) -> str:
    """How a copy of one's own has to look."""
    first = _first_split(spec)
    if isinstance(spec, TableSpec):
        return f"{first}*.csv or {first}*.parquet with columns {', '.join((*spec.features[:5], '...', spec.target))}"
    if "corrupted" in spec.splits:
        columns = ", ".join(name for key, name in named_columns(spec).items() if key != "label" and name)
        return f"*.parquet (image, label, {columns}) or CORRUPTION/SEVERITY/CLASS/IMAGE"
    return f"{first}*.parquet or {first}/CLASS/IMAGE"


def _first_split(spec: DataSpec) -> str:
    first = next(iter(spec.splits))
    return "fog/1" if first == "corrupted" else first


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
