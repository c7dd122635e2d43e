"""The packages of the gallery: installed from elsewhere they are methods like any other."""

import pytest
from commands import ROOT, ivi_apart, of, scores
from packages import pip_install

GALLERY = ROOT / "leaderboard" / "gallery"
NAMES = sorted(path.parent.name for path in GALLERY.glob("*/pyproject.toml"))
SUITE = """
name = "gallery"
description = "the gallery on small digits"
tasks = ["digits-mlp"]
methods = ["map", "last_layer_ensemble", "swa"]
seeds = [0]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery") / "site"
    pip_install(folder, *(GALLERY / name for name in NAMES))
    return folder


def apart(*arguments, cwd, site):
    return ivi_apart(*arguments, cwd=cwd, PYTHONPATH=f"{ROOT}:{site}")


@pytest.mark.slow
def test_installed_from_elsewhere_they_run_beside_map_and_say_what_they_change(site, tmp_path):
    (tmp_path / "gallery.toml").write_text(SUITE)
    apart("run", "gallery.toml", cwd=tmp_path, site=site)
    for name in NAMES:
        record = of(tmp_path / "results", name)
        assert record["status"] == "ok" and record["identity"]["method"]["package"] == f"ivi-{name.replace('_', '-')}"
        assert scores(tmp_path / "results", name)["test"]["accuracy"] > 0.9
        assert record["cost"]["steps"] == of(tmp_path / "results", "map")["cost"]["steps"]
    assert of(tmp_path / "results", "swa")["audit"]["recipe_changes"] == {"schedule": "constant"}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_each_passes_the_checks(site, tmp_path, name):
    assert "every check holds" in apart("check", name, cwd=tmp_path, site=site).stdout


def test_the_list_of_methods_names_them_where_they_are_installed_and_nowhere_else(site, tmp_path):
    assert NAMES == ["last_layer_ensemble", "swa"]
    shown = apart("list", "methods", cwd=tmp_path, site=site).stdout
    assert all(name in shown for name in NAMES)
    assert "swa" not in ivi_apart("list", "methods", cwd=tmp_path).stdout.split()
