"""The code in docs/data.md runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.data.schema import SOURCES, ImageSpec, TableSpec
from benchmarks.data.spec import read_spec

PAGE = Path(__file__).parents[2] / "docs" / "data.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.skipif(not Path("/usr/share/datasets/fashion-mnist").is_dir(), reason="needs dataset-fashion-mnist")
def test_the_example_of_reading_runs(warm):
    (code,) = blocks("python")
    names: dict = {}
    exec(code, names)  # noqa: S102 - our own page
    assert names["source"].num_examples == 55_000
    assert names["stranger"].shape == (1, 28, 28) and names["shifted"].fingerprint != names["images"].fingerprint


def test_the_examples_of_specs_are_such(tmp_path):
    specs = []
    for text in blocks("toml"):
        (tmp_path / "example.toml").write_text(text)
        specs.append(read_spec(str(tmp_path / "example.toml")))
    leaves, trees = specs
    assert leaves.classes == ("oak", "beech") and leaves.sources[0].path == tmp_path / "leaves"
    assert trees.likelihood == "gaussian" and trees.shape == (2,)


@pytest.mark.parametrize("model", [ImageSpec, TableSpec, *SOURCES.values()], ids=lambda model: model.__name__)
def test_every_key_of_a_spec_is_explained(model):
    prose = re.sub(r"```.*?```", "", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    explained = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`]+)`", prose))))
    assert set(model.model_fields) - {"name"} <= explained


def test_every_picture_of_the_page_is_there():
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", PAGE.read_text(encoding="utf-8"))
    assert pictures and all((PAGE.parent / picture).is_file() for picture in pictures)
