"""Files of one's own, whatever they are called and however they lie: read as meant, or refused in one line."""

from __future__ import annotations

import io
import os
import shutil
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks.data import DataError, check_present, load
from benchmarks.data.sources.files import below
from benchmarks.data.spec import Local, names, read_spec
from benchmarks.data.stream import StreamSource

posix = pytest.mark.skipif(sys.platform == "win32", reason="names and links of POSIX")
few = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
folder_names = st.text(
    st.characters(exclude_characters="/\0\\\"'", exclude_categories=["Cs", "Cc"]) | st.sampled_from("[]*?!{}$~:%# -"),
    min_size=1,
    max_size=12,
).filter(lambda name: name.strip(". ") and not name.startswith("."))


def spec_text(path: str, count: int, kind: str = "imagefolder", classes: str = "", extra: str = "") -> str:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f"""
        title = "Own"
        licence = "-"
        citation = "-"
        shape = [3, 8, 8]
        num_classes = 2
        {classes}
        mean = [0.5, 0.5, 0.5]
        std = [0.25, 0.25, 0.25]
        splits = {{ train = {{ examples = {count} }}, test = {{ examples = {count} }} }}
        [[sources]]
        kind = "local"
        format = "{kind}"
        path = "{escaped}"
        {extra}
        """


def write(tmp_path: Path, text: str) -> str:
    (tmp_path / "own.toml").write_text("\n".join(line.strip() for line in text.splitlines()), encoding="utf-8")
    return str(tmp_path / "own.toml")


def picture(shade: int) -> Image.Image:
    return Image.new("RGB", (8, 8), (shade, shade, shade))


def put(folder: Path, tree: dict[str, int]) -> None:
    for name, shade in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture(shade).save(folder / name)


def tables(folder: Path, names: dict[str, list[str]], shade: int = 0) -> None:
    """One parquet file a split, its classes numbered as its own list of names has them."""
    import datasets

    folder.mkdir(parents=True, exist_ok=True)
    for split, classes in names.items():
        features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=classes)})
        rows = {"image": [picture(shade + i) for i in range(2)], "label": [0, 1]}
        datasets.Dataset.from_dict(rows, features=features).to_parquet(folder / f"{split}.parquet")


# Class numbers


def test_folders_are_numbered_over_all_splits(tmp_path):
    put(tmp_path / "own", {"train/cat/0.png": 0, "train/dog/0.png": 1, "test/dog/0.png": 2, "test/dog/1.png": 3})
    spec = write(tmp_path, spec_text("own", 2))
    train, test = load(spec, "train"), load(spec, "test")
    assert train.classes == test.classes == ("cat", "dog")
    assert train.labels.tolist() == [0, 1] and test.labels.tolist() == [1, 1]


def test_a_class_that_only_one_split_has_is_refused_where_the_number_of_classes_says_so(tmp_path):
    put(tmp_path / "own", {"train/cat/0.png": 0, "train/dog/0.png": 1, "test/bird/0.png": 2, "test/cat/1.png": 3})
    spec = write(tmp_path, spec_text("own", 2))
    for split in ("train", "test"):
        assert "3 classes (bird, cat, dog...), the spec has 2" in one_line(lambda split=split: load(spec, split))


def test_a_class_folder_that_appears_in_another_split_changes_what_is_cached(tmp_path):
    put(tmp_path / "own", {"train/cat/0.png": 0, "train/dog/0.png": 1, "test/dog/0.png": 2, "test/dog/1.png": 3})
    spec = write(tmp_path, spec_text("own", 2))
    load(spec, "test")
    put(tmp_path / "own", {"train/ape/0.png": 0})
    assert "3 classes" in one_line(lambda: load(spec, "test"))


@given(order=st.permutations(["ape", "bee", "cat"]), lacking=st.sampled_from(["ape", "bee", "cat"]))
@few
def test_no_split_gives_a_class_another_number_than_the_others(tmp_path_factory, order, lacking):
    tmp_path = tmp_path_factory.mktemp("own")
    for split, classes in (("train", order), ("test", [name for name in order if name != lacking])):
        put(tmp_path / "own", {f"{split}/{name}/{i}.png": i for i, name in enumerate([*classes, *classes][:3])})
    text = spec_text("own", 3).replace("num_classes = 2", "num_classes = 3")
    spec = write(tmp_path, text)
    for split in ("train", "test"):
        images = load(spec, split)
        places = sorted((tmp_path / "own" / split).glob("*/*.png"))
        assert [images.classes[label] for label in images.labels] == [place.parent.name for place in places]


