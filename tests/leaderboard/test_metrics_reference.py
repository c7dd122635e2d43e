"""The page docs/metrics.md says what the docstrings say, and no metric of a record is missing from it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from leaderboard import metrics, reference
from leaderboard.predictions import Predictions
from leaderboard.scoring import score

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_page_is_made_from_the_docstrings():
    assert PAGE.read_text() == reference.page(), "run: python -m leaderboard.reference"


def test_each_metric_says_its_formula_range_direction_and_source():
    for title in ("On images of known class", "On out-of-distribution (OOD) images"):
        for function in reference.SECTIONS[title]:
            doc = function.__doc__ or ""
            assert [line.split(":")[0] for line in re.findall(r"^ {4}(\w+: \S)", doc, re.MULTILINE)] == [
                "Formula",
                "Range",
                "Better",
                "Source",
            ], function.__name__


def test_every_metric_of_a_record_has_an_entry():
    log_probs = np.log(np.full((4, 2), 0.5))
    made = Predictions(log_probs, metrics.entropy(log_probs), np.zeros(4), np.array([0, 1, 0, 1]))
    result = score({"validation": made, "test": made, "ood_far/x": made})
    text = PAGE.read_text()
    for key in result["test"]:
        name = key.removesuffix("_scaled")
        assert f"### `{name}`" in text or f" {name}," in text
    for key in result["ood_far"]:
        metric = next(
            f.__name__
            for f in (metrics.auroc, metrics.aupr_in, metrics.aupr_out, metrics.fpr95)
            if key.startswith(f.__name__)
        )
        assert f"### `{metric}`" in text and key.removeprefix(f"{metric}_").removesuffix("_scaled") in text
