"""With an index of many records a folder reads as without: same results, same findings, whatever changed meanwhile."""

import hashlib
import json
import math
import os
import shutil
import time
from dataclasses import fields
from pathlib import Path

import pytest
from builders import made, sha
from hypothesis import given
from hypothesis import strategies as st

from leaderboard import index, results
from leaderboard.record import Tuning
from leaderboard.results import Results, load_results
from leaderboard.scores import Scores, scores_path
from leaderboard.shelf import read_files
from leaderboard.store import path_of

OLD = Path(__file__).parent.parent / "old_records" / "schema1.json"
TICK = 0.02
"""Seconds, longer than a tick of the clock that files are stamped by."""


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    """An index from the first record on, of files that were written just now."""
    monkeypatch.setattr(index, "LEAST", 1)
    monkeypatch.setattr(index, "SETTLED", 0)


@pytest.fixture
def read(monkeypatch):
    """Names of the files that were read as records."""
    seen: list[str] = []

    def spied(paths):
        paths = list(paths)
        seen.extend(map(os.path.basename, paths))
        return read_files(paths)

    monkeypatch.setattr(results, "read_files", spied)
    return seen


def put(folder: Path, one, text: str | None = None, **metrics: float) -> Path:
    path = path_of(folder, one)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text or one.model_dump_json(indent=1))
    if one.predictions:
        sets = {"test": {"nll": 0.25, **metrics}, "ood_far": {"auroc_energy": 0.5}}
        kind = one.identity.task.likelihood
        scores = Scores(kind=kind, predictions=one.predictions.sha256, sets=sets)
        scores_path(path).write_text(scores.model_dump_json())
    return path


def board(folder: Path) -> list[Path]:
    paths = [put(folder, made("map", seed), accuracy=0.5 + seed / 100) for seed in range(4)]
    paths.append(put(folder, made("laplace", 0), accuracy=math.nan, ece=math.inf, brier=-0.0))
    paths.append(put(folder, made("kl_vi(rank=2)", 1, "failed")))
    paths.append(put(folder, made("swag", 0, device="cuda", environment={"dirty": True, "packages": {"torch": "3"}})))
    tuning = Tuning(tried={"lr": [0.1, 1]}, on="validation", criterion="nll")
    method = {"package": None, "resolved": {"a": 1, "b": [1.0, None, True, "é"]}}
    paths.append(put(folder, made("mine", 0, tuning=tuning, method_info=method, environment={"dirty": None})))
    shutil.copy(OLD, folder / "0-0123456789ab.1.json")
    time.sleep(TICK)
    return paths


def shown(found: Results) -> list:
    """All that is known of each result, types with it, and what was set aside."""
    lines: list = [[repr(getattr(one, field.name)) for field in fields(one)] for one in found.results]
    return [lines, sorted(map(str, found.findings))]


def test_an_index_gives_what_the_files_give_in_every_field_and_no_file_is_read(tmp_path, read):
    board(tmp_path / "records")
    first = load_results(tmp_path / "records", tmp_path / "cache")
    read.clear()
    again = load_results(tmp_path / "records", tmp_path / "cache")
    assert shown(again) == shown(first) == shown(load_results(tmp_path / "records"))
    assert read[:1] == ["0-0123456789ab.1.json"] and len(read) == 1 + len(first.results), "history is read, no more"
    assert all(vars(one).keys() == {field.name for field in fields(one)} for one in again.results)


def test_a_moved_folder_of_the_same_files_reads_under_its_new_name(tmp_path):
    board(tmp_path / "records")
    load_results(tmp_path / "records", tmp_path / "cache")
    (tmp_path / "records").rename(tmp_path / "moved")
    assert shown(load_results(tmp_path / "moved", tmp_path / "cache")) == shown(load_results(tmp_path / "moved"))
    (tmp_path / "link").symlink_to(tmp_path / "moved")
    linked = load_results(tmp_path / "link", tmp_path / "cache")
    assert shown(linked) == shown(load_results(tmp_path / "link"))


def rewrite(path: Path, old: str, new: str) -> None:
    """Change a file in place; size, time of change and number stay if ``old`` and ``new`` are as long."""
    before, text = path.stat(), path.read_text()
    assert old in text
    with path.open("r+") as file:
        file.write(text.replace(old, new))
        file.truncate()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def swap(first: Path, second: Path) -> None:
    first.rename(first.with_name("aside"))
    second.rename(first)
    first.with_name("aside").rename(second)


