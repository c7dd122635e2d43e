"""Streaming: what `TensorSource` promises, for images that are decoded as they are needed."""

from __future__ import annotations

import io
import random

import pytest
import torch
from PIL import Image

from benchmarks.data import DataError, Images, StreamSource, load
from benchmarks.data.stream import MixedStream, preprocessing_of

FOLDERS = """
    [[sources]]
    kind = "local"
    format = "imagefolder"
    path = "files"
    """
PARQUET = """
    [[sources]]
    kind = "local"
    format = "parquet"
    path = "table.parquet"
    """
TEST_ONLY = {"splits": "{ test = { examples = 20 } }"}


@pytest.fixture
def spec(tmp_path, cifar_like, write_spec) -> str:
    cifar_like(20, 0).to_parquet(tmp_path / "table.parquet")
    return write_spec(PARQUET, stream="true", **TEST_ONLY)


def test_batches_are_those_of_the_same_images_in_memory(spec, write_spec):
    batches = list(StreamSource(spec, "test").ordered(8))
    images = load(write_spec(PARQUET, **TEST_ONLY), "test")
    assert [len(x) for x, _ in batches] == [8, 8, 4]
    assert torch.equal(torch.cat([y for _, y in batches]), images.labels)
    expected = (images.pixels / 255 - 0.5) / 0.25
    # The evaluation transform enlarges by 8/7 and cuts the centre out: equal in size and near in mean.
    assert torch.cat([x for x, _ in batches]).shape == expected.shape
    assert torch.cat([x for x, _ in batches]).mean() == pytest.approx(float(expected.mean()), abs=0.05)


def test_an_epoch_has_full_batches_in_the_order_of_its_seed(spec):
    source = StreamSource(spec, "test")
    epochs = [[y.tolist() for _, y in source.shuffled(8, seed)] for seed in (0, 0, 1)]
    assert [len(batch) for batch in epochs[0]] == [8, 8]
    assert epochs[0] == epochs[1] != epochs[2]
    assert [len(y) for _, y in source.shuffled(50, 0)] == [20]


def test_augmented_batches_do_not_depend_on_the_number_of_workers(spec):
    epochs = [
        list(StreamSource(spec, "test", augment="crop-flip", workers=workers).shuffled(8, 5)) for workers in (0, 2)
    ]
    for (x, y), (x_workers, y_workers) in zip(*epochs, strict=True):
        assert torch.equal(x, x_workers) and torch.equal(y, y_workers)
    other = next(iter(StreamSource(spec, "test", augment="crop-flip").shuffled(8, 6)))
    assert not torch.equal(epochs[0][0][0], other[0])


def test_augmenting_leaves_the_random_numbers_of_others_alone(spec):
    random.seed(1)
    torch.manual_seed(1)
    expected = random.random(), torch.rand(1)
    random.seed(1)
    torch.manual_seed(1)
    for _ in StreamSource(spec, "test", augment="crop-flip").shuffled(8, 5):
        pass
    assert (random.random(), torch.rand(1)) == expected


def test_a_part_holds_its_images_and_a_fingerprint_of_its_own(spec):
    source = StreamSource(spec, "test")
    part = source.part(torch.tensor([3, 14, 7]))
    assert part.num_examples == 3
    whole = next(iter(source.ordered(20)))
    x, y = next(iter(part.ordered(3)))
    assert torch.equal(x, whole[0][[3, 14, 7]]) and torch.equal(y, whole[1][[3, 14, 7]])
    assert len({source.fingerprint, part.fingerprint, StreamSource(spec, "test").fingerprint}) == 2


def test_image_folders_stream_too(tmp_path, cifar_like, write_spec):
    for row, cell in enumerate(cifar_like(20, 0)):
        folder = tmp_path / "files" / "test" / cifar_like(1, 0).features["label"].int2str(row % 10)
        folder.mkdir(parents=True, exist_ok=True)
        cell["img"].save(folder / f"{row:02}.png")
    source = StreamSource(write_spec(FOLDERS, stream="true", **TEST_ONLY), "test")
    labels = torch.cat([y for _, y in source.ordered(8)])
    assert labels.bincount().tolist() == [2] * 10
    assert len(source.fingerprint) == 64


