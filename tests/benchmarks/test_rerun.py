"""Bundles run again: honest ones pass to the bit, whoever peeks, hides or is lucky is named with the reason."""

import json
import os
import shutil
from pathlib import Path

import pytest
from bundles import SUITE, bundle_of, run_file
from commands import ivi, ivi_apart

from baselines.spec import parse
from benchmarks.executors.sandboxed import SandboxedExecutor
from benchmarks.executors.wall import find_program
from benchmarks.measure.environment import Stack
from benchmarks.rerun import rerun
from benchmarks.rerun.claims import Claim, Claimed
from benchmarks.rerun.make import Workshop
from benchmarks.rerun.task import Rerun
from benchmarks.submission.reviewing import with_rerun
from benchmarks.suite import load_suite, load_task
from leaderboard.shelf import PREDICTIONS, beside, read_all
from leaderboard.submission.findings import Verdict, doubted

METHODS = Path(__file__).parent / "methods"
PEEKING = METHODS / "peeking.py"
NAMES = ("AsksTheLoader", "TrainsOnValidation", "WorksInItsConstructor", "Lucky", "ForgetsTheSeed")
HONEST = f"{METHODS / 'hostile.py'}:Honest"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Records of all of them on small digits, made as anybody would."""
    folder = tmp_path_factory.mktemp("records")
    (folder / "suite.toml").write_text(SUITE)
    more = [part for name in NAMES for part in ("--method", f"{PEEKING}:{name}")]
    ivi("run", "suite.toml", "--method", HONEST, *more, cwd=folder)
    return folder / "results"


def doubts(findings):
    return {one.check for one in findings if one.level != "note"}


def words(findings):
    return " | ".join(map(str, findings))


def test_an_honest_bundle_comes_out_again_to_the_bit_and_nothing_is_held_against_it(records, tmp_path):
    bundle = bundle_of(tmp_path / "bundle", HONEST, records)
    (path,) = (bundle / "records" / "digits-mlp").glob("honest/1-*.1.json")
    suspected = [doubted(check, str(path), "it is as MAP", "run it again") for check in ("like map", "copied")]
    verdict, report = with_rerun(bundle, Verdict.of(suspected, "recomputed"), lambda words: None)
    assert (verdict.state, doubts(verdict.findings)) == ("rerun", set()), words(verdict.findings)
    task = report["tasks"]["digits-mlp"]
    assert all(one["equal_to_the_bit"] and one["like_map"] for one in task["again"])
    assert 1 in [one["seed"] for one in task["again"]]
    assert len(task["fresh"]["seeds"]) >= 3 and not set(task["fresh"]["seeds"]) & {0, 1, 2}
    assert task["asked_again"]["moved"] < 1e-3
    assert report["sandbox"] == ("bubblewrap" if find_program() else None)


def test_without_a_wall_the_report_says_so(records, tmp_path):
    findings, report = rerun(bundle_of(tmp_path / "bundle", HONEST, records), sandbox=False)
    assert report["complete"] and report["sandbox"] is None and not doubts(findings)
    assert "plain processes" in words(findings)


@pytest.mark.parametrize("sandbox", [None, False], ids=["wall", "plain"])
def test_labels_from_the_loader_are_worth_nothing(records, tmp_path, sandbox):
    findings, _ = rerun(bundle_of(tmp_path / "bundle", f"{PEEKING}:AsksTheLoader", records), sandbox=sandbox)
    assert "fresh-seeds" in doubts(findings) or "same-seed" in doubts(findings), words(findings)


def test_steps_that_nobody_declared_are_counted(records, tmp_path):
    findings, _ = rerun(bundle_of(tmp_path / "bundle", f"{PEEKING}:TrainsOnValidation", records))
    assert "steps" in doubts(findings) and "480 optimizer steps" in words(findings), words(findings)


def test_work_before_the_clock_starts_is_a_footnote(records, tmp_path):
    findings, report = rerun(bundle_of(tmp_path / "bundle", f"{PEEKING}:WorksInItsConstructor", records))
    assert "processor time beside its timed fit" in words(findings), report["tasks"]["digits-mlp"]["cost"]


def test_the_best_seeds_of_many_are_refuted(records, tmp_path):
    findings, report = rerun(bundle_of(tmp_path / "bundle", f"{PEEKING}:Lucky", records))
    fresh = report["tasks"]["digits-mlp"]["fresh"]
    assert [one["equal_to_the_bit"] for one in report["tasks"]["digits-mlp"]["again"]] == [True]
    assert len(fresh["seeds"]) > 3 or "fresh-seeds" in doubts(findings), (words(findings), fresh)


def test_a_method_that_takes_one_seed_for_all_is_named(records, tmp_path):
    findings, _ = rerun(bundle_of(tmp_path / "bundle", f"{PEEKING}:ForgetsTheSeed", records))
    assert "different seeds give the same predictions" in words(findings)


def test_another_order_of_seeds_is_no_matter(tmp_path):
    results = run_file(tmp_path / "run", HONEST, SUITE.replace("[0, 1, 2]", "[2, 0, 1]"))
    findings, report = rerun(bundle_of(tmp_path / "bundle", HONEST, results))
    assert report["complete"] and not doubts(findings), words(findings)


def test_another_instruction_set_is_within_what_map_allows(tmp_path):
    (tmp_path / "suite.toml").write_text(SUITE)
    ivi_apart("run", "suite.toml", "--method", HONEST, cwd=tmp_path, ATEN_CPU_CAPABILITY="default")
    findings, report = rerun(bundle_of(tmp_path / "bundle", HONEST, tmp_path / "results"))
    (again,) = report["tasks"]["digits-mlp"]["again"]
    assert "capability" in again["machines_differ_in"]
    assert report["complete"] and not doubts(findings), words(findings)


def test_where_map_itself_does_not_run_the_machine_is_named_and_no_method(records, tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.rerun.again.MEMORY", 2**26)
    findings, report = rerun(bundle_of(tmp_path / "bundle", HONEST, records), salt="little memory")
    assert not report["complete"] and doubts(findings) == {"rerun"}
    assert {one.where for one in findings if one.level == "doubt"} == {"digits-mlp · map"}, words(findings)
    assert "MAP itself does not run here" in words(findings)


def test_source_that_is_not_what_the_manifest_names_is_not_run(records, tmp_path):
    bundle = bundle_of(tmp_path / "bundle", HONEST, records)
    with (bundle / "source" / "hostile.py").open("a") as file:
        file.write("\nraise SystemExit\n")
    findings, report = rerun(bundle)
    assert [one.level for one in findings] == ["refuse"] and not report["complete"]
    other = bundle_of(tmp_path / "other", HONEST, records)
    os.remove(other / "source" / "hostile.py")
    os.symlink(METHODS / "hostile.py", other / "source" / "hostile.py")
    assert [one.level for one in rerun(other)[0]] == ["refuse"]
    shutil.rmtree(other)


@pytest.mark.parametrize(
    ("task", "methods"), [("digits-mlp", ("map", "laplace", "implicit_vi")), ("diabetes-mlp", ("map", "kl_vi"))]
)
def test_a_built_in_method_is_not_accused(tmp_path, task, methods):
    suite = load_suite("smoke").model_copy(update={"tasks": (task,), "methods": methods, "seeds": (0, 1, 2)})
    (tmp_path / "suite.toml").write_text("\n".join(f"{key} = {json.dumps(v)}" for key, v in suite.model_dump().items()))
    ivi("run", "suite.toml", cwd=tmp_path)
    shelf = read_all(tmp_path / "results")
    runs = {label: {} for label in suite.methods}
    for record, path in zip(shelf.records, shelf.paths, strict=True):
        if record.status == "ok":
            runs[record.label][record.identity.seed] = Claimed(record, beside(path, PREDICTIONS).read_bytes())
    with SandboxedExecutor(2, None, 2**34) as executor:
        for label in methods:
            folder = tmp_path / label
            shop = Workshop(executor, folder, Stack.now(), 300.0, lambda words: None)
            claim = Claim(task, runs[label], runs["map"])
            one = Rerun(claim, load_task(task), parse(label), parse("map"), shop, label, 3)
            findings = one.judged(tmp_path / "nothing published")
            assert one.report["complete"] and not doubts(findings), (label, words(findings), one.report)