def test_labels_that_are_text_want_their_order_in_the_spec(tmp_path):
    import datasets

    (tmp_path / "own").mkdir()
    for split, labels in (("train", ["cat", "dog"]), ("test", ["dog", "dog"])):
        rows = {"image": [picture(0), picture(1)], "label": labels}
        features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")})
        datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "own" / f"{split}.parquet")
    said = one_line(lambda: load(write(tmp_path, spec_text("own", 2, "parquet")), "test"))
    assert "labels are names: say in the spec in which order, as in classes = ['dog']" in said
    named = write(tmp_path, spec_text("own", 2, "parquet", 'classes = ["cat", "dog"]'))
    assert load(named, "test").labels.tolist() == [1, 1]


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_text_label_is_refused_by_its_row(tmp_path, empty):
    import datasets

    (tmp_path / "own").mkdir()
    rows = {"image": [picture(0), picture(1)], "label": ["cat", empty]}
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")})
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "own" / "test.parquet")
    spec = write(tmp_path, spec_text("own", 2, "parquet", 'classes = ["cat", "dog"]'))
    assert "row 1 has an empty label" in one_line(lambda: load(spec, "test"))


def test_tables_that_number_their_classes_differently_are_refused_where_the_spec_names_none(tmp_path):
    tables(tmp_path / "own", {"train": ["cat", "dog"], "test": ["bird", "cat"]})
    spec = write(tmp_path, spec_text("own", 2, "parquet"))
    said = one_line(lambda: load(spec, "test"))
    assert "split 'test' has the classes bird, cat, split 'train' cat, dog: name them in the spec" in said
    tables(tmp_path / "own", {"train": ["cat", "dog"], "test": ["dog", "cat"]})
    named = write(tmp_path, spec_text("own", 2, "parquet", 'classes = ["cat", "dog"]'))
    assert load(named, "train").labels.tolist() == [0, 1] and load(named, "test").labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("stated", "read"),
    [
        (["cat", "dog"], True),
        (["c at", "dog!"], True),
        (["Cat", "dog"], False),
        (["DOG", "CAT"], False),
        (["lion", "wolf"], False),
        (["dog", "c-at"], False),
    ],
)
def test_names_of_a_table_that_are_not_the_specs_are_refused_but_for_spaces_and_signs(tmp_path, stated, read):
    tables(tmp_path / "own", {"test": stated})
    spec = write(tmp_path, spec_text("own", 2, "parquet", 'classes = ["cat", "dog"]'))
    if read:
        assert load(spec, "test").labels.tolist() == [0, 1]
    else:
        assert "is none of the classes cat, dog" in one_line(lambda: load(spec, "test"))


@pytest.mark.parametrize("classes", ['["cat", "Cat"]', '["Straße", "STRASSE"]'])
def test_classes_that_differ_in_case_only_are_refused(tmp_path, classes):
    spec = write(tmp_path, spec_text("own", 2, classes=f"classes = {classes}"))
    assert "differ in case only: rename one" in one_line(lambda: read_spec(spec))


def test_class_folders_that_differ_in_case_only_are_refused(tmp_path):
    put(tmp_path / "own", {"train/cat/0.png": 0, "train/dog/0.png": 1, "test/Cat/0.png": 2, "test/dog/1.png": 3})
    if len(list((tmp_path / "own").glob("*/[cC]at"))) == 2:
        spec = write(tmp_path, spec_text("own", 2))
        assert "'Cat' and 'cat' differ in case only" in one_line(lambda: load(spec, "test"))


# Names and places


