"""Fingerprints, splits, conversion, overlap."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks.data import DataError, Images, TensorSource, read_spec, split, standardization
from benchmarks.data.examples import duplicates, repeated
from benchmarks.data.images import cover, image_affine, like


def images(count: int = 40, channels: int = 1, size: int = 8, seed: int = 0) -> Images:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, channels, size, size), generator=generator, dtype=torch.uint8)
    return Images(pixels, torch.randint(0, 3, (count,), generator=generator), ("a", "b", "c"))


def test_the_fingerprint_is_that_of_pixels_labels_and_shape_alone():
    first = images()
    assert replace(first, classes=("x", "y", "z")).fingerprint == first.fingerprint
    pixels, labels = first.pixels.clone(), first.labels.clone()
    pixels[3, 0, 2, 2] ^= 1
    labels[5] = (labels[5] + 1) % 3
    others = [
        replace(first, inputs=pixels),
        replace(first, labels=labels),
        replace(first, labels=None),
        replace(first, inputs=first.pixels.view(40, 1, 4, 16)),
    ]
    assert len({image.fingerprint for image in (first, *others)}) == 5


def test_the_fingerprint_of_known_images_never_changes():
    pixels = torch.arange(2 * 3 * 2 * 2, dtype=torch.uint8).view(2, 3, 2, 2)
    known = Images(pixels, torch.tensor([1, 0]), ("a", "b"))
    assert known.fingerprint == "3cd6db1c62961827d89d23001848e574d5c957b2608d6886925f3f52f6f9ae6c"


@given(seed=st.integers(0, 2**63 - 1), sizes=st.lists(st.integers(1, 10), min_size=1, max_size=4))
def test_parts_of_a_split_are_disjoint_and_the_same_for_the_same_seed(seed, sizes):
    whole = Images(torch.arange(40, dtype=torch.uint8).view(40, 1, 1, 1), torch.arange(40), ())
    named = {str(i): size for i, size in enumerate(sizes)}
    parts = split(whole, seed, named)
    assert [len(parts[name]) for name in named] == sizes
    taken = torch.cat([part.labels for part in parts.values()])
    assert len(taken.unique()) == sum(sizes)
    assert all(torch.equal(part.labels, part.pixels.flatten().long()) for part in parts.values())
    again = split(whole, seed, named)
    assert all(parts[name].fingerprint == again[name].fingerprint for name in named)


def test_a_split_of_a_known_seed_never_changes():
    whole = Images(torch.zeros(10, 1, 1, 1, dtype=torch.uint8), torch.arange(10), ())
    parts = split(whole, 0, {"train": 6, "validation": 4})
    assert [part.labels.tolist() for part in parts.values()] == [[4, 1, 7, 5, 3, 9], [0, 8, 6, 2]]


@pytest.mark.parametrize("sizes", [{"a": 41}, {"a": 40, "b": 1}, {"a": 0}, {}])
def test_a_split_that_cannot_be_cut_is_refused(sizes):
    with pytest.raises(DataError, match="cannot cut"):
        split(images(), 0, sizes)


def test_grey_becomes_colour_by_repetition_and_back_without_loss():
    grey = images()
    colour = like(grey, (3, 8, 8))
    assert all(torch.equal(colour.pixels[:, [c]], grey.pixels) for c in range(3))
    assert torch.equal(like(colour, (1, 8, 8)).pixels, grey.pixels)


def test_colour_becomes_grey_as_pillow_does_it():
    from PIL import Image

    colour = images(channels=3)
    ours = like(colour, (1, 8, 8)).pixels
    for pixels, grey in zip(colour.pixels, ours, strict=True):
        theirs = torch.tensor(list(Image.fromarray(pixels.permute(1, 2, 0).numpy()).convert("L").tobytes()))
        assert (theirs.view(8, 8) - grey[0].int()).abs().max() <= 1


def test_resizing_keeps_a_flat_image_flat_and_the_aspect():
    flat = Images(torch.full((2, 1, 20, 30), 77, dtype=torch.uint8), None, ())
    assert like(flat, (1, 28, 28)).pixels.unique().tolist() == [77]
    stripes = torch.zeros(1, 1, 10, 30, dtype=torch.uint8)
    stripes[..., 10:20] = 255  # the middle third is what a square cut of the centre sees
    assert like(Images(stripes, None, ()), (1, 10, 10)).pixels.unique().tolist() == [255]


def test_repeated_images_are_counted():
    first, other = images(10), images(10, seed=1)
    both = replace(first, inputs=torch.cat([first.pixels[:3], other.pixels[:7]]))
    assert repeated(both, first) == 3
    assert repeated(first, other) == 0
    assert repeated(images(size=4), first) == 0
    assert duplicates(replace(first, inputs=torch.cat([first.pixels[:6], first.pixels[:4]]))) == 4


def test_the_two_hashes_are_those_of_dtype_shape_and_bytes():
    known = Images(torch.arange(12, dtype=torch.uint8).view(1, 3, 2, 2), torch.tensor([1]), ("a", "b"))
    inputs, labels = b"uint8 (1, 3, 2, 2)" + bytes(range(12)), b"int64 (1,)" + bytes([1, *[0] * 7])
    assert known.inputs_sha256 == hashlib.sha256(inputs).hexdigest()
    assert known.labels_sha256 == hashlib.sha256(labels).hexdigest()
    assert replace(known, labels=None).labels_sha256 is None
    assert images().take(torch.arange(7)).inputs_sha256 == replace(images(), inputs=images().pixels[:7]).inputs_sha256


@given(data=st.data())
def test_batches_of_images_have_the_bits_of_scale_and_shift_in_single_precision(data):
    numbers = st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3)
    mean, std = data.draw(numbers), [0.01 + number / 2 for number in data.draw(numbers)]
    changes = {"mean": tuple(mean), "std": tuple(std), "shape": (3, 8, 8)}
    affine = image_affine(read_spec("cifar10").model_copy(update=changes))
    channel_std = torch.tensor(std).view(1, -1, 1, 1)
    scale, shift = 1 / (255 * channel_std), -torch.tensor(mean).view(1, -1, 1, 1) / channel_std
    some = images(5, channels=3)
    ((x, _),) = TensorSource(some.inputs, some.labels, affine).ordered(5)
    assert torch.equal(x, some.pixels.mul(scale).add_(shift))


@pytest.mark.parametrize(
    ("mean", "std", "asked"),
    [(0.5, 0.25, False), (0.3, 0.2, False), (0.9, 0.05, True), (0, 1, False), (0.5, 0.01, True)],
)
def test_a_mean_and_deviation_far_from_the_pixels_own_are_questioned(caplog, mean, std, asked):
    spec = read_spec("mnist").model_copy(update={"mean": (mean,), "std": (std,)})
    standardization(images(), spec)
    assert ("are they in units of [0, 1]?" in caplog.text) == asked


def test_pictures_of_every_size_are_cut_to_a_shape():
    for height in range(8, 140, 3):
        for width in range(8, 140):
            assert cover(Image.new("L", (width, height)), 64, 48).size == (48, 64), (width, height)
