"""Published corrupted sets: one table of all corruptions and severities, or folders of them, read as "fog/3"."""

from __future__ import annotations

import pytest
import torch

from benchmarks.data import DataError, load

TABLE = """
    [[sources]]
    kind = "local"
    format = "parquet"
    path = "files"
    corruption = "corruption_name"
    severity = "corruption_level"
    splits.corrupted = "*.parquet"
    """
CORRUPTED = {"evaluation": '"corrupted"', "splits": "{ corrupted = { examples = 5 } }"}


@pytest.fixture
def table(cifar_like):
    """20 images: fog and snow, severities 3 and 4, five of each, in no tidy order."""
    rows = cifar_like(20, 0)
    rows = rows.add_column("corruption_name", ["fog" if i % 2 else "snow" for i in range(20)])
    return rows.add_column("corruption_level", [3 if i % 4 < 2 else 4 for i in range(20)])


def test_a_split_is_the_rows_of_its_corruption_and_severity(tmp_path, table, write_spec):
    (tmp_path / "files").mkdir()
    table.to_parquet(tmp_path / "files" / "all.parquet")
    spec = write_spec(TABLE, **CORRUPTED)
    assert load(spec, "fog/3").labels.tolist() == [1, 5, 9, 3, 7]
    assert load(spec, "snow/4").labels.tolist() == [2, 6, 0, 4, 8]
    with pytest.raises(DataError, match="the split is empty"):
        load(spec, "frost/3")
    with pytest.raises(DataError, match="no column 'corruption_level'"):
        table.remove_columns("corruption_level").to_parquet(tmp_path / "files" / "all.parquet")
        load(spec, "fog/3")


def test_a_set_that_the_hub_has_not_is_read_from_a_table_of_ones_own(tmp_path, table, monkeypatch, write_spec):
    (tmp_path / "own" / "tiny").mkdir(parents=True)
    table = table.rename_columns({"corruption_name": "corruption", "corruption_level": "severity"})
    table.to_parquet(tmp_path / "own" / "tiny" / "any name.parquet")
    monkeypatch.setenv("IVI_DATA", str(tmp_path / "own"))
    assert load(write_spec("sources = []", **CORRUPTED), "fog/3").labels.tolist() == [1, 5, 9, 3, 7]


def test_a_table_and_folders_of_ones_own_hold_the_same_images(tmp_path, table, monkeypatch, write_spec):
    (tmp_path / "table" / "tiny").mkdir(parents=True)
    table.to_parquet(tmp_path / "table" / "tiny" / "part-0.parquet")
    names = table.features["label"].names
    for row, cell in enumerate(table):
        place = f"{cell['corruption_name']}/{cell['corruption_level']}/{names[cell['label']]}"
        folder = tmp_path / "folders" / "tiny" / place
        folder.mkdir(parents=True, exist_ok=True)
        cell["img"].save(folder / f"{row:02}.png")
    hub = 'kind = "hub"\nrepo = "nobody/nothing"\ncorruption = "corruption_name"\nseverity = "corruption_level"'
    spec = write_spec(f"[[sources]]\n{hub}", **CORRUPTED)
    loaded = []
    for kind in ("table", "folders"):
        monkeypatch.setenv("IVI_DATA", str(tmp_path / kind))
        images = load(spec, "fog/3")
        order = images.labels.argsort()
        loaded.append(images.pixels[order])
    assert torch.equal(*loaded)
