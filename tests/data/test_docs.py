"""The code in docs/data.md runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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


def test_the_example_of_a_spec_is_one(tmp_path):
    (text,) = blocks("toml")
    (tmp_path / "leaves.toml").write_text(text)
    spec = read_spec(str(tmp_path / "leaves.toml"))
    assert spec.classes == ("oak", "beech") and spec.sources[0].path == tmp_path / "leaves"


def test_every_picture_of_the_page_is_there():
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", PAGE.read_text(encoding="utf-8"))
    assert pictures and all((PAGE.parent / picture).is_file() for picture in pictures)
