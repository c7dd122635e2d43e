"""The batch source that every method trains from."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.data import Affine, Images, TensorSource
from benchmarks.data.tensors import crop_flip

MEAN, STD = [0.3, 0.4, 0.5], [0.2, 0.25, 0.3]


def numbered(count: int, size: int = 8) -> Images:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, size, size), generator=generator, dtype=torch.uint8)
    return Images(pixels, torch.arange(count), ())


def source_of(images: Images, device: str = "cpu", augment: str = "none") -> TensorSource:
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    return TensorSource(images.inputs, images.labels, Affine(1 / (255 * std), -mean / std), device, augment)


def normalized(images: Images) -> torch.Tensor:
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    return (images.pixels / 255 - mean) / std


@given(count=st.integers(1, 40), batch_size=st.integers(1, 50), seed=st.integers(0, 2**62))
def test_an_epoch_has_full_batches_of_distinct_images(count, batch_size, seed):
    source = source_of(numbered(count))
    batches = list(source.shuffled(batch_size, seed))
    assert len(batches) == max(1, source.num_examples // batch_size)
    assert all(len(x) == len(y) == min(batch_size, count) for x, y in batches)
    seen = torch.cat([y for _, y in batches])
    assert len(seen.unique()) == len(seen)


def test_the_seed_alone_decides_the_order():
    source = source_of(numbered(30))
    labels = [torch.cat([y for _, y in source.shuffled(7, seed)]).tolist() for seed in (0, 0, 1)]
    assert labels[0] == labels[1] != labels[2]
    other_batches = torch.cat([y for _, y in source.shuffled(4, 0)]).tolist()
    assert labels[0] == other_batches[:28]


def test_batches_are_the_normalized_images_with_their_labels():
    images = numbered(30)
    source = source_of(images)
    for x, y in source.shuffled(7, 3):
        assert x.dtype == torch.float32 and y.dtype == torch.int64
        torch.testing.assert_close(x, normalized(images.take(y)))


def test_ordered_gives_every_image_once_as_it_is():
    images = numbered(30)
    source = source_of(images, augment="crop-flip")
    batches = list(source.ordered(8))
    assert [len(x) for x, _ in batches] == [8, 8, 8, 6]
    torch.testing.assert_close(torch.cat([x for x, _ in batches]), normalized(images))
    assert torch.cat([y for _, y in batches]).tolist() == list(range(30))


def test_images_without_labels_are_labelled_minus_one():
    images = Images(numbered(5).pixels, None, ())
    assert [y.tolist() for _, y in source_of(images).ordered(3)] == [[-1] * 3, [-1] * 2]


def test_augmentation_depends_on_the_seed_and_leaves_the_order_alone():
    plain, augmented = (source_of(numbered(20), augment=augment) for augment in ("none", "crop-flip"))
    first, again = list(augmented.shuffled(10, 5)), list(augmented.shuffled(10, 5))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(first, again, strict=True))
    assert [y.tolist() for _, y in first] == [y.tolist() for _, y in plain.shuffled(10, 5)]
    assert not torch.equal(first[0][0], next(iter(plain.shuffled(10, 5)))[0])


@given(seed=st.integers(0, 2**31))
def test_crop_and_flip_is_padding_cutting_and_mirroring_one_by_one(seed):
    generator = torch.Generator().manual_seed(seed)
    pixels = numbered(4, 10).pixels[..., :7]
    shifts = torch.randint(0, 9, (4, 2), generator=generator)
    mirrored = torch.randint(0, 2, (4, 1), generator=generator)
    ours = crop_flip(pixels, torch.cat([shifts, mirrored], 1))
    for image, (top, left), mirror, out in zip(pixels, shifts.tolist(), mirrored, ours, strict=True):
        padded = torch.nn.functional.pad(image, (4, 4, 4, 4))
        cut = padded[:, top : top + 10, left : left + 7]
        assert torch.equal(out, cut.flip(2) if mirror else cut)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_the_order_is_the_same_on_every_device():
    here, there = (source_of(numbered(30), device, "crop-flip") for device in ("cpu", "cuda"))
    for (x, y), (x_there, y_there) in zip(here.shuffled(8, 1), there.shuffled(8, 1), strict=True):
        assert torch.equal(y, y_there.cpu())
        torch.testing.assert_close(x, x_there.cpu())
