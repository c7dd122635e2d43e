"""What ``ivi data`` shows."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from rich.console import Console

from benchmarks.data import DataError
from benchmarks.data.report import details, overview, sources_table, split_facts
from benchmarks.data.sheets import contact_sheets
from benchmarks.data.spec import CORRUPTIONS, names, read_spec
from benchmarks.data.stream import StreamSource

TEST_AND_TRAIN = """
    [[sources]]
    kind = "local"
    format = "parquet"
    path = "."
    splits = { train = "train.parquet", test = "test.parquet" }
    """


def shown(*tables) -> str:
    console = Console(width=400, file=io.StringIO())
    for table in tables:
        console.print(table)
    return console.file.getvalue()


def test_the_overview_names_every_set_and_what_to_do_for_it():
    text = shown(overview())
    assert all(name in text for name in names())
    assert "hub uoft-cs/cifar10@0b27149: needs a network, once: ivi data cifar10" in text
    assert "$IVI_DATA/cifar10" in text


def test_details_show_sizes_fingerprints_groups_and_licence(warm):
    text = shown(*details("mnist5k"))
    spec = read_spec("mnist5k")
    assert all(word in text for word in (spec.licence, "5,000", spec.splits["all"].fingerprint, "glyphs", "textures"))


def test_details_of_a_corrupted_set_that_is_not_here_say_so_in_their_place():
    text = shown(*details("mnistc"))
    assert "not here" in text and "put a copy into $IVI_DATA/mnistc" in text


def test_what_cannot_be_had_is_an_error_after_all_that_can_be_said_and_no_cell_of_a_table(write_spec):
    spec = write_spec('[[sources]]\nkind = "idx"\nfolder = "nowhere"\ninstall = "make it"\nfiles = {}')
    told = []
    with pytest.raises(DataError, match="make it"):
        told.extend(details(spec))  # an iterator: what came before the error has been shown
    tables = details(spec)
    assert "licence" in shown(next(tables)) and "make it" in shown(next(tables))


def test_details_of_a_table_name_its_columns_and_what_is_predicted(warm):
    text = shown(*details("diabetes"))
    assert "rows of 10 numbers (age, sex, bmi, bp" in text and "'target': a real number" in text and "442" in text
    assert "all*.csv or all*.parquet" in shown(sources_table(read_spec("diabetes")))


def test_a_table_has_no_pictures(tmp_path):
    with pytest.raises(DataError, match="diabetes holds no images"):
        contact_sheets("diabetes", tmp_path)


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("cifar10", "train*.parquet or train/CLASS/IMAGE"),
        ("mnistc", "*.parquet (image, label, corruption, severity) or CORRUPTION/SEVERITY/CLASS/IMAGE"),
        ("cifar10c", "*.parquet (image, label, corruption_name, corruption_level) or CORRUPTION/SEVERITY/CLASS/IMAGE"),
    ],
)
def test_sources_say_how_a_copy_of_ones_own_has_to_look(name, layout):
    assert f"tried first where it exists: {layout}" in shown(sources_table(read_spec(name)))


def test_a_streamed_set_is_shown_without_being_read_whole(tmp_path, cifar_like, write_spec):
    cifar_like(20, 0).to_parquet(tmp_path / "train.parquet")
    cifar_like(10, 1).to_parquet(tmp_path / "test.parquet")
    spec = write_spec(TEST_AND_TRAIN, stream="true")
    facts = {facts.name: facts for facts in split_facts(spec)}
    assert facts["test"].examples == 10 and facts["test"].fingerprint == StreamSource(spec, "test").fingerprint
    assert "not read" in shown(*details(spec))
    sheets = contact_sheets(spec, tmp_path / "sheets")
    assert [path.name for path in sheets] == ["tiny.png", "tiny-corruptions.png"]
    with Image.open(sheets[0]) as sheet:
        assert sheet.height == 20 * (64 + 14) and sheet.convert("L").getextrema()[0] < 50


def test_a_streamed_set_is_not_downloaded_to_be_looked_at():
    with pytest.raises(DataError, match="imagenet is streamed and not on this machine"):
        list(details("imagenet"))


def test_overlap_between_splits_is_counted(tmp_path, cifar_like, write_spec):
    train, test = cifar_like(20, 0), cifar_like(10, 1)
    test = test.select([0, 1, 2]).to_list() + train.select([4, 5]).to_list() * 2 + test.select([3, 4, 5]).to_list()
    train.to_parquet(tmp_path / "train.parquet")
    type(train).from_list(test, features=train.features).to_parquet(tmp_path / "test.parquet")
    facts = {facts.name: facts for facts in split_facts(write_spec(TEST_AND_TRAIN))}
    assert facts["test"].repeated == {"train": 4} and facts["train"].repeated == {"test": 2}
    assert facts["test"].duplicates == 2 and facts["train"].duplicates == 0
    assert not facts["test"].pinned


@pytest.mark.parametrize("name", ["digits", "glyphs"])
def test_contact_sheets_show_splits_strangers_and_corruptions(tmp_path, warm, name):
    sheets = {path.name: Image.open(path) for path in contact_sheets(name, tmp_path / "sheets")}
    expected = {f"{name}.png", f"{name}-corruptions.png"} | ({"digits-ood.png"} if name == "digits" else set())
    assert set(sheets) == expected
    for sheet in sheets.values():
        low, high = sheet.convert("L").getextrema()
        assert (low, high) == (0, 255)
        sheet.close()
    side = read_spec(name).shape[1] * (64 // read_spec(name).shape[1])
    assert sheets[f"{name}-corruptions.png"].size == (18 * side, len(CORRUPTIONS) * (side + 14))
