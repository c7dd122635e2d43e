"""Sources: the same images whatever they are read from, and one line for whatever is wrong with them."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.data import DataError, Images, load, load_like
from benchmarks.data.spec import read_spec

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
needs_debian = pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs apt-get install dataset-fashion-mnist")

PARQUET = """
    [[sources]]
    kind = "local"
    format = "parquet"
    path = "files"
    splits = { train = "train*.parquet", test = "test*.parquet" }
    """
FOLDERS = """
    [[sources]]
    kind = "local"
    format = "imagefolder"
    path = "files"
    """


@pytest.fixture
def parquet(tmp_path, cifar_like):
    (tmp_path / "files").mkdir()
    cifar_like(20, 0).to_parquet(tmp_path / "files" / "train.parquet")
    cifar_like(10, 1).to_parquet(tmp_path / "files" / "test.parquet")
    return tmp_path / "files"


@pytest.fixture
def folders(tmp_path, cifar_like):
    for row, cell in enumerate(cifar_like(10, 1)):
        folder = tmp_path / "files" / "test" / cifar_like(1, 0).features["label"].int2str(row % 10)
        folder.mkdir(parents=True, exist_ok=True)
        cell["img"].save(folder / f"{row}.png")
    return tmp_path / "files"


@pytest.mark.parametrize("name", ["digits", "faces", "glyphs", "mnist5k", "textures"])
def test_built_in_sets_have_the_fingerprints_of_their_specs(name, warm):
    images = load(name, "all")
    assert images.fingerprint == read_spec(name).splits["all"].fingerprint
    assert images.labels is not None and int(images.labels.max()) == read_spec(name).num_classes - 1


@pytest.mark.parametrize("name", ["digits", "faces", "glyphs", "mnist5k", "textures"])
def test_built_in_sets_have_the_mean_and_deviation_of_their_specs(name, warm):
    pixels, spec = load(name, "all").pixels.double() / 255, read_spec(name)
    assert float(pixels.mean()) == pytest.approx(spec.mean[0], abs=1e-4)
    assert float(pixels.std(correction=0)) == pytest.approx(spec.std[0], abs=1e-4)


def test_glyphs_are_ten_letters_with_ink_in_each(warm):
    images = load("glyphs", "all")
    assert torch.equal(images.labels.bincount(), torch.full((10,), 100))
    ink = images.pixels.double().mean((1, 2, 3))
    assert float(ink.min()) > 5 and float(ink.max()) < 128


@needs_debian
def test_fashion_mnist_from_debian_is_the_published_set(warm):
    train, test = load("fashion_mnist", "train"), load("fashion_mnist", "test")
    assert (len(train), len(test)) == (60_000, 10_000)
    assert torch.equal(train.labels.bincount(), torch.full((10,), 6_000))
    assert train.labels[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]  # as printed in its authors' repository


@needs_debian
def test_fashion_mnist_from_a_parquet_copy_has_the_same_fingerprint(tmp_path, warm, monkeypatch):
    import datasets

    ours = load("fashion_mnist", "test")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list(ours.classes))})
    cells = [{"bytes": as_png(pixels[0].numpy()), "path": None} for pixels in ours.pixels]
    folder = tmp_path / "own" / "fashion_mnist"
    folder.mkdir(parents=True)
    table = datasets.Dataset.from_dict({"image": cells, "label": ours.labels.tolist()}, features=features)
    table.to_parquet(folder / "test-00000.parquet")
    monkeypatch.setenv("IVI_DATA", str(tmp_path / "own"))
    monkeypatch.setenv("IVI_CACHE", str(tmp_path / "other cache"))
    again = load("fashion_mnist", "test")
    assert again.fingerprint == ours.fingerprint
    assert list((tmp_path / "other cache" / "fashion_mnist").glob("test-*.safetensors"))


def test_parquet_arrow_and_folders_of_the_same_images_have_one_fingerprint(
    tmp_path, parquet, folders, cifar_like, write_spec
):
    cifar_like(10, 1).save_to_disk(tmp_path / "saved")
    arrow = PARQUET.replace('"parquet"', '"arrow"').replace("files", "saved").replace("test*.parquet", "*.arrow")
    prints = {load(write_spec(sources), "test").fingerprint for sources in (PARQUET, FOLDERS, arrow)}
    assert len(prints) == 1


def test_a_named_label_column_is_the_one_that_is_read(parquet, cifar_like, write_spec):
    table = cifar_like(10, 1)
    table.add_column("coarse", [9] * 10).to_parquet(parquet / "test.parquet")
    images = load(write_spec(PARQUET + 'label = "coarse"'), "test")
    assert images.labels.tolist() == [9] * 10


def test_images_of_any_size_are_cut_to_shape_where_the_spec_says_resize(tmp_path, folders, write_spec):
    Image.new("RGB", (40, 64)).save(folders / "test" / "cat" / "3.png")
    assert "is 64 x 40, the spec says 32 x 32" in one_line(lambda: load(write_spec(FOLDERS), "test"))
    assert load(write_spec(FOLDERS, resize="true"), "test").shape == (3, 32, 32)


def test_a_colour_set_like_a_grey_task_is_grey_and_has_no_labels(folders, write_spec):
    images = load_like(write_spec(FOLDERS), (1, 28, 28))
    assert images.shape == (1, 28, 28) and images.labels is None


def break_column(folder: Path) -> str:
    return PARQUET + 'image = "picture"'


def break_label(folder: Path) -> str:
    import datasets

    table = datasets.Dataset.from_parquet(str(folder / "test.parquet"))
    table = table.cast_column("label", datasets.Value("int64"))
    table.map(lambda row, i: {"label": 12 if i == 4 else 0}, with_indices=True).to_parquet(folder / "test.parquet")
    return PARQUET


def break_missing_label(folder: Path) -> str:
    import datasets

    table = datasets.Dataset.from_parquet(str(folder / "test.parquet"))
    features = table.features
    labels = [-1, *table["label"][1:]]
    table.remove_columns("label").add_column("label", labels).cast(features).to_parquet(folder / "test.parquet")
    return PARQUET


def replace_labels(folder: Path, labels: list, feature: str) -> str:
    import datasets

    table = datasets.Dataset.from_parquet(str(folder / "test.parquet")).remove_columns("label")
    kind = datasets.Features({"label": datasets.Value(feature) if feature else datasets.List(datasets.Value("int64"))})
    column = datasets.Dataset.from_dict({"label": labels}, features=kind)
    datasets.concatenate_datasets([table, column], axis=1).to_parquet(folder / "test.parquet")
    return PARQUET


def break_label_column(folder: Path) -> str:
    import datasets

    table = datasets.Dataset.from_parquet(str(folder / "test.parquet"))
    table.remove_columns("label").to_parquet(folder / "test.parquet")
    return PARQUET


def break_one_label(folder: Path) -> str:
    return replace_labels(folder, [0, 1, None, *range(3, 10)], "int64")


def break_one_name(folder: Path) -> str:
    return replace_labels(folder, [*["cat"] * 7, None, "dog", "dog"], "string")


def break_name(folder: Path) -> str:
    return replace_labels(folder, [*["cat"] * 9, "unicorn"], "string")


def break_fraction(folder: Path) -> str:
    return replace_labels(folder, [0.5] * 10, "float64")


def break_lists(folder: Path) -> str:
    return replace_labels(folder, [[1]] * 10, "")


def swap_label(folder: Path) -> str:
    return PARQUET + 'label = "img"'


def swap_image(folder: Path) -> str:
    return PARQUET + 'image = "label"'


def break_pattern(folder: Path) -> str:
    return PARQUET.replace("test*.parquet", "/etc/*.parquet")


def break_footer(folder: Path) -> str:
    path = folder / "test.parquet"
    path.write_bytes(path.read_bytes()[:-30])
    return PARQUET


def break_split(folder: Path) -> str:
    (folder / "test.parquet").unlink()
    return PARQUET


def break_empty(folder: Path) -> str:
    import datasets

    datasets.Dataset.from_parquet(str(folder / "test.parquet")).select([]).to_parquet(folder / "test.parquet")
    return PARQUET


def break_file(folder: Path) -> str:
    (folder / "test.parquet").write_bytes(b"PAR1 and then nothing")
    return PARQUET


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (break_column, "no column 'picture'; there are img, label"),
        (break_label, "row 4 has label 12, outside the classes 0 to 9"),
        (break_missing_label, "row 0 has label -1, outside the classes 0 to 9"),
        (break_split, "no files there, so split 'test' would be empty"),
        (break_empty, "the split is empty"),
        (break_file, "could not be read"),
        (break_footer, "could not be read"),
        (break_pattern, "'/etc/*.parquet' is no pattern of files in"),
        (break_label_column, "cannot tell which column is the label: name one of img in the spec"),
        (break_one_label, "row 2 has no label in column 'label'"),
        (break_one_name, "row 7 has no label in column 'label'"),
        (break_name, "label 'unicorn' is outside the classes airplane, automobile"),
        (break_fraction, "column 'label' holds float64, not one label a row"),
        (break_lists, "column 'label' holds List, not one label a row"),
        (swap_label, "column 'img' holds Image, not one label a row"),
        (swap_image, "column 'label' holds ClassLabel, not images"),
    ],
)
def test_a_faulty_table_is_refused_in_one_line(parquet, write_spec, capfd, fault, said):
    spec = write_spec(fault(parquet))
    capfd.readouterr()
    assert said in one_line(lambda: load(spec, "test"))
    assert capfd.readouterr() == ("", "")


def test_labels_may_be_the_names_of_classes(parquet, write_spec):
    spec = write_spec(replace_labels(parquet, ["truck", *["cat"] * 8, "airplane"], "string"))
    assert load(spec, "test").labels.tolist() == [9, *[3] * 8, 0]


FLAT = {"shape": "[3, 8, 8]", "splits": "{ test = { examples = 1 } }"}
GREY = {"shape": "[1, 8, 8]", "mean": "[0.5]", "std": "[0.5]", "splits": "{ test = { examples = 1 } }"}


@pytest.mark.parametrize(
    ("mode", "colour", "wanted"),
    [
        ("RGBA", (200, 100, 50, 0), [200, 100, 50]),
        ("P", (10, 200, 30), [10, 200, 30]),
        ("L", 77, [77, 77, 77]),
        ("LA", (77, 0), [77, 77, 77]),
        ("1", 1, [255, 255, 255]),
    ],
)
def test_a_picture_of_another_mode_is_turned_into_the_shape_of_the_spec(tmp_path, write_spec, mode, colour, wanted):
    folder = tmp_path / "files" / "test" / "cat"
    folder.mkdir(parents=True)
    picture = Image.new("RGB", (8, 8), colour).quantize(4) if mode == "P" else Image.new(mode, (8, 8), colour)
    picture.save(folder / "0.png")
    assert load(write_spec(FOLDERS, **FLAT), "test").pixels[0, :, 3, 3].tolist() == wanted
    if mode in ("RGBA", "P"):
        assert f"is of mode {mode}, the spec's shape (1, 8, 8) is grey" in one_line(
            lambda: load(write_spec(FOLDERS, **GREY), "test")
        )
    else:
        assert load(write_spec(FOLDERS, **GREY), "test").pixels[0, :, 3, 3].tolist() == wanted[:1]


@pytest.mark.parametrize(
    ("kind", "suffix", "mode"), [("uint16", "png", "I;16"), ("int32", "tif", "I"), ("float32", "tif", "F")]
)
@pytest.mark.parametrize("spec", [FLAT, GREY], ids=["colour", "grey"])
def test_a_picture_of_more_than_8_bits_is_refused_rather_than_clipped(tmp_path, write_spec, kind, suffix, mode, spec):
    folder = tmp_path / "files" / "test" / "cat"
    folder.mkdir(parents=True)
    Image.fromarray(np.full((8, 8), 40_000, dtype=kind)).save(folder / f"0.{suffix}")
    message = one_line(lambda: load(write_spec(FOLDERS, **spec), "test"))
    assert f"is of mode {mode}, with more than 8 bits a channel" in message


def test_a_text_file_in_an_image_folder_is_refused_by_name(folders, write_spec):
    (folders / "test" / "cat" / "notes.txt").write_text("these are cats")
    assert "notes.txt is not an image" in one_line(lambda: load(write_spec(FOLDERS), "test"))


def test_an_image_that_cannot_be_decoded_is_refused_by_name(folders, write_spec):
    (folders / "test" / "cat" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    assert "3.png" in one_line(lambda: load(write_spec(FOLDERS), "test"))


def test_a_folder_that_is_no_class_is_refused_by_name(folders, write_spec):
    (folders / "test" / "cat").rename(folders / "test" / "kitten")
    assert "folder 'kitten' is none of the classes airplane" in one_line(lambda: load(write_spec(FOLDERS), "test"))


def test_a_fingerprint_that_differs_is_refused_with_both(parquet, write_spec):
    have = load(write_spec(PARQUET), "test").fingerprint
    wanted = "0" * 64
    spec = write_spec(PARQUET, splits=f'{{ test = {{ examples = 10, fingerprint = "{wanted}" }} }}')
    message = one_line(lambda: load(spec, "test"))
    assert have in message and wanted in message


def test_another_number_of_images_is_refused_with_both(parquet, write_spec):
    spec = write_spec(PARQUET, splits="{ test = { examples = 11 } }")
    assert "10 images, the spec says 11" in one_line(lambda: load(spec, "test"))


def test_a_set_that_is_nowhere_says_what_to_type(write_spec):
    sources = """
        [[sources]]
        kind = "idx"
        folder = "/nowhere"
        install = "apt-get install dataset-nowhere"
        files.test = ["a", "b"]
        [[sources]]
        kind = "builtin"
        function = "digits"
        package = "package-that-is-not-there"
        """
    message = one_line(lambda: load(write_spec(sources), "test"))
    assert "apt-get install dataset-nowhere" in message
    assert "pip install package-that-is-not-there" in message
    assert "$IVI_DATA/tiny" in message


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (idx(np.zeros((10, 8, 8), np.uint8))[:-1], idx(np.zeros(10, np.uint8)), "ends after 639 of 640 bytes"),
        (b"not an idx file", idx(np.zeros(10, np.uint8)), "not an idx file of bytes"),
        (idx(np.zeros((10, 8, 8), np.uint8)), idx(np.zeros(9, np.uint8)), "need [N, H, W] and [N]"),
        (idx(np.zeros((10, 8, 8), np.uint8)), idx(np.full(10, 10, np.uint8)), "label 10 is outside the 10 classes"),
        (idx(np.zeros((10, 8, 8), np.uint8)) + b"x", idx(np.zeros(10, np.uint8)), "goes on after the 640 bytes"),
        (idx(np.zeros((0, 8, 8), np.uint8)), idx(np.zeros(0, np.uint8)), "the split is empty"),
        (struct.pack(">HBB3I", 0, 8, 3, *[2**31] * 3), idx(np.zeros(10, np.uint8)), "a.gz: damaged"),
    ],
)
def test_a_damaged_idx_file_is_refused_in_one_line(tmp_path, write_spec, images, labels, said):
    (tmp_path / "a.gz").write_bytes(gzip.compress(images))
    (tmp_path / "b.gz").write_bytes(gzip.compress(labels))
    sources = f"""
        [[sources]]
        kind = "idx"
        folder = "{tmp_path}"
        install = "-"
        files.test = ["a.gz", "b.gz"]
        """
    spec = write_spec(sources, shape="[1, 8, 8]", mean="[0.5]", std="[0.5]")
    assert said in one_line(lambda: load(spec, "test"))


def test_a_gz_file_cut_short_is_refused_in_one_line(tmp_path, write_spec):
    whole = gzip.compress(idx(np.random.default_rng(0).integers(0, 256, (10, 8, 8), dtype=np.uint8)))
    (tmp_path / "a.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b.gz").write_bytes(gzip.compress(idx(np.zeros(10, np.uint8))))
    sources = f'[[sources]]\nkind = "idx"\nfolder = "{tmp_path}"\ninstall = "-"\nfiles.test = ["a.gz", "b.gz"]'
    spec = write_spec(sources, shape="[1, 8, 8]", mean="[0.5]", std="[0.5]")
    assert "a.gz: damaged" in one_line(lambda: load(spec, "test"))


@pytest.mark.parametrize("place", [40, -8])
def test_damage_inside_a_gz_file_is_noticed(tmp_path, write_spec, place):
    whole = bytearray(gzip.compress(idx(np.random.default_rng(0).integers(0, 256, (10, 8, 8), dtype=np.uint8))))
    whole[place] ^= 0xFF
    (tmp_path / "a.gz").write_bytes(whole)
    (tmp_path / "b.gz").write_bytes(gzip.compress(idx(np.zeros(10, np.uint8))))
    sources = f'[[sources]]\nkind = "idx"\nfolder = "{tmp_path}"\ninstall = "-"\nfiles.test = ["a.gz", "b.gz"]'
    spec = write_spec(sources, shape="[1, 8, 8]", mean="[0.5]", std="[0.5]")
    assert "a.gz: damaged" in one_line(lambda: load(spec, "test"))


def as_png(pixels: np.ndarray) -> bytes:
    import io

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def one_line(action) -> str:
    with pytest.raises(DataError) as caught:
        action()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_images_know_their_shape():
    assert Images(torch.zeros(2, 1, 4, 5, dtype=torch.uint8), None, ()).shape == (1, 4, 5)
