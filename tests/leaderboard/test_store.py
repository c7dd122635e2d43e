"""Records in a folder: whole or not at all, never overwritten, on any file system; bad files are set aside."""

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from builders import made, sha

from leaderboard.record import SCHEMA, PredictionsInfo, RecordError
from leaderboard.store import PREDICTIONS, beside, keep, latest, path_of, read, read_all, write_once, writing

OLD = Path(__file__).parent.parent / "old_records"
DATA = b"predictions"
INFO = PredictionsInfo(sha256=hashlib.sha256(DATA).hexdigest(), bytes=len(DATA))


def kept(folder, *arguments, **changes):
    return keep(folder, made(*arguments, predictions=INFO, **changes), DATA)


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_record_is_kept_with_its_predictions_and_its_log(tmp_path):
    one = made("laplace(rank=2)", predictions=INFO)
    path = keep(tmp_path, one, DATA, "said\n")
    assert path == path_of(tmp_path, one) == tmp_path / f"task/laplace_rank=2_/0-{one.run_id}.1.json"
    assert beside(path, PREDICTIONS).read_bytes() == DATA and beside(path, ".log").read_text() == "said\n"
    shelf = read_all(tmp_path)
    assert (shelf.records, shelf.paths, shelf.findings) == ([one], [path], [])


def test_a_failed_run_has_no_predictions_and_a_silent_one_no_log(tmp_path):
    path = keep(tmp_path, made(status="failed"), None)
    assert files(tmp_path) == [path.relative_to(tmp_path).as_posix()]


def test_a_record_is_never_overwritten(tmp_path):
    path = kept(tmp_path)
    before = files(tmp_path), path.read_bytes()
    with pytest.raises(FileExistsError):
        keep(tmp_path, made(status="failed"), None, "other")
    assert (files(tmp_path), path.read_bytes()) == before


def test_predictions_that_the_record_does_not_name_are_refused(tmp_path):
    for predictions in (b"others", None):
        with pytest.raises(ValueError, match="the record names"):
            keep(tmp_path, made(predictions=INFO), predictions)
    assert files(tmp_path) == []


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_full_disk_leaves_nothing_and_is_one_line(tmp_path, monkeypatch, fails_at):
    calls, sync = [], os.fsync

    def full(fd):
        calls.append(fd)
        if len(calls) == fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(fd)

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RecordError, match="No space left on device; make room") as error:
        keep(tmp_path, made(predictions=INFO), DATA, "log")
    assert "\n" not in str(error.value) and files(tmp_path) == []


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_hard_links_keeps_records_too(tmp_path, monkeypatch, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("os.link", refuse)
    path = kept(tmp_path)
    assert read(path).run_id == made().run_id
    with pytest.raises(FileExistsError):
        kept(tmp_path)
    with pytest.raises(FileExistsError):
        write_once(path, b"other")
    assert len(files(tmp_path)) == 2


def test_predictions_of_a_process_that_was_killed_before_its_record_are_replaced(tmp_path):
    file = beside(path_of(tmp_path, made()), PREDICTIONS)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"half")
    kept(tmp_path)
    assert file.read_bytes() == DATA


def bad_files(folder, tmp_path):
    """Files that look like records and are none: path -> what is said of it."""
    where = folder / "task/map"
    good = read_all(folder).paths[0].read_text()
    data = json.loads(good)
    deep = '"resolved": ' + '{"a":' * 1000 + "1" + "}" * 1000
    texts = {
        "1-half.1.json": (good[:100], "not a record"),
        "1-empty.1.json": ("", "not a record"),
        "1-future.1.json": (json.dumps(data | {"schema_version": SCHEMA + 1}), f"has schema {SCHEMA + 1}"),
        "1-text.1.json": (json.dumps(data | {"schema_version": "x"}), "schema_version"),
        "1-rules.1.json": (good.replace('"rules": 2', '"rules": 77'), "made under rules 77"),
        "1-deep.1.json": (good.replace('"resolved": {}', deep), "recursion"),
        "1-list.1.json": ("[" * 100_000, "not a record"),
        "package.lock.json": ('{"lockfileVersion": 3}', "not a record"),
        "a.b.json": ("null", "not a record"),
        "1-latin.1.json": ("", "not a record"),
    }  # fmt: skip
    for name, (text, _) in texts.items():
        (where / name).write_text(text)
    (where / "1-latin.1.json").write_bytes('{"schema_version": 2, "label": "é"}'.encode("latin-1"))
    os.mkfifo(where / "1-pipe.1.json")
    (where / "1-zero.1.json").symlink_to("/dev/zero")
    (where / "1-link.1.json").symlink_to(read_all(folder).paths[0])
    (where / "1-folder.1.json").mkdir()
    with (where / "1-large.1.json").open("wb") as file:
        file.truncate(2**40)
    special = {"1-pipe": "no regular file", "1-zero": "is a link", "1-link": "is a link", "1-folder": "no regular file"}
    said = {name: text for name, (_, text) in texts.items()}
    return (
        said | {f"{name}.1.json": text for name, text in special.items()} | {"1-large.1.json": "more than any record"}
    )


