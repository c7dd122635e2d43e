"""Predictions survive the disk unchanged; what is no predictions file is refused."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn import of_classes, of_numbers
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save

from leaderboard.metrics import entropy
from leaderboard.predictions import Gaussian, Predictions, from_arrays, kind_of, load_predictions, save_predictions


def made(labels: bool = True, classes: int = 3) -> Predictions:
    rng = np.random.default_rng(0)
    log_probs = np.log(rng.dirichlet(np.ones(classes), 7)).astype(np.float32)
    log_probs[0] = [0.0] + [-np.inf] * (classes - 1)
    expected = (entropy(log_probs) * rng.random(7)).astype(np.float32)
    return Predictions(
        log_probs, expected, rng.normal(size=7).astype(np.float32), rng.integers(0, 3, 7) if labels else None
    )


def test_predictions_read_back_bit_for_bit(tmp_path):
    sets = {"test": made(), "ood_near/glyphs": made(labels=False), "shift/fog/3": made()}
    digest = save_predictions(tmp_path / "p.safetensors", sets)
    assert digest == hashlib.sha256((tmp_path / "p.safetensors").read_bytes()).hexdigest()
    loaded = load_predictions(tmp_path / "p.safetensors")
    assert sorted(loaded) == sorted(sets)
    assert loaded["ood_near/glyphs"].labels is None
    for name, predictions in sets.items():
        for key, value in vars(predictions).items():
            if value is not None:
                stored = getattr(loaded[name], key)
                assert stored.dtype == value.dtype
                assert np.array_equal(stored, value)


def test_numbers_that_half_precision_holds_take_two_bytes_and_labels_one(tmp_path):
    whole = made()
    half = whole.log_probs.astype(np.float16).astype(np.float32)
    rounded = replace(whole, log_probs=half, expected_entropy=np.zeros(7, np.float32))
    sizes = {}
    for name, one in (("whole", whole), ("rounded", rounded)):
        save_predictions(tmp_path / name, {"test": one})
        assert np.array_equal(load_predictions(tmp_path / name)["test"].log_probs, one.log_probs)
        sizes[name] = {key: array.dtype.itemsize for key, array in load_file(tmp_path / name).items()}
    assert sizes["whole"]["test:log_probs"] == 4 and sizes["rounded"]["test:log_probs"] == 2
    assert sizes["whole"]["test:labels"] == 1


def test_the_same_predictions_give_the_same_file(tmp_path):
    sets = {"test": made(), "validation": made()}
    first = save_predictions(tmp_path / "a", sets)
    assert save_predictions(tmp_path / "b", dict(reversed(sets.items()))) == first


def test_a_cut_or_foreign_file_is_refused(tmp_path):
    path = tmp_path / "p.safetensors"
    save_predictions(path, {"test": made()})
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match="not a predictions file"):
        load_predictions(path)
    path.write_text("{}")
    with pytest.raises(ValueError, match="not a predictions file"):
        load_predictions(path)


def numbers(labels: bool = True) -> Gaussian:
    rng = np.random.default_rng(0)
    variance = np.exp(rng.normal(size=7)).astype(np.float32)
    mean, truth = rng.normal(size=(2, 7)).astype(np.float32)
    return Gaussian(mean, variance, variance * np.float32(0.5), truth if labels else None)


def test_predictions_of_numbers_read_back_bit_for_bit_and_as_what_they_are(tmp_path):
    sets = {"test": numbers(), "ood_far/moon": numbers(labels=False)}
    save_predictions(tmp_path / "p", sets)
    loaded = load_predictions(tmp_path / "p")
    assert {type(one) for one in loaded.values()} == {Gaussian} and kind_of(loaded) == "gaussian"
    for name, one in sets.items():
        for key, value in vars(one).items():
            stored = getattr(loaded[name], key)
            assert (stored is None and value is None) or (np.array_equal(stored, value) and stored.dtype == np.float32)


@settings(max_examples=30)
@given(st.sampled_from(["categorical", "gaussian"]), st.booleans(), st.integers(0, 2**32 - 1))
def test_whatever_a_worker_gives_is_kept_bit_for_bit(kind, labelled, seed):
    if kind == "gaussian":
        mean, variance, labels = of_numbers(seed)
        arrays = {"mean": mean, "variance": variance, "expected_variance": variance}
    else:
        log_probs, labels = of_classes(seed)
        log_probs = log_probs.astype(np.float32)
        expected = (entropy(log_probs) * 0.5).astype(np.float32)
        arrays = {"log_probs": log_probs, "expected_entropy": expected, "energy": -expected}
    with tempfile.TemporaryDirectory() as folder:
        made = from_arrays(kind, arrays, labels if labelled else None)
        save_predictions(Path(folder) / "p", {"test": made})
        loaded = load_predictions(Path(folder) / "p")["test"]
    assert loaded.kind == kind and (loaded.labels is None) == (not labelled)
    for name, array in arrays.items():
        assert np.array_equal(getattr(loaded, name), array)
    assert not labelled or np.array_equal(loaded.labels, labels)


def spoiled(**changes: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of a file of one good set, some of them replaced."""
    one = made() if not changes.keys() & vars(numbers()).keys() - {"labels"} else numbers()
    return {f"test:{key}": array for key, array in (vars(one) | changes).items() if array is not None}


