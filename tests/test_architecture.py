"""The house: what is installed, what may import what, how large things may grow."""

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("ivi", "baselines", "benchmarks", "leaderboard")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if "speed" not in path.parts)


@pytest.mark.slow
def test_a_wheel_holds_the_four_packages_and_nothing_else(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    files = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in files if ".dist-info/" not in name} == set(PACKAGES)
    expected = {str(path.relative_to(ROOT)) for path in SOURCES}
    expected |= {str(p.relative_to(ROOT)) for package in PACKAGES for p in (ROOT / package).rglob("*.toml")}
    assert expected <= set(files), "a file is missing from the wheel"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small_enough_to_hold_in_the_head(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 350
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno <= 75, node.name


def test_nothing_loads_a_pickle():
    for path in SOURCES:
        assert not any(word in path.read_text() for word in ("pickle.load", "torch.load(", "allow_pickle=True")), path
