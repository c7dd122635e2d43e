"""Which job comes next: a fit that others build on is made once, what fails takes down only what needs it."""

from concurrent.futures import Executor, Future
from dataclasses import replace

import pytest

from baselines.spec import parse
from benchmarks.fits import FitStore, nodes_of, spent_of
from benchmarks.measure.environment import Stack
from benchmarks.measure.jobs import Answers, Failure, FitJob, Fitted, PredictJob, Use, Uses
from benchmarks.nodes import setting_of
from benchmarks.prepare import prepare
from benchmarks.runs import Run
from benchmarks.schedule import Schedule
from benchmarks.suite import load_task

STACK = Stack("0" * 64, None, None, {})
MAP, LAPLACE, DROPOUT = parse("map"), parse("laplace"), parse("mc_dropout")
USES = {
    "map": Uses("m0", ()),
    "mc_dropout": Uses("d0", ()),
    "laplace": Uses("l0", (Use(MAP, 0, "m0"),)),
    "deep_ensemble": Uses("e0", (Use(MAP, 0, "m0"), Use(MAP, 1, "m1"))),
}


class Played(Executor):
    """Does every job at once, by a rule; keeps what it was given."""

    def __init__(self, rule=None):
        self.rule, self.given = rule or (lambda job: None), []

    def submit(self, function, job):
        self.given.append(job)
        future = Future()
        future.set_result(self.rule(job) or done(job))
        return future


def done(job):
    if isinstance(job, FitJob):
        name = f"{job.setting.method.name} {job.setting.seed} {job.member}"
        return Fitted(name.encode(), 2.0, 10, 100, tuple(job.shared), {}, {})
    return Answers(job.state, 1.0, 50)


@pytest.fixture(scope="module")
def task():
    task = load_task("digits-mlp")
    return task, prepare(task)


def scheduled(task, folder, methods, seeds=(0,)):
    runs = [Run(*task, method=parse(name), seed=seed) for seed in seeds for name in methods]
    nodes, own = {}, {}
    for run in runs:
        found = nodes_of(run, USES[run.method.name], setting_of(run, STACK, 1), STACK)
        for fit in found:
            known = nodes.setdefault(fit.key, fit)
            known.whole |= fit.whole
        own[run.run_id] = found[-1].key
    return Schedule(runs, nodes, own, FitStore(folder))


def name(job):
    kind = "fit" if isinstance(job, FitJob) else "predict"
    member = job.member if isinstance(job, FitJob) else 0
    return f"{kind} {job.setting.method.name} {job.setting.seed} {member}"


def test_a_fit_that_several_take_over_is_made_once(task, tmp_path):
    played = Played()
    made = list(scheduled(task, tmp_path, ["map", "deep_ensemble", "laplace"], (0, 1)).make(played, 2))
    assert all(one.failure is None for one in made) and len(made) == 6
    names = [name(job) for job in played.given]
    assert len(names) == len(set(names))
    assert sorted(n for n in names if n.startswith("fit map")) == [
        f"fit map {seed} {member}" for seed in (0, 1) for member in (0, 1)
    ]


def test_what_is_taken_over_is_charged_to_everyone_who_takes_it(task, tmp_path):
    made = {
        one.run.method.name: one
        for one in scheduled(task, tmp_path, ["map", "deep_ensemble", "laplace"]).make(Played(), 1)
    }
    assert (made["map"].spent.seconds, made["map"].spent.shared) == (2.0, 0.0)
    assert (made["laplace"].spent.seconds, made["laplace"].spent.shared, made["laplace"].spent.steps) == (4.0, 2.0, 20)
    assert (made["deep_ensemble"].spent.seconds, made["deep_ensemble"].spent.shared) == (6.0, 4.0)
    assert len(made["deep_ensemble"].shared) == 2


def test_a_fit_that_was_not_asked_for_is_not_charged():
    fitted = Fitted(b"", 2.0, 10, None, (), {}, {})
    other = spent_of(Fitted(b"", 5.0, 3, 1, (), {}, {}), {})
    assert spent_of(fitted, {"m0": other}).seconds == 2.0 and spent_of(fitted, {"m0": other}).memory is None


