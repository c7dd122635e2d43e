"""What ``ivi data`` shows: which data sets are here, what to type for the others, and pictures of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from rich.table import Table

from benchmarks.data.cache import entry_path
from benchmarks.data.corruptions import corrupt
from benchmarks.data.images import Images, duplicates, repeated
from benchmarks.data.loading import load, load_like
from benchmarks.data.sources import AnySource, describe, identity, missing
from benchmarks.data.spec import CORRUPTIONS, SEVERITIES, DataError, DataSpec, Hub, named_columns, names, read_spec
from benchmarks.data.stream import StreamSource

_MARGIN = 14


@dataclass(frozen=True)
class SplitFacts:
    """One split as it is on this machine.

    Attributes:
        name, examples: of the split.
        fingerprint: of its images.
        pinned: the spec states the fingerprint, so it has been checked.
        duplicates: images equal to an earlier one of the split; None for a set that is streamed, which is not read.
        repeated: other split -> how many images of this one are also there; likewise.
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
    if spec.stream:
        opened = {split: _opened(name, spec, split) for split in spec.splits}
        return [
            SplitFacts(split, len(source), source.fingerprint, spec.splits[split].fingerprint is not None)
            for split, source in opened.items()
        ]
    loaded = {split: load(name, split) for split in spec.splits if split != "corrupted"}
    return [
        SplitFacts(
            name=split,
            examples=len(images),
            fingerprint=images.fingerprint,
            pinned=spec.splits[split].fingerprint is not None,
            duplicates=duplicates(images),
            repeated={other: repeated(images, among) for other, among in loaded.items() if other != split},
        )
        for split, images in loaded.items()
    ]


def _opened(name: str, spec: DataSpec, split: str) -> StreamSource:
    """A streamed set, if it is on this machine: nobody wants ImageNet downloaded in order to see its size."""
    first = next((source for source in spec.sources if missing(source) is None), None)
    if isinstance(first, Hub):
        raise DataError(f"{spec.name} is streamed and not on this machine: a task that needs it downloads it")
    return StreamSource(name, split)


def overview() -> Table:
    """One row a data set: size, and where it would be read from on this machine. Loads nothing."""
    table = Table(title="Data sets")
    for column in ("name", "shape", "classes", "images", "here"):
        table.add_column(column)
    for name in names():
        spec = read_spec(name)
        sizes = ", ".join(f"{split} {facts.examples:,}" for split, facts in spec.splits.items())
        table.add_row(name, _times(spec.shape), str(spec.num_classes), sizes, whereabouts(spec))
    return table


def whereabouts(spec: DataSpec) -> str:
    """Where the first split would come from now, or what to type to get it, in one line."""
    states = [(source, _state(source, spec, _first_split(spec))) for source in spec.sources]
    for source, state in states:
        if state in ("here", "in the cache"):
            return f"{state} ({describe(source)})"
    ways = [f"{describe(source)}: {state}" for source, state in states]
    return "not here. " + "; or ".join([*ways, f"put a copy into $IVI_DATA/{spec.name}"])


def details(name: str) -> list[Table]:
    """Tables on one data set: what it is, its sources, its splits as loaded, its out-of-distribution sets.

    Raises:
        DataError: the spec cannot be read. Images that cannot be had are a row that says why.
    """
    spec = read_spec(name)
    about = Table(title=spec.title, show_header=False)
    for field in ("licence", "citation", "homepage"):
        about.add_row(field, getattr(spec, field) or "-")
    about.add_row(
        "images", f"{_times(spec.shape)}, {spec.num_classes} classes: {', '.join(spec.classes[:12]) or 'unnamed'}"
    )
    groups = Table("group", "set", "on this machine", title="Out of distribution")
    for group, members in (("near", spec.near), ("far", spec.far)):
        for member in members:
            groups.add_row(group, member, whereabouts(read_spec(member)))
    return [about, sources_table(spec), _splits_table(name), groups]


def sources_table(spec: DataSpec) -> Table:
    """Where a data set may come from, what to type for it, and how a copy of one's own has to look. Loads nothing."""
    sources = Table("source", "on this machine", title="Sources, in the order they are tried")
    for source in spec.sources:
        sources.add_row(describe(source), _state(source, spec, _first_split(spec)))
    own = f"tried first where it exists: {_layout(spec)}"
    sources.add_row(f"a copy in $IVI_DATA/{spec.name}", own)
    return sources


def _splits_table(name: str) -> Table:
    table = Table("split", "images", "fingerprint", "checked", "duplicates", "also in", title="Splits")
    try:
        for facts in split_facts(name):
            also = ", ".join(f"{other}: {count:,}" for other, count in (facts.repeated or {}).items()) or "-"
            checked = "yes" if facts.pinned else "no: the spec states none"
            twice = "not read" if facts.duplicates is None else f"{facts.duplicates:,}"
            table.add_row(facts.name, f"{facts.examples:,}", facts.fingerprint, checked, twice, also)
    except DataError as error:
        table.add_row("-", "-", str(error), "-", "-", "-")
    spec = read_spec(name)
    if "corrupted" in spec.splits:
        examples = f"{spec.splits['corrupted'].examples:,} each"
        table.add_row("fog/3 and the like", examples, whereabouts(spec), "no: the spec states none", "-", "-")
    return table