@given(name=folder_names)
@few
@posix
def test_a_folder_of_any_name_is_read_and_no_other_in_its_place(tmp_path_factory, name):
    tmp_path = tmp_path_factory.mktemp("own")
    tables(tmp_path / name, {"test": ["cat", "dog"]}, shade=100)
    for other in ("set", "set2", "s", "x"):
        if other != name:
            tables(tmp_path / other, {"test": ["cat", "dog"]}, shade=0)
    images = load(write(tmp_path, spec_text(name, 2, "parquet")), "test")
    assert images.pixels[0, 0, 0, 0] == 100
    put(tmp_path / "folders" / name, {"test/cat/0.png": 7, "test/dog/0.png": 9})
    images = load(write(tmp_path, spec_text(f"folders/{name}", 2)), "test")
    assert images.pixels[:, 0, 0, 0].tolist() == [7, 9]


def test_brackets_in_a_folders_name_are_no_pattern(tmp_path):
    tables(tmp_path / "set[2]", {"test": ["cat", "dog"]}, shade=50)
    tables(tmp_path / "set2", {"test": ["cat", "dog"]}, shade=0)
    for source in ("set[2]", "set[2]/test.parquet"):
        assert load(write(tmp_path, spec_text(source, 2, "parquet")), "test").pixels[0, 0, 0, 0] == 50


@posix
@given(
    tree=st.sets(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 9)), min_size=1),
    linked=st.data(),
)
@few
def test_linked_folders_and_files_are_read_as_if_they_lay_there(tmp_path_factory, tree, linked):
    tmp_path = tmp_path_factory.mktemp("own")
    for first, second, file in tree:
        place = tmp_path / "real" / first / second
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{file}.png").touch()
    (tmp_path / "seen").mkdir()
    for first in (tmp_path / "real").iterdir():
        if linked.draw(st.booleans()):
            (tmp_path / "seen" / first.name).symlink_to(first)
        else:
            shutil.copytree(first, tmp_path / "seen" / first.name)
    (tmp_path / "seen" / "a").mkdir(exist_ok=True)
    if linked.draw(st.booleans()) and not (tmp_path / "seen" / "a").is_symlink():
        (tmp_path / "seen" / "a" / "round").symlink_to(tmp_path / "seen")
    found = sorted(str(path.relative_to(tmp_path / "seen")) for path in below(tmp_path / "seen"))
    assert found == sorted(f"{first}/{second}/{file}.png" for first, second, file in tree)


@posix
def test_linked_class_folders_are_classes(tmp_path):
    put(tmp_path / "elsewhere", {"1/0.png": 5, "2/0.png": 6})
    (tmp_path / "own" / "test").mkdir(parents=True)
    (tmp_path / "own" / "test" / "cat").symlink_to(tmp_path / "elsewhere" / "1")
    (tmp_path / "own" / "test" / "dog").symlink_to(tmp_path / "elsewhere" / "2")
    for extra in ("", 'splits.test = "test/**/*.png"', 'splits.test = "test/*/*"'):
        images = load(write(tmp_path, spec_text("own", 2, extra=extra)), "test")
        assert images.pixels[:, 0, 0, 0].tolist() == [5, 6] and images.classes == ("cat", "dog")


@pytest.mark.skipif(sys.platform != "linux", reason="file systems that take any bytes")
@pytest.mark.parametrize("place", [b"test/cat/\xe9t\xe9.png", b"test/\xe9t\xe9/1.png"])
def test_a_name_in_another_encoding_is_refused_in_one_printable_line(tmp_path, place):
    put(tmp_path / "own", {"test/cat/0.png": 0, "test/dog/0.png": 0})
    path = os.path.join(os.fsencode(tmp_path / "own"), place)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    shutil.copy(tmp_path / "own/test/cat/0.png", path)
    message = one_line(lambda: load(write(tmp_path, spec_text("own", 2)), "test"))
    message.encode()
    assert "\\udce9t\\udce9" in message and "not UTF-8: rename it" in message


@given(text=st.text(st.characters(exclude_categories=[])))
def test_an_error_is_one_line_that_a_terminal_shows_as_it_is(text):
    message = str(DataError(text))
    assert message.isprintable() and len(message.splitlines()) <= 1
    message.encode()
    assert str(DataError("café 'x' 漢字 \x1b[2J\u202e\n")) == "café 'x' 漢字 \\x1b[2J\\u202e\\n"


