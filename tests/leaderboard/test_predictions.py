"""Predictions survive the disk unchanged; what is no predictions file is refused."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from leaderboard.metrics import entropy
from leaderboard.predictions import Predictions, load_predictions, save_predictions


def made(labels: bool = True) -> Predictions:
    rng = np.random.default_rng(0)
    log_probs = np.log(rng.dirichlet(np.ones(3), 7)).astype(np.float32)
    log_probs[0] = [0.0, -np.inf, -np.inf]
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
