"""The decoded cache: read back as written, never trusted when damaged, decoded once however many ask."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.data import DataError, Images
from benchmarks.data.cache import cache_folder, cached, entry_path


def images(seed: int = 0, labelled: bool = True) -> Images:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (50, 1, 8, 8), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 3, (50,), generator=generator) if labelled else None
    return Images(pixels, labels, ("a", "b", "c"))


def refuse() -> Images:
    raise AssertionError("decoded although it is in the cache")


@pytest.mark.parametrize("labelled", [True, False])
def test_what_is_written_is_read_back_without_decoding(labelled):
    first = cached("set", "train", "key", lambda: images(labelled=labelled), Images)
    again = cached("set", "train", "key", refuse, Images)
    assert again.fingerprint == first.fingerprint == images(labelled=labelled).fingerprint
    assert again.classes == ("a", "b", "c")
    assert (again.labels is not None) == labelled


def test_another_key_is_another_entry():
    cached("set", "train", "key", images, Images)
    assert cached("set", "train", "other", lambda: images(1), Images).fingerprint == images(1).fingerprint
    assert cached("set", "test", "key", lambda: images(2), Images).fingerprint == images(2).fingerprint


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_noticed_and_the_entry_decoded_again(place, bit):
    cached("flipped", "train", "key", images, Images)
    path = entry_path("flipped", "train", "key")
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[int(place * len(whole))] ^= 1 << bit
    replace(path, bytes(damaged))
    again = cached("flipped", "train", "key", images, Images)
    assert again.fingerprint == images().fingerprint and again.classes == images().classes


@pytest.mark.parametrize("part", [0, 4, 0.5, 0.99])
def test_a_file_cut_short_is_noticed_and_the_entry_decoded_again(part):
    cached("set", "train", "key", images, Images)
    path = entry_path("set", "train", "key")
    whole = path.read_bytes()
    replace(path, whole[: part if part in (0, 4) else int(part * len(whole))])
    assert cached("set", "train", "key", images, Images).fingerprint == images().fingerprint


def test_a_decoder_that_fails_leaves_nothing_behind():
    with pytest.raises(RuntimeError, match="no luck"):
        cached("set", "train", "key", fail, Images)
    assert not list(cache_folder().rglob("*.safetensors")) and not list(cache_folder().rglob("*.tmp"))
    assert cached("set", "train", "key", images, Images).fingerprint == images().fingerprint


def test_a_cache_that_cannot_be_written_to_is_one_line_with_the_mend(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("IVI_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="decoded data cannot be kept in .*; set IVI_CACHE to a folder") as caught:
        cached("set", "train", "key", images, Images)
    assert len(str(caught.value).splitlines()) == 1


def fail() -> Images:
    raise RuntimeError("no luck")


def replace(path: Path, content: bytes) -> None:
    """As another program would: a new file in place of the mapped one."""
    temporary = path.with_suffix(".new")
    temporary.write_bytes(content)
    temporary.replace(path)


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("IVI_CACHE", str(tmp_path / "there"))
    assert cache_folder() == tmp_path / "there"
    monkeypatch.delenv("IVI_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert cache_folder() == tmp_path / "ivi"


DECODE = """
import logging, multiprocessing, os
from benchmarks.data import load

def ask(barrier):
    decoded = []
    logging.getLogger("benchmarks.data.cache").setLevel(logging.INFO)
    logging.getLogger("benchmarks.data.cache").addFilter(lambda record: decoded.append(record) or True)
    barrier.wait()
    os.write(1, f"{load('faces', 'all').fingerprint} {len(decoded)}\\n".encode())

context = multiprocessing.get_context("fork")
barrier = context.Barrier(8)
running = [context.Process(target=ask, args=(barrier,)) for _ in range(8)]
for process in running:
    process.start()
for process in running:
    process.join()
    assert process.exitcode == 0
"""


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_eight_processes_that_ask_at_once_decode_once(own_cache):
    done = subprocess.run([sys.executable, "-c", DECODE], capture_output=True, text=True, check=True, timeout=120)
    answers = [line.split() for line in done.stdout.splitlines()]
    assert sorted(decoded for _, decoded in answers) == ["0"] * 7 + ["1"]
    assert len({fingerprint for fingerprint, _ in answers}) == 1


PEAK = """
import resource, sys, threading
import torch, datasets, PIL.Image
from benchmarks.data import load
load("digits", "all")

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))

before, peak, done = resident(), 0, threading.Event()

def watch():
    global peak
    while not done.wait(0.002):
        peak = max(peak, resident())

watcher = threading.Thread(target=watch)
watcher.start()
images = load("fashion_mnist", "train")
done.set()
watcher.join()
print((peak - before) / images.pixels.nbytes)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads its own memory from /proc")
@pytest.mark.skipif(not Path("/usr/share/datasets/fashion-mnist").is_dir(), reason="needs dataset-fashion-mnist")
def test_decoding_takes_at_most_one_and_a_half_times_the_memory_of_the_set(own_cache):
    done = subprocess.run([sys.executable, "-c", PEAK], env=os.environ, capture_output=True, text=True, check=True)
    assert float(done.stdout) <= 1.5
