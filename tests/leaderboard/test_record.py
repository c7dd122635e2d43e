"""Records: written whole or not at all, never overwritten, NaN and all."""

import json
import math
from pathlib import Path

import pytest
from builders import record
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.record import SCHEMA, Record, RecordError, latest, read, read_all, write, write_once

OLD = Path(__file__).parent.parent / "old_records"


@given(st.dictionaries(st.text(max_size=5), st.floats(), max_size=5))
def test_every_float_survives_the_round_trip(metrics):
    again = Record.model_validate_json(record(metrics={"test": metrics}).model_dump_json())
    for key, value in metrics.items():
        there = again.metrics["test"][key]
        assert there == value or (math.isnan(there) and math.isnan(value))


def test_nan_is_a_string_in_the_file_and_no_null():
    text = record(metrics={"test": {"nll": math.nan, "temperature": math.inf}}).model_dump_json()
    assert json.loads(text)["metrics"]["test"] == {"nll": "NaN", "temperature": "Infinity"}


def test_a_record_is_never_overwritten(tmp_path):
    path = write(tmp_path, record())
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        write(tmp_path, record(status="failed"))
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name], "and nothing is left lying about"


def test_what_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_once(tmp_path / "x.json", b"data")
    assert list(tmp_path.iterdir()) == []


def test_a_half_written_file_is_named_and_not_dropped(tmp_path):
    path = write(tmp_path, record())
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RecordError, match=r"abc\.1\.json: not a record"):
        read_all(tmp_path)


def test_a_record_of_the_future_is_named_as_such(tmp_path):
    path = write(tmp_path, record())
    data = json.loads(path.read_text()) | {"schema_version": SCHEMA + 1, "mood": "good"}
    path.write_text(json.dumps(data))
    with pytest.raises(RecordError, match=f"has schema {SCHEMA + 1}"):
        read(path)


def test_an_ok_record_counts_more_than_a_later_failure():
    attempts = [record(attempt=1, status="failed"), record(attempt=2), record(attempt=3, status="crashed")]
    assert latest(attempts)["abc"].attempt == 2
    assert latest(attempts[:1] + attempts[2:])["abc"].attempt == 3


@pytest.mark.parametrize("path", sorted(OLD.glob("*.json")), ids=lambda path: path.name)
def test_every_schema_ever_written_still_reads(path):
    assert read(path).run_id


def test_there_is_an_old_record_of_every_schema():
    versions = {json.loads(path.read_text())["schema_version"] for path in OLD.glob("*.json")}
    assert versions == set(range(1, SCHEMA + 1))
