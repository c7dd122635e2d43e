"""The documentation's code is code that runs."""

import math
import re
import runpy
from pathlib import Path

import pytest
import torch

import ivi

EXAMPLES = Path(__file__).parent / "examples.py"
PAGE = Path(__file__).parents[2] / "docs" / "library.md"


def test_every_block_of_the_page_stands_in_the_examples():
    marked = re.findall(r"^# \[(?!end)(\w+)\]\n(.*?)^# \[end\]", EXAMPLES.read_text(), re.MULTILINE | re.DOTALL)
    blocks = dict(re.findall(r"<!-- (\w+) -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL))
    assert PAGE.read_text().count("```python") == len(blocks)
    assert blocks == {name: code.replace("  # noqa: E402", "").strip("\n") + "\n" for name, code in marked}


def test_the_examples_run_and_learn():
    pytest.importorskip("timm")
    names = runpy.run_path(str(EXAMPLES))
    assert names["log_probabilities"].exp().sum(-1).allclose(torch.ones(256))
    accuracy = (names["log_probabilities"].argmax(-1) == names["labels"]).float().mean()
    assert accuracy > 0.5
    assert names["logits"].shape == (32, 256, 10)
    assert not math.isnan(names["with_kl"].item() + names["with_w2"].item())


def test_the_page_lists_every_public_name():
    assert not [name for name in ivi.__all__ if not re.search(rf"\bivi\.{name}\b", PAGE.read_text())]
