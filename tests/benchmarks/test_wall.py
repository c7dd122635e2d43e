"""Behind the wall a method finds nothing of what it must not see; without one it gains nothing on renamed classes."""

import shutil
from pathlib import Path

import pytest

from baselines.spec import parse
from benchmarks.executors.sandboxed import SandboxedExecutor
from benchmarks.executors.wall import find_program
from benchmarks.machine import cache_folder
from benchmarks.measure.environment import ROOT, Stack
from benchmarks.measure.jobs import FitJob
from benchmarks.measure.run import measure
from benchmarks.nodes import setting_of
from benchmarks.prepare import prepare
from benchmarks.rerun import again, copies
from benchmarks.rerun.claims import Claim
from benchmarks.rerun.make import Workshop
from benchmarks.runs import Run
from benchmarks.suite import load_task

METHODS = Path(__file__).parent / "methods"
PEEKING = ("AsksTheLoader", "AsksThePackage", "ReadsTheCache", "ReadsBesideItsData")
SEARCHING = ("SearchesItsProblem", "SearchesTheFrames", "SearchesTheCollector")
HOSTILE = ("LooksForLabelsWhilePredicting", "LooksForTestDataWhileFitting", "PatchesScoreAndClock")
ORDER = ("CountsBatches", "JudgesBatches")
ACCURACY, NEAR = ("test", "accuracy"), ("ood_near", "auroc_max_probability")

needs_wall = pytest.mark.skipif(find_program() is None, reason="bubblewrap is not here, or may not build a wall")
TASK = load_task("digits-mlp")


@pytest.fixture(scope="module")
def prepared():
    return prepare(TASK)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory, prepared):
    folder = tmp_path_factory.mktemp("rerun")
    (folder / "site").mkdir()
    shutil.copy(METHODS / "hostile.py", folder / "site")
    sets = prepared.manifest.sets
    sizes = {name: one.n for name, one in sets.items() if name != "train"}
    text = (METHODS / "peeking.py").read_text().replace("PLACES = []", f"PLACES = {list(map(str, places(prepared)))}")
    known = f'LABELS_SHA, SIZES = "{sets["test"].labels}", {sizes}'
    (folder / "site" / "peeking.py").write_text(text.replace('LABELS_SHA, SIZES = "", {}', known))
    return folder


@pytest.fixture(scope="module")
def copied(prepared, scratch):
    return copies.relabelled(prepared, scratch / "relabelled", 11)


def places(prepared):
    """What a process that fits must not see."""
    import matplotlib
    import sklearn

    cached = [one for one in cache_folder().iterdir() if one.name != "tasks"]
    sealed = [prepared.folder / name for name in ("inputs.safetensors", "truth.safetensors")]
    package = [Path(sklearn.__file__).parent / "datasets" / "data", Path(matplotlib.__file__).parent / "mpl-data/fonts"]
    ours = [ROOT / name for name in ("leaderboard/records", "leaderboard/gallery", ".git", "tests", "docs")]
    return [*cached, *sealed, *package, *ours, METHODS, Path("/etc/shadow"), Path("/home"), Path("/var"), Path("/mnt")]


def spec(scratch, name):
    file = "hostile.py" if name in (*HOSTILE, *ORDER, "HangsForEver", "LeavesProcesses") else "peeking.py"
    return parse(f"{scratch / 'site' / file}:{name}")


def wall_around(scratch, *prepared):
    wall = again._wall(find_program(), scratch, scratch / "bundle", [Claim("digits-mlp", {}, {})])
    for one in prepared:
        wall.show(one.folder, scratch / "views")
    return wall


def make(scratch, prepared, names, wall, folder):
    with SandboxedExecutor(2, wall, 2**34) as executor:
        shop = Workshop(executor, folder, Stack.now(), 120.0, lambda words: None)
        runs = {name: Run(TASK, prepared, parse("map") if name == "map" else spec(scratch, name), 0) for name in names}
        made = shop.make(list(runs.values()), 1)
        return {name: made[run.run_id] for name, run in runs.items()}


