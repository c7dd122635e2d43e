"""Bundles changed at random, in every field and every file: never a crash, never accepted."""

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from forging import BUNDLE, Forger
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from benchmarks.reviewing import reviewed
from leaderboard.predictions import load_predictions, to_bytes
from leaderboard.shelf import PREDICTIONS, beside
from leaderboard.submission import review

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
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
FREE = {"commit", "python", "cpu", "device_index", "random", "normalization", "not_updated", "tuning", "description"}
FREE |= {"error", "who", "log", "peak_memory_fit", "peak_memory_predict", "shared_s", "reason", "traceback"}
"""Fields of which no file can prove anything. They decide no number, and nothing is concluded from them."""
CLAIMS = {"fit_s", "predict_s", "fit_flops", "predict_flops", "map_fit_s", "map_predict_s", "fit_memory"}
CLAIMS |= {"predict_memory", "steps", "recipe_steps", "batch_size", "fit_j", "map_fit_j", "predict_j", "map_predict_j"}
"""Costs: what may be and is not, a re-run alone shows; a submitter's costs are never ranked."""


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


def reviewed_after(change, board, *, resealed):
    """The verdict on a copy of the bundle after a change, and what the change says of itself."""
    with tempfile.TemporaryDirectory() as folder:
        forger = Forger(Path(folder))
        said = change(forger)
        if resealed:
            forger.done()
        return reviewed(forger.bundle, board), said


def is_named(verdict):
    assert verdict.state in ("refused", "claimed"), verdict
    serious = [one for one in verdict.findings if one.level != "note"]
    assert serious and all(one.what and one.mend for one in serious)
    assert all("\n" not in str(one) and "could not be examined" not in one.what for one in serious), serious


@QUICKLY
@given(data=st.data())
def test_any_change_of_any_file_is_refused_unless_it_is_sealed_anew(board, data):
    name = data.draw(st.sampled_from(FILES))
    how = data.draw(st.sampled_from(["flip", "cut", "grow", "empty", "gone", "link", "folder", "moved", "fifo"]))
    where, bit = data.draw(st.floats(0, 1, exclude_max=True)), data.draw(st.integers(0, 7))

    def change(forger):
        path = forger.bundle / name
        content = bytearray(path.read_bytes())
        place = int(where * len(content))
        if how == "flip":
            content[place] ^= 1 << bit
            path.write_bytes(content)
        elif how in ("cut", "grow", "empty"):
            path.write_bytes({"cut": content[:place], "grow": content + b" ", "empty": b""}[how])
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

    verdict, _ = reviewed_after(change, board, resealed=False)
    is_named(verdict)
    assert verdict.state == "refused"


@QUICKLY
@given(data=st.data())
def test_any_field_of_a_record_a_plan_or_scores_is_checked_or_decides_nothing(board, data):
    name = data.draw(st.sampled_from([name for name in TEXTS if not name.startswith("cost/")]))
    before = json.loads((BUNDLE / name).read_text())
    at = data.draw(st.sampled_from(list(places(before))))
    new = data.draw(st.one_of(st.just(...), ODD))

    def change(forger):
        path = forger.bundle / name
        path.write_text(json.dumps(changed(json.loads(path.read_text()), at, new)), errors="replace")
        return json.loads(path.read_text()) != before

    verdict, is_changed = reviewed_after(change, board, resealed=True)
    told = {str(key) for key in at}
    if name.endswith(".plan.json") or told & (FREE | CLAIMS) or not is_changed:
        assert "could not be examined" not in str(verdict.findings)  # the plan is written anew by the forger
    elif verdict.state == "recomputed":
        assert is_equal(name, at, before, new), (name, at, new)
    else:
        is_named(verdict)


def is_equal(name, at, before, new):
    """Whether the change leaves a field at its default, or at a value that reads as the same."""
    value = before
    for key in at:
        value = value[key]
    defaults = (None, {}, [], "", 1, "own", "claimed", True)
    same = isinstance(value, int | float) and isinstance(new, int | float | str) and str(float(value)) == str(new)
    free = (
        at[-1:] in [("started",), ("dirty",), ("device_name",)] or "packages" in at or "shared" in at or "audit" in at
    )
    return (
        same or free or (new is ... and value in defaults) or (value in defaults and new in (None, 0, 1, False, True))
    )


@QUICKLY
@given(data=st.data())
def test_no_cost_record_makes_a_review_stumble(board, data):
    name = data.draw(st.sampled_from([name for name in TEXTS if name.startswith("cost/")]))
    at = data.draw(st.sampled_from(list(places(json.loads((BUNDLE / name).read_text())))))
    new = data.draw(st.one_of(st.just(...), ODD))

    def change(forger):
        path = forger.bundle / name
        path.write_text(json.dumps(changed(json.loads(path.read_text()), at, new)), errors="replace")

    verdict, _ = reviewed_after(change, board, resealed=True)
    assert "could not be examined" not in str(verdict.findings)


@QUICKLY
@given(data=st.data())
def test_no_manifest_makes_a_review_stumble(board, data):
    before = json.loads((BUNDLE / "manifest.json").read_text())
    at = data.draw(st.sampled_from([at for at in places(before) if "packages" not in at[:-1]]))
    new = data.draw(st.one_of(st.just(...), ODD))
    with tempfile.TemporaryDirectory() as folder:
        forger = Forger(Path(folder))
        text = json.dumps(changed(before, at, new))
        (forger.bundle / "manifest.json").write_text(text, errors="replace")
        verdict = reviewed(forger.bundle, board)
        is_same = json.loads(text) == json.loads((BUNDLE / "manifest.json").read_text())
    if not is_same:
        is_named(verdict)


@QUICKLY
@given(seed=st.integers(0, 2**32 - 1), task=st.sampled_from(["digits-mlp", "diabetes-mlp"]))
def test_predictions_with_wild_numbers_or_shapes_are_named(board, seed, task):
    rng = np.random.default_rng(seed)

    def change(forger):
        path = forger.path(task, int(rng.integers(2)))
        sets = dict(load_predictions(beside(path, PREDICTIONS)))
        name = rng.choice(sorted(sets))
        one = {key: value.copy() for key, value in vars(sets[name]).items() if value is not None}
        key = rng.choice(sorted(one))
        array, how = one[key], rng.integers(6)
        if how == 0:
            one[key] = array[: rng.integers(len(array))]
        elif how == 1:
            array.flat[rng.integers(array.size)] = (
                rng.choice([np.nan, np.inf, -np.inf, 1e30]) if key != "labels" else 99
            )
        elif how == 2:
            one[key] = np.concatenate([array, array[:1]])
        elif how == 3:
            one = {inner: value[::-1].copy() for inner, value in one.items()}
        elif how == 4 and array.ndim == 2:
            one[key] = array[:, : rng.integers(1, array.shape[1])]
        else:
            del one[key]
        bare = {f"{name}:{inner}": value for inner, value in one.items()}
        others = {f"{n}:{k}": v for n, s in sets.items() if n != name for k, v in vars(s).items() if v is not None}
        forger.bytes(path, save({key: np.ascontiguousarray(value) for key, value in (others | bare).items()}))

    verdict, _ = reviewed_after(change, board, resealed=True)
    if verdict.state == "recomputed":
        raise AssertionError(verdict)
    assert "could not be examined" not in str(verdict.findings)


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
