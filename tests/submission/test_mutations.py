"""Bundles changed at random, in every field and every file: never a crash, never accepted."""

import json
import os
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from forging import BUNDLE, Forger
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from benchmarks.submission.reviewing import RECORDS, reviewed
from leaderboard.predictions import load_predictions, to_bytes
from leaderboard.record import Record
from leaderboard.scores import Scores
from leaderboard.shelf import PREDICTIONS, beside
from leaderboard.submission import review
from leaderboard.submission.manifest import read_manifest
from leaderboard.submission.rivals import Published

pytestmark = pytest.mark.slow

FILES = sorted(path.relative_to(BUNDLE).as_posix() for path in BUNDLE.rglob("*") if path.is_file())
TEXTS = [name for name in FILES if name.endswith(".json") and name != "manifest.json"]
ODD = st.one_of(
    st.sampled_from([None, True, -1, 0, 1, 2**63, 2**64, -0.5, 1e308, 5e-324, "", "NaN", "-Infinity", [], {}, [[[]]]]),
    st.sampled_from(["<script>", "=cmd()|'/c calc'!A0", "a|b", "\x1b[2J", "\u202egnp", "../../x", "/abs", "\ud800x"]),
    st.text(max_size=20),
    st.integers(),
    st.floats(),
)
QUICKLY = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
FREE = {"commit", "device_index", "ranks", "audit", "tuning", "origin", "error", "started", "dirty", "packages", "url"}
FREE |= {"peak_memory_fit", "peak_memory_predict", "shared_s", "parameters", "state_bytes"}
"""Fields of which no file can prove anything. They decide no number, and nothing is concluded from them."""
CLAIMS = {"fit_s", "predict_s", "fit_flops", "predict_flops", "map_fit_s", "map_predict_s", "fit_memory"}
CLAIMS |= {"predict_memory", "steps", "recipe_steps", "batch_size", "fit_j", "map_fit_j", "predict_j", "map_predict_j"}
"""Costs: what may be and is not, a re-run alone shows; a submitter's costs are never ranked."""


NEW = st.one_of(st.just(...), ODD)
PLACE = st.integers(0, 10**6)


def place_of(name, number):
    """What a file of JSON holds, and one of the places in it."""
    value = json.loads((BUNDLE / name).read_text())
    every = [at for at in places(value) if "packages" not in at[:-1] or number % 7 == 0]
    return value, every[number % len(every)]


def places(value, at=()):
    """Every place in a JSON value."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*at, key))


def changed(value, at, new):
    """``value`` with what lies at a place replaced, or taken out where ``new`` is `...`."""
    if not at:
        return {} if new is ... else new
    holder = value
    for key in at[:-1]:
        holder = holder[key]
    if new is ...:
        del holder[at[-1]]
    else:
        holder[at[-1]] = new
    return value


@lru_cache
def board():
    """The published rows of the smoke suite."""
    return Published.of(RECORDS / "smoke")


def reviewed_after(change, *, resealed):
    """The verdict on a copy of the bundle after a change, and what the change says of itself."""
    with tempfile.TemporaryDirectory() as folder:
        forger = Forger(Path(folder))
        said = change(forger)
        if resealed:
            forger.done()
        return reviewed(forger.bundle, board()), said


def is_named(verdict):
    assert verdict.state in ("refused", "claimed"), verdict
    serious = [one for one in verdict.findings if one.level != "note"]
    assert serious and all(one.what and one.mend for one in serious)
    assert all("\n" not in str(one) and "could not be examined" not in one.what for one in serious), serious


@QUICKLY
@given(
    name=st.sampled_from(FILES),
    how=st.sampled_from(["flip", "cut", "grow", "empty", "gone", "link", "folder", "moved", "fifo"]),
    where=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
def test_any_change_of_any_file_is_refused_unless_it_is_sealed_anew(name, how, where, bit):
    def change(forger):
        path = forger.bundle / name
        content = bytearray(path.read_bytes())
        place = int(where * len(content))
        if how == "flip":
            content[place] ^= 1 << bit
            path.write_bytes(content)
        elif how in ("cut", "grow", "empty"):
            path.write_bytes(
                {"cut": content[: min(place, len(content) - 2)], "grow": content + b"x", "empty": b""}[how]
            )
        elif how == "moved":
            path.rename(path.with_name(f"x{path.name}"))
        else:
            path.unlink()
            if how == "link":
                os.symlink("/etc/passwd", path)
            elif how == "folder":
                path.mkdir()
            elif how == "fifo":
                os.mkfifo(path)

    verdict, _ = reviewed_after(change, resealed=False)
    is_named(verdict)
    assert verdict.state == "refused"


@QUICKLY
@given(name=st.sampled_from([name for name in TEXTS if not name.startswith("cost/")]), place=PLACE, new=NEW)
def test_any_field_of_a_record_a_plan_or_scores_is_checked_or_decides_nothing(name, place, new):
    before, at = place_of(name, place)

    def change(forger):
        path = forger.bundle / name
        path.write_text(json.dumps(changed(json.loads(path.read_text()), at, new)), errors="replace")
        return json.loads(path.read_text()) != before

    verdict, is_changed = reviewed_after(change, resealed=True)
    if name.endswith(".plan.json") or not is_changed:
        assert "could not be examined" not in str(verdict.findings)  # the plan is written anew by the forger
    elif verdict.state == "recomputed":
        model = Scores if name.endswith(".scores.json") else Record
        after = changed(json.loads((BUNDLE / name).read_text()), at, new)
        parsed = [model.model_validate_json(json.dumps(one)).model_dump(mode="json") for one in (before, after)]
        assert all(set(map(str, place)) & (FREE | CLAIMS) for place in unlike(*parsed)), (name, at, new)
    else:
        is_named(verdict)


def unlike(one, other, at=()):
    """Every place in which two JSON values differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one.keys() | other.keys():
            yield from unlike(one.get(key), other.get(key), (*at, key))
    elif one != other:
        yield at


