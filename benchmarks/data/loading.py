"""Data by name: `load` for a task's own data, `load_like` for what is shown to its models without belonging to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from os import PathLike
from typing import TypeVar

from benchmarks.data.cache import cached
from benchmarks.data.examples import Examples
from benchmarks.data.images import Images, like
from benchmarks.data.kinds import KINDS
from benchmarks.data.sources.files import AnySource, describe, identity, missing
from benchmarks.data.spec import DataError, DataSpec, ImageSpec, Unreachable, read_spec

T = TypeVar("T")


def load(name: str | PathLike[str], split: str = "all") -> Examples:
    """The examples of one split, decoded once and memory-mapped from the cache after that.

    Args:
        name: one of `benchmarks.data.spec.names()`, or the path of a spec of your own.
        split: one of the spec's splits; "fog/3" and the like for a published corrupted set.

    Raises:
        DataError: there is no such data set or split, or it cannot be had here, or it is not what its spec says;
            the message says what to do.
    """
    spec = read_spec(name)
    expected, kind = spec.split(split), KINDS[spec.kind]
    if isinstance(spec, ImageSpec) and spec.stream:
        raise DataError(f"{spec.name} is too large to decode into memory: use benchmarks.data.stream.StreamSource")

    def cached_or_decoded(source: AnySource) -> Examples:
        key = identity(source, spec, split)
        return cached(spec.name, split, key, lambda: kind.decode(source, spec, split), kind.examples)

    examples, where = from_first_source(spec, cached_or_decoded), f"{spec.name}, split {split!r}"
    if examples.shape != spec.shape:
        raise DataError(f"{where}: examples have shape {examples.shape}, the spec says {spec.shape}")
    if expected.fingerprint is not None and examples.fingerprint != expected.fingerprint:
        raise DataError(differs(where, examples.fingerprint, expected.fingerprint))
    if len(examples) != expected.examples:
        raise DataError(f"{where}: {len(examples):,} {kind.noun}, the spec says {expected.examples:,}")
    return examples


def check_present(name: str, split: str | None = None) -> None:
    """Say at once what `load` would say hours later of a set that is not there; reads its spec, looks for its files.

    Whether the hub has a set is not asked. ``split`` is the data set's evaluation split unless named.

    Raises:
        DataError: as `load`, but for what only reading the data shows.
    """
    spec = read_spec(name)
    wanted = split or spec.evaluation
    spec.split(wanted)
    from_first_source(spec, lambda source: identity(source, spec, wanted))


def differs(where: str, found: str, wanted: str) -> str:
    """What is said of a set that is not the one its spec describes."""
    return (
        f"{where}: the fingerprint is {found}, the spec says {wanted}: "
        "these are not the data that results were published on"
    )


def load_like(name: str, input_shape: tuple[int, int, int], split: str | None = None) -> Images:
    """Images of ``name`` in another task's input shape (channels, height, width), without labels.

    ``split`` is the data set's evaluation split unless named.

    Raises:
        DataError: as `load`; or ``name`` holds no images.
    """
    images = load(name, split or read_spec(name).evaluation)
    if not isinstance(images, Images):
        raise DataError(f"{name} holds no images and cannot be brought to shape {input_shape}")
    return replace(like(images, input_shape), labels=None)


def load_corrupted(images: Images, corruption: str, severity: int, seed: int = 0) -> Images:
    """`benchmarks.data.shift.corruptions.corrupt`, computed once and cached under the images' fingerprint."""
    from benchmarks.data.shift.corruptions import VERSION, corrupt

    key = f"{VERSION} {images.fingerprint} {corruption} {severity} {seed}"
    split = f"{images.fingerprint[:8]}-{corruption}-{severity}"
    return cached("corrupted", split, key, lambda: corrupt(images, corruption, severity, seed), Images)


def from_first_source(spec: DataSpec, use: Callable[[AnySource], T]) -> T:
    """What ``use`` makes of the first source of ``spec`` that can be had.

    Raises:
        Unreachable: none can; the message says for each why, and what to type.
        DataError: one is there and not what the spec says.
    """
    reasons = []
    for source in spec.sources:
        reason = missing(source)
        if reason is None:
            try:
                return use(source)
            except Unreachable as error:
                reason = str(error)
        reasons.append(f"{describe(source)}: {reason}")
    reasons.append(f"put your own copy into $IVI_DATA/{spec.name}")
    raise Unreachable(f"{spec.name} is not on this machine: " + "; or ".join(reasons))
