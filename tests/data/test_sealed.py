"""Sealed sets: the process that fits holds no evaluation data, the one that predicts no labels, names or sizes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from baselines.names import UserError
from benchmarks.data import Affine, DataError, Images, Rows, truth
from benchmarks.data.examples import Examples
from benchmarks.data.hashes import array_sha256
from benchmarks.data.sealed import Damaged, read_fit, read_inputs, seal
from benchmarks.data.truth import FIT, INPUTS, TRUTH, SetInfo, read_sets, read_target, read_truth
from benchmarks.prepare import prepare
from benchmarks.suite import load_task

ROOT = Path(__file__).parents[2]
IMAGE_AFFINE = Affine(torch.full((1, 3, 1, 1), 1 / 255), torch.zeros(1, 3, 1, 1))
ROW_AFFINE = Affine(torch.tensor([1.0, 2.0]), torch.tensor([0.5, 0.0]), 3.0, 2.0)


def images(count: int, seed: int, labelled: bool = True) -> Images:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, 3, 5, 5), generator=generator, dtype=torch.uint8)
    return Images(pixels, torch.arange(count) % 3 if labelled else None, ("a", "b", "c"))


def rows(count: int, seed: int, labelled: bool = True) -> Rows:
    inputs = torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))
    return Rows(inputs, inputs.sum(1) if labelled else None, ())


def example_sets(make=images) -> tuple[dict[str, Examples], dict[str, Examples]]:
    evaluation = {"test": make(30, 2), "ood_near/other": make(7, 3, False), "shift/fog/1": make(11, 4)}
    return {"train": make(40, 0), "validation": make(10, 1)}, evaluation


def sealed(folder: Path, make=images, seed: int = 5) -> tuple[dict[str, Examples], dict[str, SetInfo]]:
    parts, evaluation = example_sets(make)
    affine = IMAGE_AFFINE if make is images else ROW_AFFINE
    infos = seal(folder, parts, ((name, lambda s=s: s) for name, s in evaluation.items()), affine, seed)
    return {**parts, **evaluation}, infos


@pytest.mark.parametrize("make", [images, rows])
def test_every_set_is_found_again_by_its_positions_and_every_input_is_of_one_set(tmp_path, make):
    sets, infos = sealed(tmp_path, make)
    mixed, affine = read_inputs(tmp_path)
    found = read_truth(tmp_path)
    assert set(found) == set(sets) - {"train"} and len(mixed) == 58
    for name, (positions, labels) in found.items():
        assert torch.equal(mixed[torch.from_numpy(positions)], sets[name].inputs)
        assert (labels is None) == (sets[name].labels is None)
        assert labels is None or np.array_equal(labels, sets[name].labels.numpy())
        assert infos[name] == SetInfo(len(labels if labels is not None else positions), *hashes(sets[name]))
    assert sorted(np.concatenate([positions for positions, _ in found.values()])) == list(range(58))
    expected = IMAGE_AFFINE if make is images else ROW_AFFINE
    assert torch.equal(affine.scale, expected.scale) and torch.equal(affine.shift, expected.shift)
    assert affine.target_mean is None and read_target(tmp_path) == (None if make is images else (3.0, 2.0))
    assert read_sets(tmp_path) == infos


@pytest.mark.parametrize("make", [images, rows])
def test_what_is_fitted_on_comes_back_as_it_was(tmp_path, make):
    sets, infos = sealed(tmp_path, make)
    train, validation, affine = read_fit(tmp_path)
    assert type(train) is type(sets["train"])
    assert train.fingerprint == sets["train"].fingerprint and validation.fingerprint == sets["validation"].fingerprint
    assert train.classes == sets["train"].classes
    assert infos["train"] == SetInfo(40, *hashes(train))
    assert affine.target_mean == (None if make is images else 3.0)


def test_no_file_for_fitting_or_predicting_holds_what_is_not_its_own(tmp_path):
    sets, _ = sealed(tmp_path)
    fit, inputs = (tmp_path / FIT).read_bytes(), (tmp_path / INPUTS).read_bytes()
    for name in ("test", "ood_near/other", "shift/fog/1"):
        for image in sets[name].inputs:
            assert image.numpy().tobytes() not in fit
            assert image.numpy().tobytes() in inputs
        assert name.encode() not in fit + inputs
    assert not any(word in inputs for word in (b"label", b"validation", b"classes", b"position"))
    with safe_open(tmp_path / INPUTS, "np") as file:
        assert set(file.keys()) == {"inputs", "scale", "shift"} and set(file.metadata()) == {"seal"}


def test_the_seed_alone_decides_the_order(tmp_path):
    mixed = []
    for place, seed in (("a", 1), ("b", 1), ("c", 2)):
        sealed(tmp_path / place, seed=seed)
        mixed.append(read_inputs(tmp_path / place)[0])
    assert torch.equal(mixed[0], mixed[1]) and not torch.equal(mixed[0], mixed[2])
    one, other = (np.sort(inputs.flatten(1).numpy(), 0) for inputs in mixed[1:])
    assert array_sha256(one) == array_sha256(other)


def test_validation_is_mixed_in_once_whether_named_or_not(tmp_path):
    parts, evaluation = example_sets()
    named = [("validation", lambda: parts["validation"]), ("test", lambda: evaluation["test"])]
    seal(tmp_path / "named", parts, named, IMAGE_AFFINE, 0)
    seal(tmp_path / "unnamed", parts, named[1:], IMAGE_AFFINE, 0)
    assert len(read_inputs(tmp_path / "named")[0]) == len(read_inputs(tmp_path / "unnamed")[0]) == 40


@given(file=st.sampled_from([FIT, INPUTS, TRUTH]), place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_in_any_of_the_files_is_noticed(tmp_path_factory, file, place, bit):
    folder = tmp_path_factory.mktemp("sealed")
    sealed(folder)
    damaged = bytearray((folder / file).read_bytes())
    damaged[int(place * len(damaged))] ^= 1 << bit
    (folder / file).write_bytes(bytes(damaged))
    with pytest.raises(Damaged):
        {FIT: read_fit, INPUTS: read_inputs, TRUTH: read_truth}[file](folder)


@pytest.mark.parametrize("part", [0, 4, 0.5, 0.99])
@pytest.mark.parametrize(("file", "read"), [(FIT, read_fit), (INPUTS, read_inputs), (TRUTH, read_truth)])
def test_a_file_that_is_cut_short_or_absent_is_noticed_and_made_again_by_sealing_again(tmp_path, file, read, part):
    sealed(tmp_path)
    first, whole = str(read(tmp_path)), (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(whole[: part if part in (0, 4) else int(part * len(whole))])
    with pytest.raises(Damaged):
        read(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(Damaged):
        read(tmp_path)
    sealed(tmp_path)
    assert str(read(tmp_path)) == first


def test_the_truth_of_another_order_is_noticed(tmp_path):
    sealed(tmp_path / "a", seed=1)
    sealed(tmp_path / "b", seed=2)
    (tmp_path / "a" / TRUTH).write_bytes((tmp_path / "b" / TRUTH).read_bytes())
    with pytest.raises(Damaged, match="of another sealing"):
        read_truth(tmp_path / "a")


def test_a_sealing_that_fails_leaves_no_truth_and_nothing_unnamed_behind(tmp_path):
    sealed(tmp_path)
    parts, _ = example_sets()

    def fail() -> Examples:
        raise DataError("no luck")

    with pytest.raises(DataError, match="no luck"):
        seal(tmp_path, parts, [("test", lambda: parts["validation"]), ("other", fail)], IMAGE_AFFINE, 0)
    assert [path.name for path in tmp_path.iterdir()] == [FIT]


@pytest.mark.parametrize(
    ("name", "examples", "said"),
    [
        ("test", Images(torch.zeros(2, 1, 5, 5, dtype=torch.uint8), None, ()), "inputs of shape (1, 5, 5), uint8"),
        ("test", Images(torch.zeros(2, 3, 5, 5), None, ()), "inputs of shape (3, 5, 5), float32"),
        ("test", images(0, 0), "set test: 0 inputs"),
        ("train", images(3, 0), "set train is there twice"),
    ],
)
def test_sets_that_do_not_go_together_are_refused(tmp_path, name, examples, said):
    parts, _ = example_sets()
    with pytest.raises(DataError) as caught:
        seal(tmp_path, parts, [(name, lambda: examples)], IMAGE_AFFINE, 0)
    assert said in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="modes of files")
def test_no_file_is_executable(tmp_path):
    sealed(tmp_path)
    for path in tmp_path.iterdir():
        assert not stat.S_IMODE(path.stat().st_mode) & 0o111


def test_truth_is_read_without_torch(tmp_path):
    sealed(tmp_path)
    code = (
        "import sys; from pathlib import Path; from benchmarks.data import truth; folder = Path(sys.argv[1])\n"
        "print(len(truth.read_truth(folder)), len(truth.read_sets(folder)), truth.read_target(folder))\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["4", "5", "None"]
    assert truth.read_sets(tmp_path)["test"].labels is not None


PEAK = """
import resource, sys
from pathlib import Path
import torch, threading
from benchmarks.data import Affine, Images
from benchmarks.data.sealed import seal

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))

