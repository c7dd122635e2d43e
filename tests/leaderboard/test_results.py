"""A run with its scores: what is known of it, and why there may be nothing."""

import math
import shutil
from pathlib import Path

import pytest
from builders import kept, made, result

from leaderboard.history import REASON
from leaderboard.results import frame, load_results
from leaderboard.store import SCORES, beside, keep

OLD = Path(__file__).parent.parent / "old_records"


def test_results_have_the_scores_that_lie_beside_their_records(tmp_path):
    path = kept(tmp_path, "map", 0)
    keep(tmp_path, made("map", 1, "failed"), None)
    found, findings = load_results(tmp_path)
    by_seed = {one.seed: one for one in found}
    assert 0.0 < by_seed[0].metrics["test"]["accuracy"] < 1.0 and by_seed[0].path == path and findings == []
    assert by_seed[0].is_ok and not by_seed[1].is_ok and by_seed[1].reason == "a reason"


@pytest.mark.parametrize(
    ("change", "said", "count"),
    [
        (lambda mine, other: mine.unlink(), "no scores yet", 0),
        (lambda mine, other: mine.write_text("{"), "cannot be read", 1),
        (lambda mine, other: shutil.copy(other, mine), "of other predictions", 1),
    ],
)
def test_scores_that_are_missing_damaged_or_of_other_predictions_are_not_shown(tmp_path, change, said, count):
    mine, other = (beside(kept(tmp_path, "map", seed), SCORES) for seed in range(2))
    change(mine, other)
    found, findings = load_results(tmp_path)
    (one,) = [one for one in found if one.seed == 0]
    assert said in one.doubt and one.metrics == {} and len(findings) == count


def test_records_of_the_first_edition_hold_their_metrics_and_are_doubted(tmp_path):
    shutil.copy(OLD / "schema1.json", tmp_path / "0-a.1.json")
    ((one,), _) = load_results(tmp_path)
    assert one.is_history and one.doubt == REASON and one.identity is None


def test_results_are_a_table_of_pandas_too():
    made = frame([result("map", 0, 0.9), result("laplace", 1, status="diverged")])
    assert list(made["method"]) == ["map", "laplace"] and list(made["status"]) == ["ok", "diverged"]
    assert made["test:accuracy"][0] == 0.9 and math.isnan(made["test:accuracy"][1])
