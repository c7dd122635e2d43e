"""What goes through a folder comes out as it was, once; what lies there that nobody of ours wrote is no outcome."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baselines.spec import parse
from benchmarks.executors.spool import Spool
from benchmarks.executors.wire import NoOutcome, job_of, outcome_of, outcome_words, read_words, states_of, words_of
from benchmarks.measure.environment import Stack
from benchmarks.measure.jobs import Answers, Failure, FitJob, Fitted, PredictJob, SearchJob
from benchmarks.nodes import setting_of
from benchmarks.prepare import prepare
from benchmarks.runs import Run
from benchmarks.suite import load_task

STACK = Stack("0" * 64, None, None, {})
FITTED = Fitted(b"state", 2.0, 10, None, ("a",), {"audit": {"random": []}}, {"capability": "AVX2"}, "printed")
ENDS = [FITTED, Answers(b"arrays", 1.0, 50), Failure("killed", "a reason")]


@pytest.fixture(scope="module")
def setting():
    task = load_task("digits-mlp")
    spec = parse("deep_ensemble(of=implicit_vi(rank=3), members=2)")
    return setting_of(Run(task, prepare(task), spec, 3), STACK, 1)


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path / "spool")
    spool.make()
    return spool


def jobs(setting):
    fit = FitJob(setting, 2, {"own": b"one state", "other": b"another"}, whole=False)
    return [fit, PredictJob(setting, b"a state"), SearchJob(setting)]


@pytest.mark.parametrize("place", range(3))
def test_a_job_comes_out_as_it_went_in(setting, place):
    job = jobs(setting)[place]
    names = [str(i) for i in range(len(states_of(job)))]
    back = job_of(read_words(words_of(job, names).encode()), dict(zip(names, states_of(job), strict=True)))
    assert back == job
    spec, expected = back.setting.method, job.setting.method
    assert (spec.target, spec.nested["of"].target) == (expected.target, expected.nested["of"].target)
    assert spec.text == expected.text


@pytest.mark.parametrize("outcome", ENDS, ids=lambda one: type(one).__name__)
def test_an_outcome_comes_out_as_it_went_in(outcome):
    words, data = outcome_words(outcome)
    assert outcome_of(json.loads(json.dumps(words)), data) == outcome


@given(
    st.recursive(st.none() | st.text() | st.floats() | st.integers(), lambda inner: st.dictionaries(st.text(), inner))
)
def test_what_is_no_outcome_is_refused(words):
    with pytest.raises(NoOutcome):
        outcome_of(words, b"")


def test_each_job_is_taken_once_in_the_order_of_the_plan(setting, spool):
    one, two, three = jobs(setting)
    keys = [spool.put(job) for job in (one, two, three)]
    for order in (2, 0, 1):
        spool.enqueue(keys[order], order)
    taken = [spool.take(worker, nth) for worker, nth in (("1_0r0", 1), ("1_1r0", 1), ("1_0r0", 2), ("1_1r0", 2))]
    assert [found and found[0].key for found in taken] == [*keys, None]
    assert [found[1] for found in taken if found] == [one, two, three]
    assert [(one.key, one.worker, one.nth) for one in spool.taken()] == [
        (keys[0], "1_0r0", 1),
        (keys[1], "1_1r0", 1),
        (keys[2], "1_0r0", 2),
    ]


def test_equal_jobs_have_one_key_and_states_are_written_once(setting, spool):
    job = PredictJob(setting, b"a state")
    assert spool.put(job) == spool.put(replace(job))
    assert spool.put(job) != spool.put(PredictJob(replace(setting, seed=4), b"a state"))
    assert len(list((spool.folder / "states").iterdir())) == 1


def test_a_job_whose_worker_was_lost_waits_again_and_knows_it(setting, spool):
    spool.enqueue(key := spool.put(SearchJob(setting)), 0)
    taken, _ = spool.take("1_0r0", 1)
    spool.give_back(taken)
    spool.give_back(taken)  # whoever comes second changes nothing
    again, _ = spool.take("1_1r0", 1)
    assert (again.key, again.lost, spool.waiting()) == (key, 1, 0)


def test_a_job_is_known_wherever_it_is(setting, spool):
    key = spool.put(SearchJob(setting))
    assert not spool.has(key)
    spool.enqueue(key, 0)
    assert spool.has(key)
    taken, _ = spool.take("1_0r0", 1)
    assert spool.has(key)
    spool.give_back(taken)
    assert spool.has(key)
    taken, _ = spool.take("1_0r0", 1)
    spool.finish(taken, FITTED)
    assert spool.has(key)
    spool.forget(key)
    assert not spool.has(key)


def finished(spool, setting, outcome):
    spool.enqueue(spool.put(SearchJob(setting)), 0)
    taken, _ = spool.take("1_0r0", 1)
    spool.finish(taken, outcome)
    return taken.key


def test_an_outcome_is_there_whole_and_its_job_is_let_go(setting, spool):
    key = finished(spool, setting, FITTED)
    assert spool.done() == {key} and not list(spool.taken())
    assert spool.outcome(key) == FITTED


@pytest.mark.parametrize("ending", [".json", ".bin"])
@pytest.mark.parametrize("left", [0, 3])
def test_a_damaged_outcome_is_none_and_goes(setting, spool, ending, left):
    path = spool.folder / "done" / f"{finished(spool, setting, FITTED)}{ending}"
    path.write_bytes(path.read_bytes()[:left])
    assert spool.outcome(path.stem) is None and not spool.done()


def test_a_new_driver_finds_what_came_of_the_last_ones_jobs_but_for_failures(setting, spool):
    key = finished(spool, setting, FITTED)
    spool.enqueue(spool.put(PredictJob(setting, b"")), 1)
    spool.make()
    assert spool.outcome(key) == FITTED and spool.waiting() == 0
    finished(spool, setting, Failure("failed", "a reason"))
    spool.make()
    assert not spool.done()