CHANGES = {
    "a record edited, as long and as old": lambda a, b: rewrite(a, '"attempt": 1', '"attempt": 7'),
    "a record edited to say nothing true": lambda a, b: rewrite(a, '"seed": 0', '"seed": 9'),
    "a record edited, longer": lambda a, b: rewrite(a, '"attempt": 1', '"attempt": 17'),
    "scores edited, as long and as old": lambda a, b: rewrite(scores_path(a), '"nll":0.25', '"nll":9.75'),
    "scores half-written": lambda a, b: os.truncate(scores_path(a), 40),
    "a record half-written": lambda a, b: os.truncate(a, 100),
    "a record of no bytes": lambda a, b: os.truncate(a, 0),
    "a record removed": lambda a, b: a.unlink(),
    "scores removed": lambda a, b: scores_path(a).unlink(),
    "both removed": lambda a, b: (a.unlink(), scores_path(a).unlink()),
    "a record added": lambda a, b: put(a.parents[2], made("map", 11)),
    "a record touched": lambda a, b: a.touch(),
    "a record written over by another": lambda a, b: shutil.copy2(b, a),
    "scores written over by those of another": lambda a, b: shutil.copy2(scores_path(b), scores_path(a)),
    "two records that changed places": swap,
    "two files of scores that changed places": lambda a, b: swap(scores_path(a), scores_path(b)),
    "a link in place of a record": lambda a, b: (a.unlink(), a.symlink_to(b)),
    "a link in place of scores": lambda a, b: (scores_path(a).unlink(), scores_path(a).symlink_to(scores_path(b))),
    "a folder in place of a record": lambda a, b: (a.unlink(), a.mkdir()),
    "a pipe in place of a record": lambda a, b: (a.unlink(), os.mkfifo(a)),
    "all removed": lambda a, b: shutil.rmtree(a.parents[2]),
    "a change in the year 2300": lambda a, b: os.utime(a, (0, 10_413_792_000)),
    "a change before 1970": lambda a, b: os.utime(a, (0, -1000)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changed_since_is_seen(tmp_path, change):
    folder, cache = tmp_path / "records", tmp_path / "cache"
    first, second, *_ = board(folder)
    before = shown(load_results(folder, cache))
    CHANGES[change](first, second)
    after = shown(load_results(folder))
    assert shown(load_results(folder, cache)) == after, "read beside an old index"
    time.sleep(TICK)
    assert shown(load_results(folder, cache)) == shown(load_results(folder, cache)) == after, "and beside a new one"
    assert after != before or change in ("a record touched", "a change in the year 2300", "a change before 1970")


@pytest.mark.parametrize("change", ["a record edited, as long and as old", "scores edited, as long and as old"])
def test_an_edit_that_leaves_size_time_and_file_is_one(tmp_path, change):
    """Else the two cases above would prove less than they say."""
    first, second, *_ = board(tmp_path)
    before = [(one.stat().st_size, one.stat().st_mtime_ns, one.stat().st_ino) for one in (first, scores_path(first))]
    CHANGES[change](first, second)
    after = [(one.stat().st_size, one.stat().st_mtime_ns, one.stat().st_ino) for one in (first, scores_path(first))]
    assert before == after


def test_a_broken_file_is_named_each_time_and_the_others_come_from_the_index(tmp_path, read):
    folder, cache = tmp_path / "records", tmp_path / "cache"
    first, second, *_ = board(folder)
    first.write_text("{")
    scores_path(second).write_text("[" * 100_000)
    found = [load_results(folder, cache) for _ in range(3)]
    names = [sorted(finding.path.name for finding in one.findings) for one in found]
    assert names == [sorted([first.name, scores_path(second).name])] * 3
    assert read[-3:] == sorted([first.name, second.name, "0-0123456789ab.1.json"])


def sealed(body: bytes) -> bytes:
    return hashlib.sha256(body).digest() + body


def with_header(data: bytes, change) -> bytes:
    """The index with another header under a digest that is right."""
    end = 40 + int.from_bytes(data[32:40], "big")
    header = json.loads(data[40:end])
    change(header)
    made = json.dumps(header).encode()
    return sealed(len(made).to_bytes(8, "big") + made + data[end:])


DAMAGES = {
    "empty": lambda data: b"",
    "half": lambda data: data[: len(data) // 2],
    "longer": lambda data: data + b"\0" * 8,
    "zeros": lambda data: bytes(len(data)),
    "no header": lambda data: sealed(b""),
    "a header without end": lambda data: sealed(b"\xff" * 8 + data[40:]),
    "fewer numbers": lambda data: sealed(data[32:-8]),
    "half a number": lambda data: sealed(data[32:-3]),
    "a place that is none": lambda data: with_header(data, lambda h: h["runs"][0].__setitem__(1, 99)),
    "a layout that is none": lambda data: with_header(data, lambda h: h["runs"][0].__setitem__(2, 99)),
    "a run too few": lambda data: with_header(data, lambda h: h["runs"].pop()),
    "a metric too many": lambda data: with_header(data, lambda h: h["layouts"][1]["test"].append("x")),
    "a metric twice": lambda data: with_header(data, lambda h: h["layouts"][1]["test"].append("nll")),
    "no text": lambda data: with_header(data, lambda h: h["runs"][0].__setitem__(3, 5)),
    "another field": lambda data: with_header(data, lambda h: h["shared"][0].__setitem__("rank", 1)),
    "other code": lambda data: with_header(data, lambda h: h.__setitem__("reader", "0")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_is_as_good_as_none_and_made_anew(tmp_path, damage, read):
    folder, cache = tmp_path / "records", tmp_path / "cache"
    board(folder)
    expected = shown(load_results(folder, cache))
    (file,) = (cache / "records").iterdir()
    good = file.read_bytes()
    file.write_bytes(DAMAGES[damage](good))
    read.clear()
    assert shown(load_results(folder, cache)) == expected and len(read) == len(expected[0])
    assert file.read_bytes() == good


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("records")
    one = index._Made()
    board(folder)
    for result in load_results(folder).results[:-1]:  # the last is of the first edition
        one.add(result, result.file, bytes(64))
    return one.data()


@given(st.data())
def test_no_byte_of_an_index_can_be_changed_unseen(good, data):
    assert len(index._opened(good)[0].runs) == 8
    spoilt = bytearray(good)
    spoilt[data.draw(st.integers(0, len(spoilt) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match="a damaged index"):
        index._opened(bytes(spoilt))


@pytest.mark.parametrize("place", ["a file", "a pipe", "a folder", "a link"])
def test_a_cache_that_cannot_be_used_is_done_without(tmp_path, place):
    folder, cache = tmp_path / "records", tmp_path / "cache"
    board(folder)
    expected = shown(load_results(folder, cache))
    (file,) = (cache / "records").iterdir()
    file.unlink()
    if place == "a file":
        shutil.rmtree(cache)
        cache.write_text("")
    elif place == "a pipe":
        os.mkfifo(file)
    elif place == "a folder":
        (file / "inner").mkdir(parents=True)
    else:
        file.symlink_to("/dev/zero")
    assert shown(load_results(folder, cache)) == expected


def test_files_that_changed_just_now_are_not_indexed(tmp_path, monkeypatch, read):
    folder, cache = tmp_path / "records", tmp_path / "cache"
    paths = board(folder)
    monkeypatch.setattr(index, "SETTLED", 3600 * 10**9)
    for _ in range(2):
        read.clear()
        load_results(folder, cache)
        assert len(read) == 1 + len(paths)


def test_few_records_leave_nothing_in_the_cache(tmp_path, monkeypatch):
    board(tmp_path / "records")
    monkeypatch.setattr(index, "LEAST", 256)
    load_results(tmp_path / "records", tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_what_json_has_no_name_for_is_read_and_the_rest_is_indexed(tmp_path, read):
    folder, cache = tmp_path / "records", tmp_path / "cache"
    one = made("odd", 0, method_info={"resolved": {"a": math.nan}})
    put(folder, one, json.dumps(one.model_dump()))
    put(folder, made("map", 0))
    path = put(folder, made("map", 1))
    os.rename(path, os.fsencode(path.parent) + b"/\xff.1.json")
    os.rename(scores_path(path), os.fsencode(path.parent) + b"/\xff.scores.json")
    time.sleep(TICK)
    expected = load_results(folder, cache)
    assert len(expected.results) == 3
    read.clear()
    assert shown(load_results(folder, cache)) == shown(expected)
    assert len(read) == 2 and not any(name.startswith("0-" + made("map", 0).run_id) for name in read)


def test_indices_of_two_folders_are_two(tmp_path):
    for name in ("a", "b"):
        put(tmp_path / name, made("map", 0), nll=float(ord(name)))
    time.sleep(TICK)
    for _ in range(2):
        found = [load_results(tmp_path / name, tmp_path / "cache").results[0] for name in ("a", "b")]
        assert [one.metrics["test"]["nll"] for one in found] == [97.0, 98.0]
    assert len(list((tmp_path / "cache" / "records").iterdir())) == 2


def test_a_result_made_of_its_fields_is_the_same(tmp_path):
    path = put(tmp_path, made("map", 0))
    (one,) = load_results(tmp_path).results
    assert type(one).of_fields(vars(one)) == one and one.path == path and sha("code") in dict(one.stack).values()