def make(seed):  # above 32 MiB, from where on the allocator gives memory back at once
    return Images(torch.randint(0, 256, (12000, 3, 32, 32), dtype=torch.uint8), torch.zeros(12000).long(), ())

small = Images(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), torch.zeros(2).long(), ())
one = torch.ones(1)
sets = [(f"set{i}", lambda i=i: make(i)) for i in range(5)]
seal(Path(sys.argv[1]), {"train": small, "validation": small}, sets[:1], Affine(one, one), 0)
before, peak, done = resident(), 0, threading.Event()

def watch():
    global peak
    while not done.wait(0.002):
        peak = max(peak, resident())

watcher = threading.Thread(target=watch)
watcher.start()
seal(Path(sys.argv[1]), {"train": small, "validation": small}, sets, Affine(one, one), 0)
done.set()
watcher.join()
print((peak - before) / (12000 * 3 * 32 * 32))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads its own memory from /proc")
def test_sealing_holds_little_more_than_one_set_in_memory(tmp_path):
    command = [sys.executable, "-c", PEAK, tmp_path]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=True)
    assert float(done.stdout) <= 2.5  # of the five


def hashes(examples: Examples) -> tuple[str, str | None]:
    return examples.inputs_sha256, examples.labels_sha256


def test_a_cache_that_cannot_be_written_to_is_named_with_what_to_do(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("IVI_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="/file/tasks: Not a directory; name another folder in IVI_CACHE"):
        prepare(load_task("digits-mlp"))


PREPARE = """
from benchmarks.prepare import prepare
from benchmarks.suite import load_task

if __name__ == "__main__":
    print(prepare(load_task("digits-mlp"), print).content)
"""


def test_processes_that_prepare_a_task_at_once_seal_it_once_and_take_nothing_from_each_other(tmp_path: Path) -> None:
    """Two suites begun together: sealing removes what is there, and the other's first fit found nothing."""
    program = tmp_path / "program.py"
    program.write_text(PREPARE)
    surroundings = os.environ | {"PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen([sys.executable, program], env=surroundings, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [line for one in started for line in one.communicate(timeout=120)[0].splitlines()]
    assert all(one.returncode == 0 for one in started)
    assert said.count("task digits-mlp: reading the data, once") == 1
    assert len(said) == 5 and len(set(said)) == 2