def fitted(scratch, prepared, name, wall, limit=60.0):
    with SandboxedExecutor(1, wall, 2**34) as executor:
        setting = setting_of(Run(TASK, prepared, spec(scratch, name), 0), Stack.now(), 1, limit)
        return executor.submit(measure, FitJob(setting)).result()


@needs_wall
def test_behind_the_wall_there_is_no_place_process_network_or_privilege(scratch, prepared):
    said = fitted(scratch, prepared, "LooksAround", wall_around(scratch, prepared)).printed
    assert "can see" not in said
    for line in said.splitlines():
        if line.startswith("processes"):
            assert len(line.split()) <= 5, line
        if line.startswith("descriptors"):
            assert int(line.split()[1]) <= 6, line
    assert "could write" not in said and "no network" in said and "mount 0" not in said
    assert "CapEff:\t0000000000000000" in said and "CapBnd:\t0000000000000000" in said and "NoNewPrivs:\t1" in said
    assert "IVI" not in said and "TOKEN" not in said


@pytest.mark.slow
@needs_wall
def test_behind_the_wall_no_way_to_peek_gains_anything(scratch, prepared, tmp_path):
    names = ("map", *PEEKING, *SEARCHING, *HOSTILE, "ReadsEarlierResults")
    found = make(scratch, prepared, names, wall_around(scratch, prepared), tmp_path)
    for name in names:
        assert found[name].is_ok, (name, found[name].record.error)
        assert found[name].values == found["map"].values, name


@pytest.mark.slow
def test_without_a_wall_peeking_answers_the_public_labels_and_fails_where_classes_are_renamed(
    scratch, prepared, copied, tmp_path
):
    names = ("map", *PEEKING, *SEARCHING)
    open_ = make(scratch, prepared, names, None, tmp_path / "a")
    # The copy's own truth lies on the disk.
    elsewhere = [name for name in ("map", *PEEKING) if name != "ReadsBesideItsData"]
    renamed = make(scratch, copied, elsewhere, None, tmp_path / "b")
    assert abs(renamed["map"].values[ACCURACY] - open_["map"].values[ACCURACY]) < 0.03
    assert open_["ReadsBesideItsData"].values[ACCURACY] == 1.0
    for name in SEARCHING:  # there is nothing in a process that fits, wall or not
        assert open_[name].is_ok, open_[name].record.error
        assert open_[name].values == open_["map"].values, name
    for name in elsewhere[1:]:
        assert open_[name].values[ACCURACY] == 1.0, name
        assert renamed[name].values[ACCURACY] < 0.2 or renamed[name].values == renamed["map"].values, name


@pytest.mark.slow
def test_the_order_of_a_copy_follows_from_nothing_published(scratch, prepared, copied, tmp_path):
    names = ("map", "KnowsTheOrder")
    known, unknown = (make(scratch, one, names, None, tmp_path / str(i)) for i, one in enumerate((prepared, copied)))
    assert known["KnowsTheOrder"].values[NEAR] > 0.999 > known["map"].values[NEAR]
    assert unknown["KnowsTheOrder"].values[NEAR] < unknown["map"].values[NEAR] - 0.1


@pytest.mark.slow
@needs_wall
def test_what_is_left_on_the_disk_is_gone_at_the_next_fit(scratch, prepared):
    wall = wall_around(scratch, prepared)
    first, second = (fitted(scratch, prepared, "KeepsWeights", wall) for _ in range(2))
    # Within a job the method is fitted several times, to count; a weight left by the first job would be one line more.
    assert first.printed == second.printed and first.state == second.state


@needs_wall
def test_a_fit_that_never_ends_is_ended_with_all_that_it_started(scratch, prepared):
    outcome = fitted(scratch, prepared, "HangsForEver", wall_around(scratch, prepared), limit=20.0)
    assert outcome.status == "timed_out"
