"""Pictures of data sets: contact sheets of splits, of out-of-distribution sets and of corruptions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from benchmarks.data.examples import Examples
from benchmarks.data.images import Images
from benchmarks.data.loading import load, load_like
from benchmarks.data.shift.corruptions import corrupt
from benchmarks.data.sources.files import missing
from benchmarks.data.spec import CORRUPTIONS, SEVERITIES, DataError, Hub, ImageSpec, read_spec
from benchmarks.data.stream import StreamSource

_MARGIN = 14


def contact_sheets(name: str, folder: Path) -> list[Path]:
    """Write pictures of every split, every out-of-distribution set here, and every corruption, as PNG.

    Raises:
        DataError: the data set itself cannot be had; out-of-distribution sets that cannot are left out.
    """
    spec = read_spec(name)
    if not isinstance(spec, ImageSpec):
        raise DataError(f"{spec.name} holds no images: there is nothing to draw")
    folder.mkdir(parents=True, exist_ok=True)
    splits = [split for split in spec.splits if split != "corrupted"] or ["fog/1"]
    rows = [(split, _shown(name, spec, split)) for split in splits]
    written = [_save(_by_class(rows), folder / f"{spec.name}.png")]
    strangers = list(_strangers(spec))
    if strangers:
        written.append(_save(_labelled_rows(strangers, 16), folder / f"{spec.name}-ood.png"))
    shown = _of_several_classes(rows[-1][1], 3)
    written.append(_save(corruption_rows(shown), folder / f"{spec.name}-corruptions.png"))
    return written


def _shown(name: str, spec: ImageSpec, split: str) -> Images:
    """A split, or of one that is streamed the first 16 images of ten classes."""
    if not spec.stream:
        return _images(load(name, split))
    source = opened(name, spec, split)
    firsts = [(source.labels == label).nonzero().flatten()[:16] for label in _some_classes(source.labels)]
    return source.part(torch.cat(firsts)).images()


def _images(examples: Examples) -> Images:
    assert isinstance(examples, Images)
    return examples


def opened(name: str, spec: ImageSpec, split: str) -> StreamSource:
    """A streamed set, if it is on this machine: nobody wants ImageNet downloaded in order to see its size."""
    first = next((source for source in spec.sources if missing(source) is None), None)
    if isinstance(first, Hub):
        raise DataError(f"{spec.name} is streamed and not on this machine: a task that needs it downloads it")
    return StreamSource(name, split)


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


def _strangers(spec: ImageSpec) -> Iterator[tuple[str, Images]]:
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
