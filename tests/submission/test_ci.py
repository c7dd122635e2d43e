"""What CI does with a pull request, in a repository of its own: a bundle is reviewed, nothing published may change."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from commands import ROOT
from forging import METHOD, Forger

from benchmarks.submission.reviewing import RECORDS

pytestmark = pytest.mark.slow


def git(root, *arguments):
    subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def root(tmp_path):
    """A board with the records of smoke, on main, and a branch for a pull request."""
    root = tmp_path / "board"
    shutil.copytree(RECORDS / "smoke", root / "leaderboard" / "records" / "smoke")
    (root / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "review", root / ".ci")
    git(root, "init", "-q", "-b", "main")
    git(root, "config", "user.name", "a")
    git(root, "config", "user.email", "a@example.org")
    git(root, "add", ".")
    git(root, "commit", "-qm", "A board")
    git(root, "switch", "-qc", "pull")
    return root


def reviewed(root, code):
    """The report on what was committed on the branch; the script must end with ``code``."""
    git(root, "add", ".")
    git(root, "commit", "-qm", "A pull request")
    ivi = root.parent / "ivi"
    ivi.write_text(f'#!/bin/sh\nexec {sys.executable} -P -c "from benchmarks.cli import main; main()" "$@"\n')
    ivi.chmod(0o755)
    surroundings = os.environ | {"IVI": str(ivi), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [".ci/review", "--no-rerun", "main"], cwd=root, env=surroundings, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def submit(root):
    return Forger(root / "leaderboard" / "submissions").bundle


def test_a_good_bundle_passes_and_its_report_is_printed(root):
    submit(root)
    report = reviewed(root, 0)
    assert f"## leaderboard/submissions/{METHOD}/1" in report and "recomputed" in report
    assert "every number is the same" in report


def test_a_published_number_that_changed_fails(root):
    submit(root)
    (path,) = (root / "leaderboard" / "records" / "smoke" / "digits-mlp" / "map").glob("0-*.scores.json")
    data = json.loads(path.read_text())
    data["sets"]["test"]["accuracy"] = 1.0
    path.write_text(json.dumps(data))
    report = reviewed(root, 1)
    assert "1 differ" in report and "the board's own" in report


def test_a_record_that_is_gone_fails(root):
    for path in (root / "leaderboard" / "records" / "smoke" / "digits-mlp" / "kl_vi").glob("0-*"):
        path.unlink()
    assert "Nothing on the board is ever deleted" in reviewed(root, 1)


def test_a_bundle_on_the_board_is_not_changed_by_a_pull_request(root):
    bundle = submit(root)
    git(root, "add", ".")
    git(root, "commit", "-qm", "On the board")
    git(root, "branch", "-f", "main")
    (bundle / "reviews").mkdir()
    (bundle / "reviews" / "0001.json").write_text('{"state": "rerun"}')
    assert "It is on the board already" in reviewed(root, 1)
