"""The documentation's code is code that runs."""

import math
import re
import runpy
from pathlib import Path

import pytest
import torch

import ivi

EXAMPLES = Path(__file__).parent / "examples.py"
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "library.md"
BLOCK = re.compile(r"<!-- (\w+) -->\n```python\n(.*?)```", re.DOTALL)


def test_every_block_of_the_page_and_of_readme_stands_in_the_examples():
    marked = re.findall(r"^# \[(?!end)(\w+)\]\n(.*?)^# \[end\]", EXAMPLES.read_text(), re.MULTILINE | re.DOTALL)
    texts = [path.read_text() for path in (PAGE, ROOT / "README.md")]
    blocks = dict(block for text in texts for block in BLOCK.findall(text))
    assert sum(text.count("```python") for text in texts) == len(blocks)
    assert blocks == {name: code.replace("  # noqa: E402", "").strip("\n") + "\n" for name, code in marked}


def test_the_examples_run_and_learn():
    pytest.importorskip("timm")
    names = runpy.run_path(str(EXAMPLES))
    assert names["log_probabilities"].exp().sum(-1).allclose(torch.ones(256))
    accuracy = (names["log_probabilities"].argmax(-1) == names["labels"]).float().mean()
    assert accuracy > 0.5
    assert names["logits"].shape == (32, 256, 10)
    assert names["readme_logits"].shape == (32, 2, 10)
    assert not math.isnan(names["with_kl"].item() + names["with_w2"].item())


def test_the_page_lists_every_public_name():
    assert not [name for name in ivi.__all__ if not re.search(rf"\bivi\.{name}\b", PAGE.read_text())]