def contact_sheets(name: str, folder: Path) -> list[Path]:
    """Write pictures of every split, every out-of-distribution set here, and every corruption, as PNG.

    Raises:
        DataError: the data set itself cannot be had; out-of-distribution sets that cannot are left out.
    """
    spec = read_spec(name)
    folder.mkdir(parents=True, exist_ok=True)
    splits = [split for split in spec.splits if split != "corrupted"] or [_first_split(spec)]
    rows = [(split, _shown(name, spec, split)) for split in splits]
    written = [_save(_by_class(rows), folder / f"{spec.name}.png")]
    strangers = list(_strangers(spec))
    if strangers:
        written.append(_save(_labelled_rows(strangers, 16), folder / f"{spec.name}-ood.png"))
    shown = _of_several_classes(rows[-1][1], 3)
    written.append(_save(corruption_rows(shown), folder / f"{spec.name}-corruptions.png"))
    return written


def _shown(name: str, spec: DataSpec, split: str) -> Images:
    """A split, or of one that is streamed the first 16 images of ten classes."""
    if not spec.stream:
        return load(name, split)
    source = _opened(name, spec, split)
    firsts = [(source.labels == label).nonzero().flatten()[:16] for label in _some_classes(source.labels)]
    return source.part(torch.cat(firsts)).images()


def corruption_rows(images: Images) -> Image.Image:
    """A picture with one row a corruption: ``images`` as they are and at severities 1 to 5, side by side."""
    rows = []
    for corruption in CORRUPTIONS:
        versions = [images, *(corrupt(images, corruption, severity) for severity in SEVERITIES)]
        pixels = torch.cat([version.pixels for version in versions])
        titles = [corruption, *(f"severity {severity}" for severity in SEVERITIES)]
        rows.append((titles, Images(pixels, None, ())))
    return _labelled_rows(rows, len(images) * (1 + len(SEVERITIES)))


def _by_class(splits: Iterable[tuple[str, Images]]) -> Image.Image:
    """One row a class and split; at most 10 classes, spread over all."""
    rows = []
    for split, images in splits:
        labels = images.labels if images.labels is not None else torch.zeros(len(images), dtype=torch.int64)
        for label in _some_classes(labels):
            title = images.classes[int(label)] if images.classes else str(int(label))
            rows.append((f"{split}: {title}", images.take((labels == label).nonzero().flatten()[:16])))
    return _labelled_rows(rows, 16)


def _some_classes(labels: torch.Tensor, count: int = 10) -> torch.Tensor:
    """At most ``count`` of the labels there are, spread over all."""
    present = labels.unique()
    return present[torch.linspace(0, len(present) - 1, min(count, len(present))).long()]


def _strangers(spec: DataSpec) -> Iterator[tuple[str, Images]]:
    for group, members in (("near", spec.near), ("far", spec.far)):
        for member in members:
            try:
                yield f"{group}: {member}", _spread(load_like(member, spec.shape), 16)
            except DataError:
                continue


def _spread(images: Images, count: int) -> Images:
    return images.take(torch.linspace(0, len(images) - 1, min(count, len(images))).long())


def _of_several_classes(images: Images, count: int) -> Images:
    if images.labels is None:
        return _spread(images, count)
    chosen = _some_classes(images.labels, count)
    return images.take(torch.stack([(images.labels == label).nonzero()[0, 0] for label in chosen]))


def _labelled_rows(rows: Sequence[tuple[str | list[str], Images]], columns: int) -> Image.Image:
    """Rows of images, each under its title or titles in small letters, evenly spread; small images are enlarged."""
    height, width = rows[0][1].shape[1:]
    scale = max(1, 64 // max(height, width))
    cell_height, cell_width = height * scale, width * scale
    sheet = Image.new("RGB", (columns * cell_width, len(rows) * (cell_height + _MARGIN)), "white")
    draw = ImageDraw.Draw(sheet)
    for row, (title, images) in enumerate(rows):
        top = row * (cell_height + _MARGIN)
        titles = [title] if isinstance(title, str) else title
        for place, text in enumerate(titles):
            left = place * sheet.width // len(titles)
            draw.text((left + 2, top + 1), text, fill="black")
        for column, pixels in enumerate(images.pixels[:columns]):
            picture = pixels.expand(3, -1, -1).permute(1, 2, 0).numpy()
            cell = Image.fromarray(np.ascontiguousarray(picture)).resize(
                (cell_width, cell_height), Image.Resampling.NEAREST
            )
            sheet.paste(cell, (column * cell_width, top + _MARGIN))
    return sheet


def _save(sheet: Image.Image, path: Path) -> Path:
    sheet.save(path, optimize=True)
    return path


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
        return "needs a network, once" + ("" if spec.stream else f": ivi data {spec.name}")
    return "here"


def _layout(spec: DataSpec) -> str:
    """How a copy of one's own has to look."""
    first = _first_split(spec)
    if "corrupted" in spec.splits:
        columns = ", ".join(name for key, name in named_columns(spec).items() if key != "label" and name)
        return f"*.parquet (image, label, {columns}) or CORRUPTION/SEVERITY/CLASS/IMAGE"
    return f"{first}*.parquet or {first}/CLASS/IMAGE"


def _first_split(spec: DataSpec) -> str:
    first = next(iter(spec.splits))
    return "fog/1" if first == "corrupted" else first


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
