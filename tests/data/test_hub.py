"""The hub, without a network: a stand-in on the loopback interface serves a table with the schema of CIFAR-10."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SOURCE = """
    [[sources]]
    kind = "hub"
    repo = "{repo}"
    revision = "{revision}"
    """
LOAD = """
import sys
from benchmarks.data import DataError, load
try:
    images = load(sys.argv[1], sys.argv[2])
    print(len(images), images.shape, images.fingerprint, images.labels.tolist())
except DataError as error:
    print("DataError:", error)
"""


@pytest.fixture
def load_from_hub(tmp_path: Path, hub, write_spec):
    """(repo, revision, url) -> what a new process says that loads it; the library reads its settings at import."""

    def load(repo: str = "uoft-cs/cifar10", revision: str = COMMIT, url: str = "") -> str:
        spec = write_spec(SOURCE.format(repo=repo, revision=revision))
        environment = os.environ | {
            "HF_ENDPOINT": url or hub.url,
            "HF_HOME": str(tmp_path / "hf"),
            "NO_PROXY": "127.0.0.1",
        }
        environment |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"}
        environment.pop("HF_HUB_OFFLINE", None)
        done = subprocess.run(
            [sys.executable, "-c", LOAD, spec, "test"], env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return load


def test_a_set_from_the_hub_is_downloaded_once_and_then_needs_no_request(hub, load_from_hub):
    first = load_from_hub()
    assert first.startswith("10 (3, 32, 32) ") and first.endswith(str(list(range(10))))
    assert any(request.endswith(".parquet") for request in hub.requests)
    hub.requests.clear()
    assert load_from_hub() == first
    assert hub.requests == []


def test_the_revision_of_the_spec_is_the_one_that_is_asked_for(hub, load_from_hub):
    load_from_hub(revision="fedcba9876543210fedcba9876543210fedcba98")
    assert any("fedcba9876543210" in request for request in hub.requests)


@pytest.mark.slow  # the library tries again for a while
def test_a_broken_download_is_one_line_and_the_next_try_is_whole(hub, load_from_hub):
    hub.broken = True
    assert_one_line(load_from_hub(), "uoft-cs/cifar10@0123456")
    hub.broken = False
    assert load_from_hub().startswith("10 (3, 32, 32) ")


@pytest.mark.slow  # likewise
def test_a_hub_that_is_down_is_one_line(load_from_hub):
    said = load_from_hub(url="http://127.0.0.1:9")
    assert_one_line(said, "uoft-cs/cifar10@0123456")
    assert "$IVI_DATA/tiny" in said


def test_a_set_that_the_hub_does_not_have_is_one_line(load_from_hub):
    assert_one_line(load_from_hub(repo="uoft-cs/cifar11"), "uoft-cs/cifar11@0123456")


def assert_one_line(said: str, expected: str) -> None:
    assert said.startswith("DataError: ") and expected in said
    assert len(said.splitlines()) == 1
