"""Predictions that are kept outside of a folder of records are fetched by their hash and recomputed like all others."""

import subprocess
import sys
from pathlib import Path

import pytest
from builders import kept, predictions

import leaderboard
from leaderboard.columns import column
from leaderboard.compare import compare_methods
from leaderboard.elsewhere import ADDRESS, HISTORY, move
from leaderboard.rescore import rescore
from leaderboard.results import load_results
from leaderboard.rows import groups_of
from leaderboard.scores import scores_path
from leaderboard.shelf import PREDICTIONS, above, beside, read_all
from leaderboard.submission.rivals import Published
from leaderboard.table import Line
from leaderboard.verify import verify
from leaderboard.views.drawing import draw
from leaderboard.views.site.pictures import of_predictions


@pytest.fixture
def board(tmp_path):
    """A folder of two records and, beside it, the place where their predictions went."""
    folder, place = tmp_path / "records", tmp_path / "far" / "away"
    for seed in range(2):
        kept(folder, "map", seed, sets=sets(seed))
    assert move(folder, place) == 2 and not list(folder.rglob(f"*{PREDICTIONS}"))
    (folder / ADDRESS).write_text('address = "../far/away/{sha256}.safetensors"\n')
    return folder


def sets(seed):
    return {"validation": predictions(seed), "test": predictions(seed + 50)}


def fetched(folder, tmp_path):
    return verify(folder, keep=tmp_path / "cache")


def test_they_are_counted_and_recomputed_only_when_asked_for(board, tmp_path):
    report = verify(board)
    assert (report.findings, report.recomputed, report.elsewhere, report.lost) == ([], 0, 2, 0)
    report = fetched(board, tmp_path)
    assert (report.findings, report.recomputed, report.elsewhere) == ([], 2, 0)


def test_what_was_fetched_once_is_not_fetched_again(board, tmp_path):
    fetched(board, tmp_path)
    for file in (tmp_path / "far" / "away").iterdir():
        file.unlink()
    assert fetched(board, tmp_path).recomputed == 2


def test_an_address_may_be_a_url(board, tmp_path):
    (board / ADDRESS).write_text(f'address = "{(tmp_path / "far").as_uri()}/away/{{sha256}}.safetensors"\n')
    report = fetched(board, tmp_path)
    assert (report.findings, report.recomputed) == ([], 2)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda file: file.unlink(), "cannot be read from"),
        (lambda file: file.write_bytes(file.read_bytes() + b"0"), "is longer than"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1] + b"0"), "is not the predictions"),
    ],
    ids=["not there", "too long", "changed"],
)
def test_predictions_that_are_not_the_records_are_named_and_not_kept(board, tmp_path, spoil, said):
    shelf = read_all(board)
    sha = shelf.records[0].predictions.sha256
    file = tmp_path / "far" / "away" / f"{sha}{PREDICTIONS}"
    right = file.read_bytes()
    spoil(file)
    (finding,) = fetched(board, tmp_path).findings
    assert finding.kind == "missing" and said in finding.problem
    file.write_bytes(right)
    assert fetched(board, tmp_path).findings == []


@pytest.mark.parametrize("text", ["address = 3\n", 'address = "no hash"\n', "address", ""])
def test_an_address_that_is_none_is_named_with_the_line_that_would_be_right(board, text):
    (board / ADDRESS).write_text(text)
    findings = verify(board).findings
    assert len(findings) == 2 and all(ADDRESS in one.problem for one in findings)


def test_without_an_address_they_are_missing(board):
    (board / ADDRESS).unlink()
    assert {one.kind for one in verify(board).findings} == {"missing"}


def test_files_above_a_board_do_not_speak_of_it(tmp_path):
    """A stray file in a folder that others write to would hide that predictions are missing."""
    far = tmp_path / "tmp"
    path = kept(far / "a" / "b" / "records", "map", 0, sets=sets(0))
    beside(path, PREDICTIONS).unlink()
    for folder, spoken in ((far, {"missing"}), (far / "a" / "b", set())):
        (folder / ADDRESS).write_text(f'address = "{HISTORY}"\n')
        assert {one.kind for one in verify(far / "a" / "b" / "records").findings} == spoken
    assert [one.name for one in above(path)] == ["map", "task", "records", "b"]


