"""Packages of others in a whole run: one that is asked for has its row, one that is not changes nobody's."""

from pathlib import Path

import pytest
from commands import ROOT, is_ranked, ivi_apart, of, rows, shas
from packages import pip_install

PLUGINS = Path(__file__).parent.parent / "plugins"
SUITE = """
name = "noise"
description = "a suite with a method of another package"
tasks = ["digits-mlp"]
methods = ["map", "weight_noise(draws=2)"]
seeds = [0]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with both packages in it."""
    folder = tmp_path_factory.mktemp("plugins") / "site"
    pip_install(folder, PLUGINS / "weight_noise", PLUGINS / "patcher")
    return folder


@pytest.fixture(scope="module")
def folder(site, tmp_path_factory):
    """Where a suite has been run with both installed, of which one changes torch for whoever imports it."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "noise.toml").write_text(SUITE)
    mark = folder / "imported"
    ivi_apart("run", "noise.toml", cwd=folder, PYTHONPATH=f"{ROOT}:{site}", IVI_PATCHER_MARK=str(mark))
    return folder


def test_a_package_that_nobody_asks_for_changes_no_row(made, folder):
    ours = {key: sha for key, sha in shas(folder / "results").items() if key[1] == "map"}
    assert ours.items() <= shas(made / "results").items() and len(ours) == 1
    assert not (folder / "imported").exists()


def test_a_method_of_another_package_has_a_ranked_row_and_a_record_that_names_the_package(folder):
    row = rows("noise", cwd=folder)["weight_noise(draws=2)"]
    assert row["n"] == 1 and is_ranked(row) and row["metrics"]["accuracy"]["mean"] > 0.8
    record = of(folder / "results", "weight_noise(draws=2)")
    method = record["identity"]["method"]
    assert (method["package"], method["package_version"]) == ("ivi-weight-noise", "0.3.0")
    assert method["resolved"] == {"draws": 2, "scale": 0.1}
    assert record["environment"]["packages"]["ivi-weight-noise"] == "0.3.0"
    assert "ivi-weight-noise" not in of(folder / "results", "map")["environment"]["packages"]
    assert list(record["audit"]["shared"].values()) == [of(folder / "results", "map")["audit"]["state"]]


@pytest.mark.slow
def test_a_package_that_is_asked_for_has_its_way_in_its_own_rows_only(made, site, tmp_path):
    (tmp_path / "suite.toml").write_text(SUITE.replace("weight_noise(draws=2)", "ivi-patcher/map"))
    mark = tmp_path / "imported"
    ivi_apart("run", "suite.toml", cwd=tmp_path, PYTHONPATH=f"{ROOT}:{site}", IVI_PATCHER_MARK=str(mark))
    assert mark.exists()
    found = {key[1]: sha for key, sha in shas(tmp_path / "results").items()}
    (expected,) = (sha for key, sha in shas(made / "results").items() if key[1:] == ("map", 0))
    assert found["map"] == expected != found["ivi-patcher/map"]
    assert of(tmp_path / "results", "ivi-patcher/map")["environment"]["packages"]["ivi-patcher"] == "1.0"


@pytest.mark.slow
def test_a_method_of_another_package_passes_the_checks(site, tmp_path):
    done = ivi_apart("check", "weight_noise(draws=2)", cwd=tmp_path, PYTHONPATH=f"{ROOT}:{site}")
    assert "every check holds" in done.stdout
