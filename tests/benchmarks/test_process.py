"""A process of its own: what it says is heard, what it does ends with it."""

import signal
import subprocess
import time

import pytest
from targets import (
    ends,
    kills_itself,
    leaves_processes,
    prints,
    raises,
    says,
    sees_what_is_loaded,
    sends_a_pickle,
    sends_nonsense,
    sleeps,
    stops_itself,
)

from benchmarks.measure.process import Gone, TimedOut, child


def test_messages_come_with_their_bytes():
    with child(says, "hello", 60) as process:
        values, data = process.receive()
        assert values["kind"] == "said" and values["word"] == "hello" and data == b"\x00\x01"
        assert process.receive()[0]["kind"] == "more"


def test_the_server_has_loaded_what_takes_seconds():
    names = ["torch", "timm", "benchmarks.measure.fitting", "baselines.implicit_vi", "benchmarks.cli"]
    with child(sees_what_is_loaded, names, 60) as process:
        assert process.receive()[0]["modules"] == names


@pytest.mark.parametrize("target", [sleeps, stops_itself])
def test_one_that_never_answers_is_ended_when_its_time_is_over(target):
    start = time.monotonic()
    with pytest.raises(TimedOut), child(target, None, 1.5) as process:
        process.receive()
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    ("target", "job", "words", "number"),
    [
        (kills_itself, signal.SIGKILL, "killed by SIGKILL", signal.SIGKILL),
        (kills_itself, signal.SIGSEGV, "killed by SIGSEGV", signal.SIGSEGV),
        (ends, 0, "exit code 0", None),
        (ends, 3, "exit code 3", None),
        (raises, None, "exit code 1", None),
    ],
)
def test_one_that_ends_without_an_answer_says_how(target, job, words, number):
    with pytest.raises(Gone, match=words) as gone, child(target, job, 60) as process:
        process.receive()
    assert gone.value.signal == number


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"{" * 5000, b"\xff", b'{"kind": "x", "follows": true}'])
def test_what_is_no_message_ends_the_process(data):
    with pytest.raises((Gone, TimedOut)), child(sends_nonsense, data, 3) as process:
        process.receive()


def test_a_pickle_is_never_opened():
    with pytest.raises(Gone), child(sends_a_pickle, None, 60) as process:
        process.receive()


def test_all_that_it_has_started_ends_with_it():
    with child(leaves_processes, None, 60) as process:
        process.receive()
    time.sleep(0.2)
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in left.splitlines() if line.startswith("sleep 739")]


def test_the_end_of_what_it_prints_is_kept():
    with child(prints, None, 60) as process:
        process.receive()
        time.sleep(0.3)
        text = process.printed()
    assert text.endswith("xend") and len(text) == 2**16