ROW = np.zeros(7, np.float32)
FORGED = {
    "energy of three rows": (spoiled(energy=ROW[:3]), r"energy has shape \(3,\): need \[7\]"),
    "energy infinite": (spoiled(energy=ROW + np.inf), "energy holds NaN or infinity in 7 of 7 rows"),
    "expected entropy below 0, mutual information above log C": (
        spoiled(expected_entropy=ROW - 1),
        "expected_entropy is -1 in row 0: need 0 or more",
    ),
    "mutual information below 0": (spoiled(expected_entropy=ROW + 2), "expected_entropy exceeds the entropy"),
    "expected entropy not a number": (spoiled(expected_entropy=ROW + np.nan), "expected_entropy holds NaN"),
    "rows of no distribution": (spoiled(log_probs=np.ones((7, 3), np.float32)), "no log of probabilities"),
    "labels out of range": (spoiled(labels=np.full(7, 3, np.uint8)), "labels span 3 to 3: need 0 to 2"),
    "labels too few": (spoiled(labels=np.zeros(6, np.uint8)), r"labels has shape \(6,\)"),
    "class labels as fractions": (spoiled(labels=ROW), "labels is float32, which categorical labels are not"),
    "float64": (spoiled(energy=ROW.astype(np.float64)), "test:energy is 'F64': need F32 or F16"),
    "integers": (spoiled(energy=ROW.astype(np.int32)), "test:energy is 'I32': need F32 or F16"),
    "truth values": (spoiled(labels=np.ones(7, bool)), "test:labels is 'BOOL'"),
    "variance of 0": (spoiled(variance=ROW), "variance is 0 in row 0: need more than 0"),
    "variance infinite": (spoiled(variance=ROW + np.inf), "variance holds NaN or infinity"),
    "expected variance above the variance": (
        spoiled(variance=ROW + 1, expected_variance=ROW + np.nextafter(np.float32(1), np.float32(2))),
        "expected_variance exceeds variance in row 0",
    ),
    "expected variance below 0": (spoiled(expected_variance=ROW - 1), "expected_variance is -1 in row 0"),
    "mean of one row": (spoiled(mean=ROW[:1]), r"variance has shape \(7,\): need \[1\]"),
    "number labels as integers": (
        spoiled(mean=ROW, labels=np.zeros(7, np.uint8)),
        "labels is uint8, which gaussian labels are not",
    ),
    "fields of both kinds": (spoiled() | {"test:mean": ROW}, "the fields of no kind of predictions"),
    "a field missing": ({"test:mean": ROW}, "test: holds mean, the fields of no kind"),
    "no set": ({"mean": ROW}, "'mean' is not <set>:<array>"),
    "a set named to end the line": ({"a\nb\x1b[2J:mean": ROW}, r"a\\nb\\x1b\[2J:mean' is not <set>:<array>"),
    "nothing": ({}, "no predictions: need one set at least"),
    "two kinds": (
        spoiled() | {f"validation:{key}": array for key, array in vars(numbers()).items()},
        r"predictions are .*categorical of 3 classes.*: need one kind",
    ),
    "two numbers of classes": (
        spoiled() | {f"validation:{key}": array for key, array in vars(made(classes=4)).items()},
        r"predictions are .*of 3 classes.*: need one kind",
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_predictions_that_cannot_be_are_refused_in_one_line(tmp_path, name):
    arrays, reason = FORGED[name]
    (tmp_path / "p").write_bytes(save(arrays))
    with pytest.raises(ValueError, match=reason) as caught:
        load_predictions(tmp_path / "p")
    assert "\n" not in str(caught.value) and str(tmp_path / "p") in str(caught.value)


def of_header(header: bytes, length: int | None = None) -> bytes:
    return (len(header) if length is None else length).to_bytes(8, "little") + header + bytes(64)


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2", "BF16", "F64", "I16", "BOOL", "C64", "X", None, [], {}])
def test_odd_types_of_numbers_are_refused_in_one_line(tmp_path, dtype):
    header = {"test:energy": {"dtype": dtype, "shape": [8], "data_offsets": [0, 8]}}
    (tmp_path / "p").write_bytes(of_header(json.dumps(header).encode()))
    with pytest.raises(ValueError, match="not a predictions file .test:energy is .*: need F32 or F16"):
        load_predictions(tmp_path / "p")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 7,
        of_header(b"{}", 2**62),
        of_header(b" " * (2**20 + 1)),
        of_header(b"[" * 500_000),
        of_header(b"[]"),
        of_header(b"null"),
        of_header(b'{"test:energy": 1}'),
        of_header(b'{"test:energy": {}}'),
        of_header("{'ä'}".encode("latin-1")),
        of_header(b'{"test:energy": {"dtype": "F32", "shape": [2, 99999999999], "data_offsets": [0, 8]}}'),
    ],
)
def test_a_header_that_is_none_is_refused_in_one_line(tmp_path, data):
    (tmp_path / "p").write_bytes(data)
    with pytest.raises(ValueError, match="not a predictions file") as caught:
        load_predictions(tmp_path / "p")
    assert "\n" not in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_file_is_refused_or_read_and_nothing_else(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p"
        save_predictions(path, {"test": made(), "ood_far/x": made(labels=False)})
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
        with contextlib.suppress(ValueError):
            for one in load_predictions(path).values():
                one.examine()


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "p")
    with pytest.raises(ValueError, match="not a regular file"):
        load_predictions(tmp_path / "p")