def test_files_are_found_by_the_documented_layout_without_being_named(tmp_path):
    tables(tmp_path / "own", {"train-00000-of-00001": ["cat", "dog"]}, shade=10)
    tables(tmp_path / "own" / "test", {"part-0": ["cat", "dog"]}, shade=20)
    (tmp_path / "own" / "test" / "readme.txt").write_text("not a table")
    spec = write(tmp_path, spec_text("own", 2, "parquet"))
    assert load(spec, "train").pixels[0, 0, 0, 0] == 10 and load(spec, "test").pixels[0, 0, 0, 0] == 20


def test_what_save_to_disk_made_is_read_or_refused_with_what_to_write(tmp_path):
    import datasets

    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    one = datasets.Dataset.from_dict({"image": [picture(3), picture(4)], "label": [0, 1]}, features=features)
    datasets.DatasetDict({"train": one, "test": one}).save_to_disk(tmp_path / "both")
    assert load(write(tmp_path, spec_text("both", 2, "arrow")), "test").pixels[:, 0, 0, 0].tolist() == [3, 4]
    one.save_to_disk(tmp_path / "one")
    message = one_line(lambda: load(write(tmp_path, spec_text("one", 2, "arrow")), "test"))
    assert "save_to_disk made this folder; name its files in the spec, as *.arrow" in message
    named = write(tmp_path, spec_text("one", 2, "arrow", extra='splits.test = "*.arrow"'))
    assert load(named, "test").labels.tolist() == [0, 1]


