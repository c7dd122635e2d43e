"""Images by name: `load` for a task's own data, `load_like` for what is shown to its models without belonging to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from benchmarks.data.cache import cached
from benchmarks.data.images import Images, like
from benchmarks.data.sources import AnySource, decode, describe, identity, missing
from benchmarks.data.spec import DataError, DataSpec, Unreachable, read_spec

T = TypeVar("T")


def load(name: str, split: str = "all") -> Images:
    """The images of one split, decoded once and memory-mapped from the cache after that.

    Args:
        name: one of `benchmarks.data.spec.names()`, or the path of a spec of your own.
        split: one of the spec's splits; "fog/3" and the like for a published corrupted set.

    Raises:
        DataError: there is no such data set or split, or it cannot be had here, or it is not what its spec says;
            the message says what to do.
    """
    spec = read_spec(name)
    expected = spec.split(split)
    if spec.stream:
        raise DataError(f"{spec.name} is too large to decode into memory: use benchmarks.data.stream.StreamSource")

    def cached_or_decoded(source: AnySource) -> Images:
        return cached(spec.name, split, identity(source, spec, split), lambda: decode(source, spec, split))

    images = from_first_source(spec, cached_or_decoded)
    if images.shape != spec.shape:
        raise DataError(f"{spec.name}, split {split!r}: images have shape {images.shape}, the spec says {spec.shape}")
    if expected.fingerprint is not None and images.fingerprint != expected.fingerprint:
        raise DataError(differs(f"{spec.name}, split {split!r}", images.fingerprint, expected.fingerprint))
    if len(images) != expected.examples:
        raise DataError(f"{spec.name}, split {split!r}: {len(images):,} images, the spec says {expected.examples:,}")
    return images


def differs(where: str, found: str, wanted: str) -> str:
    """What is said of a set that is not the one its spec describes."""
    return (
        f"{where}: the fingerprint is {found}, the spec says {wanted}: "
        "these are not the images that results were published on"
    )


def load_like(name: str, input_shape: tuple[int, int, int], split: str | None = None) -> Images:
    """Images of ``name`` in another task's input shape (channels, height, width), without labels.

    ``split`` is the data set's evaluation split unless named.
    """
    return replace(like(load(name, split or read_spec(name).evaluation), input_shape), labels=None)


def load_corrupted(images: Images, corruption: str, severity: int, seed: int = 0) -> Images:
    """`benchmarks.data.corruptions.corrupt`, computed once and kept in the cache under the images' fingerprint."""
    from benchmarks.data.corruptions import VERSION, corrupt

    key = f"{VERSION} {images.fingerprint} {corruption} {severity} {seed}"
    split = f"{images.fingerprint[:8]}-{corruption}-{severity}"
    return cached("corrupted", split, key, lambda: corrupt(images, corruption, severity, seed))


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
