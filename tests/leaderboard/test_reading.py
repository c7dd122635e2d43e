"""Results from Python are the board's: same rows, same intervals, same pairs; cheap to import, without torch."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import kept, made, plan_of

import leaderboard
from leaderboard.columns import column
from leaderboard.plan import write_plan
from leaderboard.results import load_results
from leaderboard.shelf import read
from leaderboard.statistics import paired_difference, t_interval
from leaderboard.store import keep
from leaderboard.table import fold

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "leaderboard" / "records"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    where = tmp_path_factory.mktemp("records")
    for seed in range(4):
        kept(where, "map", seed)
        kept(where, "laplace", seed)
    keep(where, made("kl_vi", 0, "diverged"), None)
    return where


def test_a_record_that_is_not_ok_is_a_run_too_and_has_its_reason(folder):
    runs = leaderboard.load(folder).runs
    assert len(runs) == 9 and list(runs["counts"]) == [True] * 9
    bad = runs[runs["status"] != "ok"].iloc[0]
    assert (bad["method"], bad["status"], bad["reason"]) == ("kl_vi", "diverged", "a reason")
    assert np.isnan(bad["test:nll"]) and runs["run_id"].is_unique


def test_of_two_attempts_one_counts(tmp_path):
    for attempt in (1, 2):
        kept(tmp_path, "map", 0, attempt=attempt)
    runs = leaderboard.load(tmp_path).runs.set_index("attempt")
    assert runs["counts"].to_dict() == {1: True, 2: False}, "made again by the same code: the first stays"


def test_rows_are_those_of_the_table(folder):
    rows = leaderboard.load(folder).rows
    board = fold(load_results(folder).results, None, [column("nll"), column("ece")])
    for row in board.rows:
        for key, interval in row.metrics.items():
            (found,) = rows[(rows["method"] == row.method) & (rows["column"] == key)].to_dict("records") or [None]
            if interval is None:
                assert found is None
            else:
                assert [found[name] for name in ("mean", "low", "high")] == pytest.approx(list(interval))
                assert (found["n"], found["ranked"], found["reason"]) == (row.n, row.ranked, row.reason)
                assert found["best"] == (key in row.top)


def test_a_row_is_the_t_interval_over_its_runs(folder):
    loaded = leaderboard.load(folder)
    values = loaded.runs[loaded.runs["method"] == "laplace"]["test:nll"]
    rows = loaded.rows.set_index(["method", "column"])
    assert rows.loc[("laplace", "nll"), ["mean", "low", "high"]].tolist() == pytest.approx([*t_interval(values)])


def test_a_number_stands_in_one_column_only(folder):
    assert not {"nll", "test:nll"} <= set(leaderboard.load(folder).rows["column"])


def test_differences_are_paired_by_seed(folder):
    loaded = leaderboard.load(folder)
    runs = loaded.runs[loaded.runs["status"] == "ok"]
    a, b = (runs[runs["method"] == name].set_index("seed")["test:nll"].to_dict() for name in ("laplace", "map"))
    table = loaded.differences("nll", against="map").set_index("method")
    assert table.loc["laplace", ["difference", "low", "high"]].tolist() == pytest.approx([*paired_difference(a, b)])
    assert table.loc["laplace", "n"] == 4 and table.loc["laplace", "reason"] == ""


def test_what_cannot_be_paired_says_why(folder):
    failed = leaderboard.load(folder).differences("nll").set_index("method").loc["kl_vi"]
    assert failed["n"] == 0 and np.isnan(failed["difference"]) and failed["reason"]


def test_a_plan_says_which_seeds_are_missing(tmp_path):
    paths = [kept(tmp_path, "map", seed) for seed in range(2)]
    assert leaderboard.load(tmp_path).rows["ranked"].all()
    task = read(paths[0]).identity.task
    write_plan(tmp_path, plan_of(*(made("map", seed, task=task) for seed in range(3)), suite="three"))
    assert "not run yet" in leaderboard.load(tmp_path, "three").rows["reason"].iloc[0]


@pytest.mark.parametrize(
    ("suite", "metric", "against", "said"),
    [("none", "nll", "map", "no plan of suite 'none'"), (None, "nll", "mapp", "no row 'mapp': there is kl_vi, laplace")]
    + [(None, "nlll", "map", "nlll")],
)
def test_what_is_not_there_is_named(folder, suite, metric, against, said):
    with pytest.raises(ValueError, match=said):
        leaderboard.load(folder, suite).differences(metric, against)


def test_a_folder_without_records_is_named(tmp_path):
    with pytest.raises(ValueError, match=f"no records in {tmp_path}"):
        leaderboard.load(tmp_path)


def test_the_import_is_cheap_and_reading_needs_no_torch(folder):
    code = (
        "import sys, leaderboard; assert not {'pandas', 'numpy', 'pydantic'} & sys.modules.keys(); "
        f"x = leaderboard.load({str(folder)!r}); x.runs, x.rows, x.differences(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_example_of_the_document_runs_on_the_published_records(monkeypatch):
    monkeypatch.chdir(ROOT)
    found = runpy.run_path(str(Path(__file__).with_name("reading_example.py")))
    assert found["by_method"].loc["map", "count"] == 5
    assert found["clear"].loc["deep_ensemble", "high"] < 0 and "deep_ensemble" not in found["cheap"].index


def test_a_suite_is_found_in_the_folder_of_a_whole_board():
    whole, alone = (leaderboard.load(one, "smoke") for one in (PUBLISHED, PUBLISHED / "smoke"))
    assert whole.folder == alone.folder and whole.rows.equals(alone.rows)