def test_a_method_gets_the_states_of_what_it_takes_over(task, tmp_path):
    played = Played()
    list(scheduled(task, tmp_path, ["laplace"]).make(played, 2))
    fits = {name(job): job for job in played.given if isinstance(job, FitJob)}
    assert fits["fit laplace 0 0"].shared == {"m0": b"map 0 0"} and fits["fit map 0 0"].shared == {}
    assert fits["fit laplace 0 0"].whole and not fits["fit map 0 0"].whole


@pytest.mark.parametrize(("status", "inherited"), [("diverged", "failed"), ("killed", "killed")])
def test_a_failed_fit_takes_down_what_needs_it_and_nothing_else(task, tmp_path, status, inherited):
    def rule(job):
        if isinstance(job, FitJob) and job.setting.method.name == "map":
            return Failure(status, "the loss is nan")
        return None

    made = scheduled(task, tmp_path, ["map", "mc_dropout", "laplace"]).make(Played(rule), 2)
    found = {one.run.method.name: one.failure for one in made}
    assert found["map"].status == status and found["mc_dropout"] is None
    assert (
        found["laplace"].status == inherited and "map" in found["laplace"].reason and "nan" in found["laplace"].reason
    )


def test_an_interrupted_suite_goes_on_with_the_fits_it_has(task, tmp_path):
    first = scheduled(task, tmp_path, ["map", "laplace"]).make(Played(), 1)
    next(first)
    first.close()
    played = Played()
    made = list(scheduled(task, tmp_path, ["map", "laplace"]).make(played, 1))
    assert "fit map 0 0" not in [name(job) for job in played.given]
    assert {one.run.method.name: one.spent.seconds for one in made} == {"map": 2.0, "laplace": 4.0}


def test_a_fit_that_was_changed_on_disk_is_made_again(task, tmp_path):
    """Whoever overwrites a state that others will take over changes nobody's numbers."""

    def rule(job):
        if isinstance(job, FitJob) and job.setting.method.name == "mc_dropout":
            for path in tmp_path.glob("*.safetensors"):
                path.write_bytes(b"poison")
        return None

    played = Played(rule)
    made = list(scheduled(task, tmp_path, ["map", "mc_dropout", "laplace"]).make(played, 1))
    assert all(one.failure is None for one in made)
    fits = [job for job in played.given if isinstance(job, FitJob) and job.setting.method.name == "laplace"]
    assert [job.shared for job in fits] == [{"m0": b"map 0 0"}]
    assert all(job.state != b"poison" for job in played.given if isinstance(job, PredictJob))


def test_a_fit_that_was_changed_while_it_was_asked_is_made_and_asked_again(task, tmp_path):
    changed = []

    def rule(job):
        if isinstance(job, PredictJob) and not changed:
            changed.append(job)
            for path in tmp_path.glob("*.safetensors"):
                path.write_bytes(b"poison")
        return None

    played = Played(rule)
    (made,) = scheduled(task, tmp_path, ["map"]).make(played, 1)
    assert made.failure is None and made.fitted.state == b"map 0 0"
    assert [name(job) for job in played.given] == ["fit map 0 0", "predict map 0 0"] * 2


def test_other_code_packages_data_or_threads_are_another_fit(task):
    run = Run(*task, method=MAP, seed=0)
    setting = setting_of(run, STACK, 1)
    own, data = run.data, run.data.manifest
    changed = data.model_copy(update={"sets": data.sets | {"train": data.sets["test"]}})
    settings = [
        (run, setting, STACK),
        (run, setting, replace(STACK, code="1" * 64)),
        (run, setting, replace(STACK, packages={"torch": "0"})),
        (run, replace(setting, threads=2), STACK),
        (run, replace(setting, seed=1), STACK),
        (replace(run, data=replace(own, manifest=changed)), setting, STACK),
        (replace(run, method=DROPOUT), setting, STACK),
    ]
    keys = {nodes_of(run, USES[run.method.name], setting, stack)[-1].key for run, setting, stack in settings}
    assert len(keys) == len(settings)