def test_paths_in_a_spec_count_from_the_file_that_names_them(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    put(tmp_path / "sub" / "own", {"test/cat/0.png": 1, "test/dog/0.png": 2})
    text = spec_text("own", 2).replace(
        'title = "Own"', 'title = "Own"\nnear = ["other.toml", "svhn"]\nfar = ["../far.toml"]'
    )
    spec = write(tmp_path / "sub", text)
    monkeypatch.chdir(tmp_path)
    for name in (spec, "sub/own.toml"):
        found = read_spec(name)
        assert [Path(near).resolve() for near in found.near[:1]] == [tmp_path / "sub" / "other.toml"]
        assert found.near[1] == "svhn" and Path(found.far[0]).resolve() == tmp_path / "far.toml"
        assert len(load(name, "test")) == 2
    idx = (
        spec_text("own", 2).partition("[[sources]]")[0]
        + '[[sources]]\nkind = "idx"\nfolder = "here"\ninstall = "-"\nfiles = {}'
    )
    assert read_spec(write(tmp_path / "sub", idx)).sources[0].folder == tmp_path / "sub" / "here"


def test_a_set_that_is_not_there_is_known_before_anything_is_read(tmp_path):
    put(tmp_path / "own", {"train/cat/0.png": 1, "train/dog/0.png": 2})
    spec = write(tmp_path, spec_text("own", 2))
    check_present(spec, "train")
    assert "no files there, so split 'test' would be empty" in one_line(lambda: check_present(spec))
    assert "no data set" in one_line(lambda: check_present(str(tmp_path / "nowhere.toml")))
    assert "has no split 'val'" in one_line(lambda: check_present(spec, "val"))
    for name in ("digits", "wine", "faces"):
        check_present(name)


# Pictures


def one_picture(tmp_path: Path, content: bytes, name: str = "0.png", shape: str = "[3, 8, 8]") -> str:
    for place in ("test/cat", "test/dog"):
        (tmp_path / "own" / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / place / name).write_bytes(content)
    text = spec_text("own", 2).replace("[3, 8, 8]", shape)
    if shape.startswith("[1"):
        text = text.replace("[0.5, 0.5, 0.5]", "[0.5]").replace("[0.25, 0.25, 0.25]", "[0.25]")
    return write(tmp_path, text)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_pictures_are_turned_upright_as_the_datasets_library_does(tmp_path, orientation, kind):
    import datasets

    corner = Image.new("RGB", (8, 8))
    corner.paste((255, 255, 255), (0, 0, 4, 2))  # no symmetry
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    corner.save(file, kind, exif=exif, **({"quality": 100} if kind == "JPEG" else {}))
    images = load(one_picture(tmp_path, file.getvalue(), f"0.{kind.lower()}"), "test")
    theirs = datasets.Image().decode_example({"bytes": file.getvalue(), "path": None}).convert("RGB")
    assert np.array_equal(images.pixels[0].permute(1, 2, 0).numpy(), np.asarray(theirs))


def png_of_bits(bits: int, colour: int, channels: int) -> bytes:
    rows = b"".join(b"\0" + bytes(8 * channels * bits // 8) for _ in range(8))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff_of_16_bits() -> bytes:
    entries = [
        (256, 8),
        (257, 8),
        (258, 8 + 2 + 9 * 12 + 4),
        (259, 1),
        (262, 2),
        (273, 128),
        (277, 3),
        (278, 8),
        (279, 384),
    ]
    body = b"".join(struct.pack("<HHII", tag, 4 if tag == 273 else 3, 3 if tag == 258 else 1, v) for tag, v in entries)
    start = b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + struct.pack("<IHHH", 0, 16, 16, 16)
    return start.ljust(128, b"\0") + bytes(384)


@pytest.mark.parametrize("shape", ["[3, 8, 8]", "[1, 8, 8]"])
@pytest.mark.parametrize(
    ("content", "name"),
    [
        (png_of_bits(16, 2, 3), "0.png"),
        (png_of_bits(16, 6, 4), "0.png"),
        (png_of_bits(16, 0, 1), "0.png"),
        (png_of_bits(16, 4, 2), "0.png"),
        (tiff_of_16_bits(), "0.tif"),
        (b"P6 8 8 65535\n" + bytes(384), "0.ppm"),
        (b"P6 8 8 1023\n" + bytes(384), "0.ppm"),
        (b"P5 8 8 65535\n" + bytes(128), "0.pgm"),
    ],
    ids=["rgb png", "rgba png", "grey png", "grey png with alpha", "tiff", "ppm", "ppm of 10 bits", "pgm"],
)
def test_more_than_8_bits_a_channel_is_refused_in_every_format(tmp_path, content, name, shape):
    message = one_line(lambda: load(one_picture(tmp_path, content, name, shape), "test"))
    assert "with more than 8 bits a channel: convert it first" in message


@pytest.mark.parametrize("content", [png_of_bits(8, 2, 3), b"P6 8 8 255\n" + bytes(192), b"P6 8 8 15\n" + bytes(192)])
def test_8_bits_a_channel_and_fewer_are_read(tmp_path, content):
    name = "0.png" if content[:4] == b"\x89PNG" else "0.ppm"
    assert load(one_picture(tmp_path, content, name), "test").pixels.sum() == 0


def huge_png(side: int) -> bytes:
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"


@pytest.mark.parametrize(
    "content", [huge_png(10_000), huge_png(20_000), EPS, b"", b"GIF89a", b"BM" + bytes(20), b"\xff\xd8\xff"]
)
def test_a_picture_that_is_too_large_broken_or_of_another_kind_is_refused_by_name(tmp_path, content):
    message = one_line(lambda: load(one_picture(tmp_path, content), "test"))
    assert "cannot be decoded" in message and "0.png" in message


def test_a_format_that_would_start_another_program_is_not_even_recognized(tmp_path):
    assert "UnidentifiedImageError" in one_line(lambda: load(one_picture(tmp_path, EPS), "test"))


@given(
    content=st.binary(max_size=200),
    start=st.sampled_from(["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM"]),
    cut=st.floats(0, 1),
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_damaged_picture_is_anything_but_read_or_refused_in_one_line(content, start, cut):
    from benchmarks.data.sources.pictures import as_shape, open_picture

    file = io.BytesIO()
    picture(9).save(file, start)
    whole = file.getvalue()
    place = int(cut * len(whole))
    damaged = whole[:place] + content + whole[place + len(content) :]
    spec = read_spec("cifar10").model_copy(update={"shape": (3, 8, 8), "resize": True})
    try:
        pixels = as_shape(open_picture({"bytes": damaged, "path": None}, spec, "here"), spec, "here")
    except DataError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert pixels.shape == (3, 8, 8)


@pytest.mark.parametrize("stream", [False, True])
def test_an_empty_cell_in_the_column_of_images_is_refused_by_its_row(tmp_path, stream):
    import datasets

    (tmp_path / "own").mkdir()
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    rows = {"image": [picture(0), None], "label": [0, 1]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "own" / "test.parquet")
    text = spec_text("own", 2, "parquet").replace(
        "num_classes", "stream = true\nnum_classes" if stream else "num_classes"
    )
    spec = write(tmp_path, text)
    read = (lambda: StreamSource(spec, "test").fingerprint) if stream else (lambda: load(spec, "test"))
    assert "image 1: there is no picture, the cell is empty" in one_line(read)


# TOML


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (("a = " + "[" * 500 + "]" * 500).encode(), "brackets inside brackets, too deep"),
        (("a = " + "{b=" * 2000 + "1" + "}" * 2000).encode(), "too deep"),
        ("title = 'é'".encode("latin-1"), "not a TOML file in UTF-8"),
        ("title = 'x'".encode("utf-16"), "not a TOML file in UTF-8"),
        (b"\xef\xbb\xbftitle = 'x'", "not a TOML file in UTF-8"),
        (b'name = "x"\n[data]\nname = "leaves"\n[recipe]\n', "is a task, not a data set; its data set is 'leaves'"),
        (b"tasks = []\nmethods = []\n", "is a suite, not a data set"),
        (b"mean = [127.0]\nstd=[60.0]", "mean.0: Input should be less than or equal to 1"),
        (b"kind = 3", "unknown kind 3; there are image, table"),
    ],
)
def test_a_file_that_is_no_spec_is_refused_in_one_line(tmp_path, content, said):
    (tmp_path / "own.toml").write_bytes(content)
    message = one_line(lambda: read_spec(str(tmp_path / "own.toml")))
    if "mean" in said:
        assert "mean" in message or "Field required" in message
    else:
        assert said in message


@pytest.mark.parametrize(
    ("mean", "std"),
    [("[127, 127, 127]", "[0.2, 0.2, 0.2]"), ("[0.5, 0.5, 0.5]", "[64, 64, 64]"), ("[-1, 0, 0]", "[0.2, 0.2, 0.2]")],
)
def test_a_mean_or_deviation_outside_0_to_1_is_refused(tmp_path, mean, std):
    text = spec_text("own", 2).replace("[0.5, 0.5, 0.5]", mean).replace("[0.25, 0.25, 0.25]", std)
    assert "should be" in one_line(lambda: read_spec(write(tmp_path, text)))


json_like = st.recursive(
    st.integers() | st.text(max_size=5) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)


@given(
    key=st.sampled_from(
        ["shape", "resize", "num_classes", "classes", "mean", "std", "splits", "near", "sources", "kind", "path"]
    ),
    value=json_like,
)
@settings(max_examples=150)
def test_whatever_a_key_holds_a_spec_is_read_or_refused_in_one_line(tmp_path_factory, key, value):
    import json

    lines = spec_text("own", 2).splitlines()
    text = "\n".join(line for line in lines if not line.strip().startswith(f"{key} ="))
    if key == "path":
        text += f"\npath = {json.dumps(value)}"
    else:
        text = f"{key} = {json.dumps(value)}\n{text}"
    spec = write(tmp_path_factory.mktemp("own"), text)
    try:
        load(spec, "test")
    except DataError as error:
        assert len(str(error).splitlines()) == 1


@given(name=st.text(max_size=20))
def test_whatever_a_data_set_is_called_it_is_found_or_refused_in_one_line(name):
    if name not in names():
        with pytest.raises(DataError) as caught:
            read_spec(name)
        assert len(str(caught.value).splitlines()) == 1


@given(pattern=st.text(max_size=8), kind=st.sampled_from(["parquet", "arrow", "imagefolder"]))
@few
def test_whatever_the_pattern_of_a_split_it_is_read_or_refused_in_one_line(tmp_path_factory, pattern, kind):
    from benchmarks.data.sources.files import files_of

    folder = tmp_path_factory.mktemp("own")
    (folder / "a.parquet").touch()
    source = Local(kind="local", format=kind, path=folder, splits={"test": pattern})
    try:
        assert files_of(source, "test")
    except DataError as error:
        assert len(str(error).splitlines()) == 1


def one_line(action) -> str:
    with pytest.raises(DataError) as caught:
        action()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message
