"""The page docs/metrics.md says what registry and docstrings say, and no key of scores is missing from it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from leaderboard import metrics, reference
from leaderboard.calibration import SCALINGS
from leaderboard.metrics.registry import calibrated
from leaderboard.predictions import Categorical, Gaussian
from leaderboard.scoring import score

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_page_is_made_from_the_docstrings():
    assert PAGE.read_text() == reference.page(), "run: python -m leaderboard.reference"


@pytest.mark.parametrize("entry", [e for entries in reference.ENTRIES.values() for e in entries], ids=lambda e: e.name)
def test_each_entry_says_its_formula_and_source_and_leaves_the_rest_to_the_registry(entry):
    doc = entry.function.__doc__ or ""
    assert re.findall(r"^ {4}(Formula|Range|Better|Source): \S", doc, re.MULTILINE) == ["Formula", "Source"]


def test_every_key_of_scores_has_an_entry_on_the_page():
    log_probs = np.log(np.full((4, 2), 0.5, np.float32))
    zeros = np.zeros(4, np.float32)
    classes = Categorical(log_probs, metrics.entropy(log_probs).astype(np.float32), zeros, np.array([0, 1, 0, 1]))
    numbers = Gaussian(zeros, zeros + 1, zeros + 1, zeros + 2)
    text = PAGE.read_text()
    for made in (classes, numbers):
        result = score({"validation": made, "test": made, "ood_far/x": made})
        for key in result["test"].keys() - {scaling.parameter for scaling in SCALINGS.values()}:
            name, after = calibrated(key)
            assert f"### `{name}`: " in text and (not after or f"`{key}`" in text)
        for key in result["ood_far"]:
            metric = next(name for name in metrics.METRICS["ood"] if key.startswith(f"{name}_"))
            assert f"### `{metric}`: " in text
            assert f"### `{key.removeprefix(metric + '_').removesuffix('_scaled')}`: " in text
