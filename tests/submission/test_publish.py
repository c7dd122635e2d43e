"""A bundle's way out: what is asked, one commit on a branch of its own, and the text of a pull request."""

import json
import subprocess

import pytest
from commands import ivi
from forging import BUNDLE, METHOD, Forger

from benchmarks.submission.publish import committed, pull_request
from benchmarks.submission.reviewing import reviewed

OPTIONS = ("--author", "A. Stranger", "--tuning", "nothing")
SOURCE = BUNDLE / "source" / f"{METHOD}.py"


def git(root, *arguments):
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def root(tmp_path):
    """A checkout with a bundle that git does not know yet, and a staged change that is nobody's business."""
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "config", "user.name", "A. Stranger")
    git(tmp_path, "config", "user.email", "a@example.org")
    (tmp_path / "README.md").write_text("a board")
    git(tmp_path, "add", "README.md")
    git(tmp_path, "commit", "-qm", "A board")
    (tmp_path / "staged").write_text("work in progress")
    git(tmp_path, "add", "staged")
    Forger(tmp_path / "leaderboard" / "submissions")
    return tmp_path


def test_the_commit_holds_the_bundle_alone_and_the_checkout_stays_as_it_was(root):
    bundle = root / "leaderboard" / "submissions" / METHOD / "1"
    before = git(root, "rev-parse", "HEAD")
    assert committed(bundle, root) == f"submission/{METHOD}/1"
    changed = git(root, "diff", "--name-only", "HEAD", f"submission/{METHOD}/1").splitlines()
    there = {path.relative_to(root).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert set(changed) == there
    assert git(root, "rev-parse", "HEAD") == before and git(root, "branch", "--show-current") == "main"
    assert git(root, "diff", "--cached", "--name-only") == "staged"


def test_a_folder_that_is_no_checkout_has_no_branch(tmp_path):
    assert committed(Forger(tmp_path).bundle, tmp_path) is None


def test_the_text_of_a_pull_request_has_the_table_and_the_verdict(forger, board):
    text = pull_request(forger.bundle, reviewed(forger.bundle, board))
    assert f"# {METHOD} 1 on smoke" in text and "recomputed" in text
    assert f"| {METHOD}" in text and "| map |" in text and "**diabetes-mlp**" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("map", "--licence", "MIT", *OPTIONS), "is built in"),
        (("nobody", "--licence", "MIT", *OPTIONS), "unknown method"),
        ((f"{SOURCE}:LastLayerEnsemble", *OPTIONS), "--licence is missing"),
        ((f"{SOURCE}:LastLayerEnsemble", "--licence", "MIT", "--author", "A"), "--tuning is missing"),
        ((f"{SOURCE}:LastLayerEnsemble", "--licence", "MIT", "--suite", "smok", *OPTIONS), "did you mean"),
        ((f"{SOURCE}:LastLayerEnsemble", "--licence", "MIT", "--suite", "paper", *OPTIONS), "no table of truth"),
        ((f"{SOURCE}:LastLayerEnsemble", "--licence", "MIT", "--suite", "a.toml", *OPTIONS), "comes with the program"),
        ((f"{SOURCE}:LastLayerEnsemble", "--licence", "<script>", "--suite", "smoke", *OPTIONS), "licence"),
        ((f"{SOURCE}:LastLayerEnsemble", "--licence", "MIT", "--link", "javascript:x", *OPTIONS), "link"),
        ((f"{SOURCE}:LastLayerEnsemble", "--licence", "MIT", "--version", "../1", *OPTIONS), "version"),
    ],
)
def test_what_is_missing_or_wrong_is_said_in_a_line_before_anything_is_computed(tmp_path, arguments, said):
    done = ivi("submit", *arguments, cwd=tmp_path, code=2)
    assert said in done.stderr and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_review_of_nothing_is_an_error_in_a_line(tmp_path):
    assert "no such bundle" in ivi("review", tmp_path / "none", code=2).stderr


def test_several_bundles_are_reviewed_at_once_each_with_its_own_verdict(tmp_path):
    good, bad = (Forger(tmp_path / name).bundle for name in ("good", "bad"))
    (bad / "log.txt").write_text("another word")
    found = json.loads(ivi("review", bad, good, "--no-rerun", "--json", code=1).stdout)
    assert [one["state"] for one in found] == ["refused", "recomputed"]


@pytest.mark.slow
def test_a_file_becomes_a_bundle_that_a_review_recomputes(tmp_path):
    arguments = ("submit", f"{SOURCE}:LastLayerEnsemble", "--suite", "smoke", "--licence", "MIT", *OPTIONS)
    ivi(*arguments, "--dry-run", cwd=tmp_path)
    assert not (tmp_path / "subs").exists()
    done = ivi(*arguments, "--to", "subs", "--archive", "a.zip", cwd=tmp_path)
    assert "### last&#95;layer&#95;ensemble/1" in done.stdout or f"### {METHOD}/1" in done.stdout
    found = ivi("review", "subs/last_layer_ensemble/1", "a.zip", "--no-rerun", "--json", cwd=tmp_path, code=None)
    verdicts = json.loads(found.stdout)
    doubts = {one["what"] for verdict in verdicts for one in verdict["findings"]}
    assert [one["state"] for one in verdicts] == 2 * ["claimed" if doubts else "recomputed"]
    assert doubts <= {"is of another MAP than the published one"}  # where the board was made by older code
    assert "is there already" in ivi(*arguments, "--to", "subs", cwd=tmp_path, code=2).stderr