@pytest.mark.parametrize(
    ("kind", "arrays", "labels", "reason"),
    [
        ("poisson", {}, None, "unknown kind of predictions 'poisson': need categorical or gaussian"),
        ("gaussian", {"mean": ROW, "variance": ROW + 1}, None, "hold mean, variance: need mean, variance, expected"),
        ("gaussian", {}, None, "hold nothing"),
        (
            "gaussian",
            {"mean": ROW, "variance": ROW + 1, "expected_variance": ROW, "labels": ROW},
            None,
            "hold .*labels",
        ),
        (
            "gaussian",
            {"mean": ROW.astype(np.float64), "variance": ROW + 1, "expected_variance": ROW},
            None,
            "mean is float64: need float32",
        ),
        ("gaussian", {"mean": [0.0], "variance": ROW + 1, "expected_variance": ROW}, None, "mean is list"),
        ("gaussian", {"mean": ROW, "variance": ROW + 1, "expected_variance": ROW}, ROW[:2], "labels has shape"),
        ("gaussian", {"mean": ROW, "variance": ROW + 1, "expected_variance": ROW}, ROW * np.nan, "labels holds NaN"),
        ("categorical", {k: v for k, v in vars(made()).items() if k != "labels"}, ROW, "labels is float32"),
    ],
)
def test_what_a_worker_may_not_give_is_refused(kind, arrays, labels, reason):
    with pytest.raises(ValueError, match=reason):
        from_arrays(kind, arrays, labels)


def test_what_would_not_read_back_as_it_was_scored_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="float64: need float32"):
        save_predictions(tmp_path / "p", {"test": replace(made(), energy=np.zeros(7))})
    assert not any(tmp_path.iterdir())


def test_a_header_of_more_than_a_mebibyte_is_not_even_parsed(tmp_path):
    one = numbers()
    many = {f"{'x' * 200}{i}:{key}": array for i in range(2000) for key, array in vars(one).items()}
    (tmp_path / "p").write_bytes(save(many))
    with pytest.raises(ValueError, match=r"a header of \d{7} bytes in a file of \d+: need 1048576 at most"):
        load_predictions(tmp_path / "p")