def test_only_the_predictions_that_a_record_names_are_moved(tmp_path):
    path = kept(tmp_path / "records", "map", 0, sets=sets(0))
    beside(path, PREDICTIONS).write_bytes(b"of something else")
    command = [sys.executable, "-m", "leaderboard.elsewhere", str(tmp_path / "records"), "--to", str(tmp_path / "to")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("0 files moved") and beside(path, PREDICTIONS).exists()


def in_history(tmp_path):
    """A repository whose last commit has taken the predictions out, and says that its history has them."""
    repository = tmp_path / "repository"
    folder = repository / "records"
    paths = [kept(folder, "map", seed, sets=sets(seed)) for seed in range(2)]
    (folder / ADDRESS).write_text(f'address = "{HISTORY}"\n')
    git(repository, "init", "-q")
    commit(repository)
    for path in paths:
        beside(path, PREDICTIONS).unlink()
    commit(repository)
    return repository, paths


def git(repository, *arguments):
    who = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
    subprocess.run(["git", *who, "-C", str(repository), *arguments], check=True, capture_output=True)


def commit(repository):
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "As it is")


def test_what_the_clones_history_holds_is_recomputed_unasked(tmp_path):
    repository, _ = in_history(tmp_path)
    report = verify(repository / "records")
    assert (report.findings, report.recomputed, report.elsewhere) == ([], 2, 0)


def read_by(name, records, tmp_path):
    """What one of those who read predictions makes of two runs of a row; nothing where it has not found them."""
    results = load_results(records).results
    groups = groups_of(results)
    if name == "compare":
        ((one,), _) = compare_methods(groups, ("map", "map"), column("nll", results))
        return one.items
    if name == "figures":
        return [file for file in draw(groups, [], tmp_path / "figures")[0] if file.stem == "reliability"]
    if name == "site":
        return of_predictions(Line(groups[0], {}, None))
    if name == "score":
        scores_path(Path(results[0].file)).unlink()
        return rescore(records).written
    published = Published.of(records)
    return [found for path, _ in published.runs("task") if (found := published.answers(path)) is not None]


@pytest.mark.parametrize("name", ["compare", "figures", "site", "score", "search for copies"])
def test_whoever_reads_predictions_finds_those_of_the_clones_history(tmp_path, name):
    repository, _ = in_history(tmp_path)
    assert read_by(name, repository / "records", tmp_path)
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth=1", repository.as_uri(), str(shallow)], check=True)
    assert not read_by(name, shallow / "records", tmp_path / "without")


def test_only_who_checks_files_opens_those_beside_records():
    """All others ask for what is at hand, so that none is blind where predictions lie in the history."""
    root = Path(leaderboard.__file__).parent
    opening = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if "predictions.is_file(" in (text := path.read_text()) or "load_predictions(" in text
    }
    assert opening == {"predictions.py", "checks.py", "views/site/runs.py"}


def test_of_several_contents_that_a_file_had_the_records_own_is_taken(tmp_path):
    repository, paths = in_history(tmp_path)
    beside(paths[0], PREDICTIONS).write_bytes(b"another")
    commit(repository)
    beside(paths[0], PREDICTIONS).unlink()
    commit(repository)
    assert verify(repository / "records").recomputed == 2


def test_a_clone_without_history_counts_them_as_elsewhere_and_says_what_to_type_when_asked(tmp_path):
    repository, _ = in_history(tmp_path)
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth=1", repository.as_uri(), str(shallow)], check=True)
    report = verify(shallow / "records")
    assert (report.findings, report.recomputed, report.elsewhere, report.lost) == ([], 0, 2, 0)
    findings = fetched(shallow / "records", tmp_path).findings
    assert len(findings) == 2 and all("git fetch --unshallow" in one.problem for one in findings)


def test_what_a_history_that_was_made_one_commit_has_lost_is_counted_as_lost(tmp_path):
    repository, _ = in_history(tmp_path)
    git(repository, "checkout", "-q", "--orphan", "one")
    commit(repository)
    report = verify(repository / "records")
    assert (report.findings, report.elsewhere, report.lost) == ([], 2, 2)
    assert any("are in no commit of it" in line for line in report.lines())


def test_a_folder_that_is_no_clone_has_no_history(tmp_path):
    folder = tmp_path / "records"
    beside(kept(folder, "map", 0, sets=sets(0)), PREDICTIONS).unlink()
    (folder / ADDRESS).write_text(f'address = "{HISTORY}"\n')
    assert verify(folder).elsewhere == 1
    (finding,) = fetched(folder, tmp_path).findings
    assert finding.kind == "missing" and "git" in finding.problem
