"""Copies of a task's sealed data that nobody has seen before: classes renamed, inputs asked twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from baselines.seeds import derive_seed
from benchmarks.data import sealed
from benchmarks.data.examples import Examples
from benchmarks.data.truth import read_truth
from benchmarks.measure.process import Channel
from benchmarks.prepare import Manifest, Prepared, read
from leaderboard.record import SetInfo
from leaderboard.store import write_once

NOISE = 0.01
"""Of rows: noise in parts of a feature's deviation."""
AGAIN, DISTURBED = "test", "shift/disturbed/1"
"""Names of sets of the second asking: the test inputs as they are, and with the smallest change there is."""


def make_copy(channel: Channel, job: tuple[str, Path, Path, int, bool]) -> None:
    """Make one of the copies below: its name, of which folder, where, from which seed, whether classes are renamed."""
    torch.set_num_threads(1)
    kind, original, folder, seed, renames = job
    prepared = read(original)
    assert prepared is not None
    if kind == "asked_twice":
        asked_twice(prepared, folder, seed)
    else:
        relabelled(prepared, folder, seed, renames)
    channel.send("copied")


def relabelled(prepared: Prepared, folder: Path, seed: int, renames: bool = True) -> Prepared:
    """A copy in which class c is called pi(c), or a number y is 2 mean - y, and all inputs are mixed in another order.

    Fitting it is as hard as fitting the original. Who has learnt labels elsewhere answers with the public ones.

    Args:
        prepared: the original.
        folder: where the copy goes.
        seed: decides pi and the order; unknown to whoever fits and predicts.
        renames: False where a network comes with weights that know the classes: then the order alone is new.
    """
    train, validation, affine = sealed.read_fit(prepared.folder)
    rename = _renaming(prepared.manifest, derive_seed("classes", seed)) if renames else lambda labels: labels
    parts = {name: _renamed(one, rename) for name, one in (("train", train), ("validation", validation))}
    evaluation = {
        name: (lambda one=one: _renamed(one(), rename))
        for name, one in _sets(prepared.folder, train).items()
        if not name.startswith("shift/") and name != "validation"
    }
    infos = sealed.seal(folder, parts, evaluation.items(), affine, derive_seed("order", seed))
    return _kept(prepared, folder, infos)


def asked_twice(prepared: Prepared, folder: Path, seed: int) -> Prepared:
    """A copy whose evaluation is the test set alone, twice: as it is, and with one grey level of noise on each pixel.

    The inputs stand beside others than before, in another order.
    """
    train, validation, affine = sealed.read_fit(prepared.folder)
    test = _sets(prepared.folder, train)["test"]()
    generator = torch.Generator().manual_seed(derive_seed("noise", seed))
    other = replace(test, inputs=_disturbed(test.inputs, train.inputs, generator))
    parts = {"train": train, "validation": validation}
    evaluation: dict[str, Callable[[], Examples]] = {AGAIN: lambda: test, DISTURBED: lambda: other}
    infos = sealed.seal(folder, parts, evaluation.items(), affine, derive_seed("again", seed))
    return _kept(prepared, folder, infos)


def _kept(prepared: Prepared, folder: Path, infos: dict[str, sealed.SetInfo]) -> Prepared:
    sets = {name: SetInfo(n=one.n, inputs=one.inputs, labels=one.labels) for name, one in infos.items()}
    manifest = prepared.manifest.model_copy(update={"sets": sets})
    write_once(folder / "manifest.json", manifest.model_dump_json(indent=1).encode(), replace=True)
    return Prepared(folder, manifest)


def _sets(folder: Path, like: Examples) -> dict[str, Callable[[], Examples]]:
    """The evaluation sets of sealed data, each read when it is asked for."""
    inputs, _ = sealed.read_inputs(folder)

    def one(positions: Tensor, labels: Tensor | None) -> Examples:
        return type(like)(inputs[positions], labels, like.classes)

    return {
        name: partial(one, torch.from_numpy(places), None if labels is None else torch.from_numpy(labels))
        for name, (places, labels) in read_truth(folder).items()
    }


def _renaming(manifest: Manifest, seed: int) -> Callable[[Tensor], Tensor]:
    if manifest.classes is None:
        return lambda labels: 2 * manifest.target_mean - labels
    order = torch.randperm(manifest.classes, generator=torch.Generator().manual_seed(seed))
    if bool((order == torch.arange(len(order))).any()):  # no class keeps its name
        order = torch.arange(len(order)).roll(1 + seed % max(1, len(order) - 1))
    return lambda labels: order[labels]


def _renamed(examples: Examples, rename: Callable[[Tensor], Tensor]) -> Examples:
    return examples if examples.labels is None else replace(examples, labels=rename(examples.labels))


def _disturbed(inputs: Tensor, train: Tensor, generator: torch.Generator) -> Tensor:
    if inputs.dtype == torch.uint8:
        steps = torch.randint(0, 2, inputs.shape, generator=generator) * 2 - 1
        return (inputs.to(torch.int16) + steps).clamp(0, 255).to(torch.uint8)
    noise = torch.randn(inputs.shape, generator=generator)
    return inputs + NOISE * train.std(0, correction=0) * noise
