"""Packages of others, installed by pip: what they bring is there, and what nobody asks for is never imported."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packages import pip_install

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with both packages in it."""
    folder = tmp_path_factory.mktemp("plugins") / "site"
    pip_install(folder, HERE / "weight_noise", HERE / "patcher")
    return folder


@pytest.fixture
def python(site, tmp_path):
    """Run Python with the packages installed; fails if the one that patches torch was imported."""
    mark = tmp_path / "imported"

    def run(*arguments):
        path = os.pathsep.join([str(ROOT), str(site)])
        environment = {**os.environ, "PYTHONPATH": path, "IVI_PATCHER_MARK": str(mark), "COLUMNS": "400"}
        done = subprocess.run(
            [sys.executable, *arguments], env=environment, cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert not mark.exists(), "a package that nobody asked for was imported"
        return done.stdout

    run.mark = mark
    return run


def test_its_methods_are_listed_with_what_they_inherit(python):
    listed = python("-m", "benchmarks.cli", "list", "methods")
    (line,) = [line for line in listed.splitlines() if line.startswith("weight_noise")]
    assert "Gaussian noise around the weights of MAP" in line and "draws=8, scale=0.1" in line
    assert "no_decay" in listed and "patched" in listed and "ivi-patcher/map" in listed


@pytest.mark.parametrize("command", [["list", "tasks"], ["list", "suites"], ["plan", "quick"], ["--help"]])
def test_a_package_that_nobody_asks_for_is_imported_by_no_command(python, command):
    assert python("-m", "benchmarks.cli", *command)


def test_reading_a_method_imports_nothing_of_its_package(python):
    code = """
import json, sys
from baselines.spec import parse
spec = parse("weight_noise(scale=0.2)")
asked = sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "ivi_weight_noise", "ivi_patcher"})
print(json.dumps([spec.model_dump(mode="json"), spec.label, asked]))
"""
    spec, label, imported = json.loads(python("-c", code))
    assert (spec["package"], spec["package_version"], imported) == ("ivi-weight-noise", "0.3.0", [])
    assert label == "weight_noise(scale=0.2)" and spec["resolved"] == {"draws": 8, "scale": 0.2}


def test_a_method_that_is_asked_for_is_made_and_no_other(python):
    code = """
import sys
from torch.nn import functional
from baselines.spec import parse, spec_of
before = functional.cross_entropy
for text in ("weight_noise(scale=0.2, draws=3)", "no_decay"):
    spec = parse(text)
    method = spec.create()
    assert spec_of(method) == spec and type(method).__module__.startswith("ivi_weight_noise.methods"), spec
assert method.recipe_changes == {"weight_decay": 0.0}
((used, member),) = parse("weight_noise").create().uses
assert spec_of(used) == parse("map") and member == 0
assert functional.cross_entropy is before and "ivi_patcher" not in sys.modules
"""
    python("-c", code)


def test_what_a_package_does_to_torch_is_done_where_its_method_is_asked_for(python):
    code = """
from torch.nn import functional
from baselines.spec import parse
before = functional.cross_entropy
assert parse("map").create() is not None and functional.cross_entropy is before
parse("ivi-patcher/map").create()
assert functional.cross_entropy is not before
"""
    with pytest.raises(AssertionError, match="nobody asked for"):
        python("-c", code)
    assert python.mark.exists(), "or the other tests would see nothing"


def test_what_is_out_of_bounds_is_one_line(python):
    for spec, told in (("weight_noise(draws=0)", "draws=0"), ("weight_noise(scale=-1)", "scale=-1")):
        code = f"from baselines.spec import parse\ntry: parse({spec!r})\nexcept ValueError as error: print(error)"
        out = python("-c", code)
        assert told in out and len(out.splitlines()) == 1
