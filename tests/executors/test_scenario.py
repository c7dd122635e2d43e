"""What `chaos.py` counts as bad: each kind of damage is seen, and a kill that was recorded is none."""

import hashlib
import json
import os
import shutil

import pytest
from scenario import RUNS, faults, good, processor_time

NONE = {"lost": 0, "doubled": 0, "half-written": 0, "changed": 0}


@pytest.fixture
def out(tmp_path):
    """Records of a whole suite, as far as they are looked at."""
    for seed in range(RUNS):
        path = tmp_path / "digits" / "map" / f"{seed}-id.1.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = f"predictions {seed}".encode()
        record = {"status": "ok", "label": "map", "identity": {"seed": seed}}
        path.write_text(json.dumps(record | {"predictions": {"sha256": hashlib.sha256(data).hexdigest()}}))
        path.with_suffix(".safetensors").write_bytes(data)
        path.with_suffix(".scores.json").write_text(json.dumps({"sets": {"test": {"nll": seed / 10}}}))
    return tmp_path


def lose(path):
    path.unlink()


def cut(path):
    path.write_text(path.read_text()[:20])


def cut_predictions(path):
    path.with_suffix(".safetensors").write_bytes(b"pre")


def double(path):
    for ending in (".json", ".safetensors", ".scores.json"):
        shutil.copy(path.with_suffix(ending), path.with_name(f"3-id.2{ending}"))


def change(path):
    path.with_suffix(".scores.json").write_text('{"sets": {"test": {"nll": 9.9}}}')


def leave(path):
    path.with_name(".3-id.ivi-7.tmp").touch()


def fail(path):
    path.with_name("3-id.2.json").write_text('{"status": "failed", "error": "?"}')


@pytest.mark.parametrize(
    ("damage", "seen"),
    [
        (lose, {"lost": 1}),
        (cut, {"lost": 1, "half-written": 1}),
        (cut_predictions, {"half-written": 1}),
        (double, {"doubled": 1}),
        (change, {"changed": 1}),
        (leave, {"half-written": 1}),
        (fail, {"half-written": 1}),
    ],
)
def test_each_damage_is_counted(out, damage, seen):
    reference = good(out)
    assert len(reference) == RUNS and faults(out, reference) == NONE
    damage(out / "digits" / "map" / "3-id.1.json")
    assert faults(out, reference) == NONE | seen


def test_a_run_that_was_killed_and_made_again_is_no_fault(out):
    reference = good(out)
    (out / "digits" / "map" / "3-id.0.json").write_text('{"status": "killed"}')
    assert faults(out, reference) == NONE


def test_processor_time_grows_with_what_is_computed():
    before = processor_time(os.getpid())
    sum(i * i for i in range(2_000_000))
    assert processor_time(os.getpid()) > before and processor_time(2**30) == 0.0