def test_a_streamed_set_with_another_fingerprint_is_refused_with_both(tmp_path, spec, write_spec):
    have, wanted = StreamSource(spec, "test").fingerprint, "0" * 64
    pinned = '{{ test = {{ examples = 20, fingerprint = "{}" }} }}'
    assert StreamSource(write_spec(PARQUET, stream="true", splits=pinned.format(have)), "test").fingerprint == have
    with pytest.raises(DataError, match=f"the fingerprint is {have}, the spec says {wanted}"):
        StreamSource(write_spec(PARQUET, stream="true", splits=pinned.format(wanted)), "test")


def test_a_small_part_can_be_had_in_memory(spec):
    part = StreamSource(spec, "test").part(torch.tensor([3, 14, 7]))
    images, (x, y) = part.images(), next(iter(part.ordered(3)))
    torch.testing.assert_close((images.pixels / 255 - 0.5) / 0.25, x)
    assert torch.equal(images.labels, y)


def test_a_set_to_be_streamed_is_not_loaded_and_one_that_is_no_table_not_streamed(spec):
    with pytest.raises(DataError, match="too large to decode into memory"):
        load(spec, "test")
    with pytest.raises(DataError, match="is no table and cannot be streamed"):
        StreamSource("faces", "all")


def test_mixed_streams_hold_every_input_once_without_labels_and_in_the_order_of_the_seed(spec, cifar_like):
    stream = StreamSource(spec, "test")
    parts = [stream.part(torch.arange(5)), Images(torch.arange(3 * 3 * 32 * 32).view(3, 3, 32, 32).byte(), None, ())]
    mixed = [MixedStream(parts, seed) for seed in (1, 1, 2)]
    x, y = (torch.cat(part) for part in zip(*mixed[0].ordered(3), strict=True))
    assert mixed[0].num_examples == len(x) == 8 and y.tolist() == [-1] * 8
    assert torch.equal(x[mixed[0].positions[0]], next(iter(stream.ordered(5)))[0])
    torch.testing.assert_close(x[mixed[0].positions[1]], (parts[1].pixels / 255 - 0.5) / 0.25)
    orders = [torch.cat(m.positions).tolist() for m in mixed]
    assert orders[0] == orders[1] != orders[2] and sorted(orders[2]) == list(range(8))


def test_mixed_sets_begin_with_a_stream():
    with pytest.raises(DataError, match="must be a stream"):
        MixedStream([Images(torch.zeros(1, 3, 32, 32, dtype=torch.uint8), None, ())], 0)


def test_published_weights_are_evaluated_with_their_own_size_of_cut_and_interpolation(spec):
    from timm.data import create_transform, resolve_data_config
    from timm.models import get_pretrained_cfg

    own = preprocessing_of("resnet50.a1_in1k")
    assert (own.interpolation, own.crop) == ("bicubic", 0.95)
    source, table = StreamSource(spec, "test", preprocessing=own), StreamSource(spec, "test")._table
    config = resolve_data_config(pretrained_cfg=get_pretrained_cfg("resnet50.a1_in1k").to_dict()) | {
        "input_size": (3, 32, 32)
    }
    theirs = create_transform(**config)
    ours = next(iter(source.ordered(20)))[0]
    with_default = next(iter(StreamSource(spec, "test").ordered(20)))[0]
    for row in range(3):
        picture = Image.open(io.BytesIO(table[row]["image"]["bytes"]))
        torch.testing.assert_close(ours[row], theirs(picture), atol=1e-5, rtol=1e-5)
    assert (ours - with_default).abs().max() > 0.1


def test_weights_that_nobody_published_are_refused():
    with pytest.raises(DataError, match="timm knows no pretrained weights 'lenet5'"):
        preprocessing_of("lenet5")


def test_a_table_is_not_streamed():
    with pytest.raises(DataError, match="wine holds no images"):
        StreamSource("wine", "all")