@QUICKLY
@given(name=st.sampled_from([name for name in TEXTS if name.startswith("cost/")]), place=PLACE, new=NEW)
def test_no_cost_record_makes_a_review_stumble(name, place, new):
    _, at = place_of(name, place)

    def change(forger):
        path = forger.bundle / name
        path.write_text(json.dumps(changed(json.loads(path.read_text()), at, new)), errors="replace")

    verdict, _ = reviewed_after(change, resealed=True)
    assert "could not be examined" not in str(verdict.findings)


@QUICKLY
@given(place=PLACE, new=NEW)
def test_no_manifest_makes_a_review_stumble(place, new):
    before, at = place_of("manifest.json", place)
    with tempfile.TemporaryDirectory() as folder:
        forger = Forger(Path(folder))
        text = json.dumps(changed(before, at, new))
        (forger.bundle / "manifest.json").write_text(text, errors="replace")
        verdict = reviewed(forger.bundle, board())
        if verdict.state == "recomputed":  # a default was left out, or written as another number of the same value
            assert read_manifest(forger.bundle) == read_manifest(BUNDLE), (at, new)
        else:
            is_named(verdict)


@QUICKLY
@given(seed=st.integers(0, 2**32 - 1), task=st.sampled_from(["digits-mlp", "diabetes-mlp"]))
def test_predictions_that_are_no_numbers_or_of_another_shape_are_named(seed, task):
    rng = np.random.default_rng(seed)

    def change(forger):
        path = forger.path(task, int(rng.integers(2)))
        sets = dict(load_predictions(beside(path, PREDICTIONS)))
        name = rng.choice(sorted(sets))
        one = {key: value.copy() for key, value in vars(sets[name]).items() if value is not None}
        key = rng.choice(sorted(one))
        array, how = one[key], rng.integers(5)
        if how == 0:
            one[key] = array[: rng.integers(len(array))]
        elif how == 1:
            wild = [np.nan, np.inf] if key == "log_probs" else [np.nan, np.inf, -np.inf]
            array.flat[rng.integers(array.size)] = 99 if key == "labels" else rng.choice(wild)
        elif how == 2:
            one[key] = np.concatenate([array, array[:1]])
        elif how == 3 and array.ndim == 2:
            one[key] = array[:, : rng.integers(1, array.shape[1])]
        else:
            del one[key]
        bare = {f"{name}:{inner}": value for inner, value in one.items()}
        others = {f"{n}:{k}": v for n, s in sets.items() if n != name for k, v in vars(s).items() if v is not None}
        forger.bytes(path, save({key: np.ascontiguousarray(value) for key, value in (others | bare).items()}))

    verdict, _ = reviewed_after(change, resealed=True)
    is_named(verdict)


def test_a_bundle_that_is_no_bundle_is_refused_in_a_line(tmp_path, board):
    (tmp_path / "x").write_text("")
    for path in (tmp_path, tmp_path / "x", tmp_path / "none"):
        assert review(path, published=board).state == "refused"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[" * 100_000,
        b'{"a":' * 5_000,
        b"\xff\xfe{}",
        b"{}",
        b"[]",
        b"null",
        b"1e999",
        b'{"method": 1}',
        "ü".encode("latin-1"),
    ],
)
@pytest.mark.parametrize("name", ["manifest.json", "records/smoke.plan.json", TEXTS[-1], "log.txt"])
def test_a_file_that_is_no_json_or_no_text_is_refused(forger, board, name, text):
    (forger.bundle / name).write_bytes(text)
    assert reviewed(forger.bundle, board).state == "refused"
    if name != "manifest.json":
        verdict = reviewed(forger.done(), board)
        assert "could not be examined" not in str(verdict.findings)


def test_types_that_numpy_has_not_are_refused(forger, board):
    path = forger.path()
    data = to_bytes(load_predictions(beside(path, PREDICTIONS)))
    forger.bytes(path, data.replace(b'"F16"', b'"F8_E4M3"').replace(b'"F32"', b'"BF16"'))
    assert reviewed(forger.done(), board).state == "refused"