def test_each_bad_file_is_named_and_the_others_are_read(tmp_path):
    kept(tmp_path)
    said = bad_files(tmp_path, tmp_path)
    shelf = read_all(tmp_path)
    assert [one.run_id for one in shelf.records] == [made().run_id]
    found = {finding.path.name: finding.problem for finding in shelf.findings}
    assert found.keys() == said.keys()
    for name, text in said.items():
        assert text in found[name] and "\n" not in found[name] and len(found[name]) < 400, name


def test_what_belongs_to_others_is_no_record_and_no_finding(tmp_path):
    kept(tmp_path)
    for name in (
        "x.plan.json",
        "task/x.cost.json",
        "task/map/0-x.1.scores.json",
        "task/map/.hidden.1.json",
        "package.json",
    ):
        (tmp_path / name).write_text("{")
    shelf = read_all(tmp_path)
    assert len(shelf.records) == 1 and shelf.findings == []
    assert read_all(tmp_path / "nowhere").records == []


def test_the_order_of_records_is_fixed(tmp_path):
    for seed in (2, 0, 1):
        for method in ("b", "a"):
            kept(tmp_path, method, seed)
    assert [(one.label, one.identity.seed) for one in read_all(tmp_path).records] == [
        (method, seed) for method in "ab" for seed in range(3)
    ]


def test_an_ok_record_counts_more_than_a_later_failure_and_the_first_ok_one_than_the_second():
    def attempts(*pairs):
        return [made(attempt=attempt, status=status) for attempt, status in pairs]

    some = attempts((1, "failed"), (2, "ok"), (3, "crashed"), (4, "ok"))
    (run_id,) = {one.run_id for one in some}
    assert latest(some)[run_id].attempt == latest(some[::-1])[run_id].attempt == 2
    assert latest(attempts((1, "failed"), (3, "crashed"), (2, "killed")))[run_id].attempt == 3


def test_a_run_that_was_made_again_since_the_code_changed_counts_anew():
    codes = ["a", "b", "b", "a"]
    some = [made(attempt=i, environment={"code": sha(code)}) for i, code in enumerate(codes, 1)]
    counts = [next(iter(latest(some[:n]).values())).attempt for n in (1, 2, 3, 4)]
    assert counts == [1, 2, 2, 1], "the first of those made with the code of the last"


def test_one_process_writes_at_a_time_and_clears_only_what_is_its_own(tmp_path):
    path = kept(tmp_path)
    ours = path.with_name(f".{path.name}.ivi-4711.tmp")
    strangers = [
        path.with_name(".draft.tmp"),
        tmp_path / ".x.12.tmp",
        tmp_path / ".git" / "deep" / "er" / ".a.ivi-1.tmp",
    ]
    for file in (ours, *strangers):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    code = "import sys, pathlib; from leaderboard.store import writing\nwith writing(pathlib.Path(sys.argv[1])): pass"
    with writing(tmp_path):
        assert not ours.exists() and all(file.exists() for file in strangers)
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
        assert f"another 'ivi run' is writing to {tmp_path}" in done.stderr
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_a_file_system_without_locks_is_locked_by_a_file(tmp_path, monkeypatch):
    import fcntl

    def refuse(*_):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with writing(tmp_path), pytest.raises(RecordError, match="another 'ivi run'"), writing(tmp_path):
        pass
    with writing(tmp_path):
        pass


@pytest.mark.parametrize(("number", "name"), [(errno.ENOSYS, ".lock"), (errno.ENOTSUP, ".lock.soft")])
def test_a_lock_file_left_behind_is_taken_over_here_and_named_where_nobody_can_tell(tmp_path, number, name):
    code = f"""
import fcntl, os, pathlib, signal, sys
def refuse(*_):
    raise OSError({number}, "no")
fcntl.flock = refuse
from leaderboard.store import writing
if sys.argv[2] == "kill":
    with writing(pathlib.Path(sys.argv[1])):
        os.kill(os.getpid(), signal.SIGKILL)
with writing(pathlib.Path(sys.argv[1])):
    pass
"""

    def driver(what):
        command = [sys.executable, "-c", code, str(tmp_path), what]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert driver("kill").returncode == -signal.SIGKILL and (tmp_path / name).exists()
    taken_over = driver("go on")
    assert (taken_over.returncode, taken_over.stderr) == (0, "")
    (tmp_path / name).touch()  # of one that had flock, or of another machine
    assert f"if none runs on any machine, remove {tmp_path / name}" in driver("go on").stderr


def test_a_folder_that_cannot_be_written_to_is_one_line():
    with pytest.raises(RecordError, match="cannot write to /dev/null/x: Not a directory"), writing(Path("/dev/null/x")):
        pass


def test_a_record_that_cannot_be_read_alone_is_named(tmp_path):
    (tmp_path / "0-x.1.json").write_text("{")
    with pytest.raises(RecordError, match=r"0-x\.1\.json: not a record"):
        read(tmp_path / "0-x.1.json")


@pytest.mark.parametrize("path", sorted(OLD.glob("*.json")), ids=lambda path: path.name)
def test_every_schema_ever_written_still_reads(path):
    assert read(path).run_id


def test_there_is_an_old_record_of_every_schema():
    versions = {json.loads(path.read_text())["schema_version"] for path in OLD.glob("*.json")}
    assert versions == set(range(1, SCHEMA + 1))
