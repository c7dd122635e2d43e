"""The identity of a run: all that decides its numbers, and nothing else."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from builders import sha
from commands import ROOT

from baselines.spec import parse
from benchmarks import results
from benchmarks.commands.options import chosen_runs
from benchmarks.prepare import Manifest, Prepared, prepare
from benchmarks.results import planned
from benchmarks.runs import Run, runs_of
from benchmarks.suite import TaskOOD, TaskShift, load_suite, load_task, names
from leaderboard.identity import RULES, Identity
from leaderboard.plan import read_plan, write_plan
from leaderboard.record import SetInfo

TASK = load_task("digits-mlp")
SETS = {name: SetInfo(n=10, inputs=sha(name), labels=sha(f"{name} labels")) for name in ("train", "validation", "test")}
DATA = Prepared(Path("nowhere"), Manifest(sets=SETS, spec=sha("spec"), classes=10))


def run_of(**changes):
    values = {"task": TASK, "data": DATA, "method": parse("map"), "seed": 0} | changes
    return Run(**values)


def of_task(**changes):
    return run_of(task=TASK.model_copy(update=changes))


def of_part(name, /, **changes):
    return of_task(**{name: getattr(TASK, name).model_copy(update=changes)})


def of_data(name="", **changes):
    """With a changed set of that name, or other changes of the manifest."""
    sets = {"sets": SETS | {name: SETS[name].model_copy(update=changes)}} if name else changes
    return run_of(data=replace(DATA, manifest=DATA.manifest.model_copy(update=sets)))


def of_method(**changes):
    return run_of(method=parse("map").model_copy(update=changes))


DECIDING = {
    "seed": run_of(seed=1),
    "method": run_of(method=parse("deep_ensemble")),
    "parameter": run_of(method=parse("deep_ensemble(members=2)")),
    "method source": of_method(source_sha256="0" * 64),
    "package": of_method(package="another"),
    "package version": of_method(package_version="99"),
    "device class": run_of(device="cuda"),
    "task name": of_task(name="another"),
    "task version": of_task(version=2),
    "learning rate": of_part("recipe", lr=0.1),
    "epochs": of_part("recipe", epochs=9),
    "network": of_part("model", name="lenet5"),
    "width": of_part("model", arguments=TASK.model.arguments | {"width": 65}),
    "training examples": of_part("data", train=999),
    "split seed": of_part("data", split_seed=1),
    "near OOD sets": of_task(ood=TaskOOD(near=("faces",))),
    "far OOD sets": of_task(ood=TaskOOD(far=("faces",))),
    "corruptions": of_task(shift=TaskShift(corruptions=("fog",))),
    "severities": of_task(shift=TaskShift(corruptions=("fog",), severities=(1,))),
    "spec of the data": of_data(spec=sha("edited")),
    "training images": of_data("train", inputs=sha("replaced")),
    "validation labels": of_data("validation", labels=sha("replaced")),
    "test images": of_data("test", inputs=sha("replaced")),
    "test labels": of_data("test", labels=sha("replaced")),
    "one more set": of_data(sets=SETS | {"ood_far/faces": SETS["test"]}),
}


def test_all_that_decides_a_result_changes_the_id():
    ids = {name: run.run_id for name, run in DECIDING.items()} | {"": run_of().run_id}
    assert len(set(ids.values())) == len(ids), ids


def test_the_rules_change_the_id():
    values = run_of().identity.model_dump()
    assert values["rules"] == RULES
    assert Identity(**values).run_id == run_of().run_id != Identity(**values | {"rules": RULES + 1}).run_id


def test_what_decides_nothing_leaves_the_id():
    assert of_task(description="other words").run_id == run_of().run_id
    assert run_of(device="cuda:1").run_id == run_of(device="cuda").run_id
    assert run_of(data=replace(DATA, folder=Path("/another/cache"))).run_id == run_of().run_id


def test_where_a_data_set_lies_is_no_part_of_the_id(tmp_path):
    runs = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        (folder / "mine.toml").write_text((ROOT / "benchmarks" / "data" / "digits.toml").read_text())
        runs.append(of_part("data", name=str(folder / "mine.toml")))
    assert runs[0].run_id == runs[1].run_id != run_of().run_id


def test_only_the_seed_tells_the_runs_of_a_row_apart_and_only_method_and_seed_those_of_a_comparison():
    first, seed, method = run_of().identity, run_of(seed=1).identity, run_of(method=parse("laplace")).identity
    assert first.row == seed.row != method.row and first.setting == seed.setting == method.setting
    for name, run in DECIDING.items():
        kind = name in ("seed", "method", "parameter", "method source", "package", "package version")
        assert (run.identity.setting == first.setting) == kind, name


def test_runs_of_one_task_leave_the_plan_of_the_others_as_it_was(tmp_path):
    def plan(*asked):
        chosen = chosen_runs("smoke", asked[0], None, "cpu", None, tasks=asked[1])
        write_plan(tmp_path, chosen.plan(tmp_path))
        return {(run.task, run.label) for run in read_plan(tmp_path, "smoke").runs}

    digits = {("digits-mlp", name) for name in ("map", "laplace")}
    assert plan("map,laplace", "digits-mlp") == digits
    assert plan("map", "diabetes-mlp") == digits | {("diabetes-mlp", "map")}


def test_equal_runs_have_equal_ids_in_every_process(tmp_path):
    data = prepare(TASK)
    expected = [Run(TASK, data, parse(name), 3).run_id for name in ("map", "laplace")]
    code = (
        "from benchmarks.commands.options import chosen_runs\n"
        "print(*(run.run_id for run in chosen_runs('digits-mlp', 'map,laplace', '3,3', 'cpu', None).runs))"
    )
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == expected


@pytest.mark.parametrize("name", names("suite"))
def test_a_plan_has_every_task_method_and_seed_once(name):
    suite = load_suite(name)
    runs = runs_of(suite, {task: (load_task(task), DATA) for task in suite.tasks}, "cpu")
    assert len(runs) == len({run.run_id for run in runs}) == len(suite.tasks) * len(suite.methods) * len(suite.seeds)
    plan = planned(suite.name, suite.description, runs)
    assert [one.run_id for one in plan.runs] == [run.run_id for run in runs]
    assert {one.label for one in plan.runs if one.base} <= {"map"}


def test_map_comes_before_what_builds_on_it():
    suite = load_suite("quick").model_copy(update={"methods": ("laplace", "deep_ensemble", "map")})
    runs = runs_of(suite, {"mnist5k-lenet5": (TASK, DATA)}, "cpu")
    assert [run.method.name for run in runs][:3] == ["map", "laplace", "deep_ensemble"]


def test_a_variant_and_what_it_is_short_for_are_one_run():
    suite = load_suite("quick").model_copy(update={"methods": ("implicit_vi_shared", "implicit_vi(noise=shared)")})
    assert len(runs_of(suite, {"mnist5k-lenet5": (TASK, DATA)}, "cpu")) == len(suite.seeds)


def test_a_plan_of_many_seeds_reads_the_name_of_each_method_once(monkeypatch):
    read, plain = [], results.row_name
    monkeypatch.setattr(results, "row_name", lambda label: read.append(label) or plain(label))
    plan = planned("many", "", [run_of(seed=seed) for seed in range(500)])
    assert len(plan.runs) == 500 and len(read) == 1


def test_a_planned_row_has_the_names_of_variants_within_it():
    run = run_of(method=parse("own_rate(of=implicit_vi_shared, lr=0.02)"))
    (row,) = planned("lr", "", [run]).runs
    assert row.label == "own_rate(of=implicit_vi_shared, lr=0.02)" and row.run_id == run.run_id
