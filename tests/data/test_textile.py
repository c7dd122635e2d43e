"""Cloth: pictures that a package brings along, cut in the proportions of their classes."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.data import DataError, Rows, load, split
from benchmarks.data.sources.files import files_of
from benchmarks.data.spec import SPECS, folder_of_package, read_spec

needs_cloth = pytest.mark.skipif(
    importlib.util.find_spec("conformal_clip_data") is None, reason="needs pip install conformal-clip-data"
)


@given(st.lists(st.integers(1, 60), min_size=2, max_size=4), st.integers(0, 2**31), st.data())
def test_every_part_has_the_classes_in_the_proportions_of_the_whole(counts, seed, data):
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    rows = Rows(torch.arange(len(labels), dtype=torch.float32)[:, None], labels, ())
    first = data.draw(st.integers(1, len(labels) - 1))
    parts = split(rows, seed, {"a": first, "b": len(labels) - first}, stratified=True)
    assert len(parts["a"]) == first
    together = torch.cat([parts["a"].inputs, parts["b"].inputs]).flatten().sort().values
    assert torch.equal(together, rows.inputs.flatten())
    for label, count in enumerate(counts):
        there = int((parts["a"].labels == label).sum())
        assert abs(there - first * count / len(labels)) <= len(counts)


def test_the_cloth_is_cut_exactly():
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor([1000, 500, 500]))
    rows = Rows(torch.zeros(2000, 1), labels, ())
    parts = split(rows, 0, {"train": 1400, "validation": 200, "test": 400}, stratified=True)
    counts = {name: part.labels.bincount().tolist() for name, part in parts.items()}
    assert counts == {"train": [700, 350, 350], "validation": [100, 50, 50], "test": [200, 100, 100]}
    assert parts["test"].labels[:100].bincount().tolist() == [50, 25, 25]


def test_numbers_have_no_proportions():
    rows = Rows(torch.zeros(4, 1), torch.rand(4), ())
    with pytest.raises(DataError, match="there are no classes"):
        split(rows, 0, {"a": 2, "b": 2}, stratified=True)


@needs_cloth
@pytest.mark.parametrize(
    ("name", "folders"),
    [("textile", {"nominal", "global", "local"}), ("textile_two", {"nominal", "global"}), ("textile_local", {"local"})],
)
def test_each_set_of_cloth_reads_the_folders_of_its_classes(name, folders):
    spec = read_spec(name)
    paths = files_of(spec.sources[0], "all")
    assert len(paths) == spec.splits["all"].examples
    assert {path.parent.name for path in paths} == folders == set(spec.classes)


@needs_cloth
@pytest.mark.slow
def test_the_cloth_of_one_kind_is_the_one_that_results_were_published_on(tmp_path, monkeypatch):
    monkeypatch.setenv("IVI_CACHE", str(tmp_path))
    assert len(load("textile_local")) == 500  # its fingerprint is checked


def test_a_package_that_is_not_there_is_said_with_what_to_type(tmp_path, monkeypatch):
    monkeypatch.setenv("IVI_CACHE", str(tmp_path))
    text = (SPECS / "textile_local.toml").read_text()
    (tmp_path / "other.toml").write_text(text.replace("conformal-clip-data", "no-such-package-of-cloth"))
    with pytest.raises(DataError, match="no-such-package-of-cloth is not installed: pip install no-such-package-of-"):
        load(tmp_path / "other.toml")
    assert not folder_of_package("no-such-package-of-cloth").exists()
