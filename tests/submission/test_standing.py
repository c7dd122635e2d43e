"""What the board says of a submitted row, in every view; challenges and withdrawals stay, nothing is deleted."""

import base64
import csv
import json
import re
import shutil
import zlib

import pytest
from commands import ivi
from forging import METHOD, Forger

from benchmarks.submission.publish import pull_request
from benchmarks.submission.reviewing import RECORDS, reviewed
from leaderboard.record import RecordError
from leaderboard.results import load_results
from leaderboard.submission.board import with_submissions
from leaderboard.submission.findings import Finding, Verdict
from leaderboard.submission.report import as_json, as_markdown, lines
from leaderboard.submission.standing import keep_review, notes, reviews, standing
from leaderboard.views.site.build import build


@pytest.fixture
def place(tmp_path):
    """A board of its own: the published smoke rows and one submission beside them."""
    shutil.copytree(RECORDS / "smoke", tmp_path / "records" / "smoke")
    return tmp_path


@pytest.fixture
def bundle(place):
    """The submission."""
    return Forger(place / "submissions").bundle


def code_of_the_board():
    return load_results(RECORDS / "smoke").results[0].code


def row(place, task="digits-mlp"):
    done = ivi("table", "smoke", "--folder", place / "records" / "smoke", "-f", "json")
    return next(one for one in json.loads(done.stdout)["rows"] if (one["method"], one["task"]) == (METHOD, task))


def kept(bundle, state, code=None):
    keep_review(bundle, Verdict(state, ()), code or code_of_the_board(), "a machine", None)


def test_a_submitted_row_is_claimed_until_it_is_reviewed_and_ranked_once_it_was_rerun(place, bundle):
    found = row(place)
    assert (found["state"], found["ranked"], found["n"]) == ("claimed", False, 2)
    assert "A. Stranger (MIT)" in found["notes"][0]
    kept(bundle, "recomputed")
    found = row(place)
    assert (found["state"], found["ranked"]) == ("recomputed", False)
    assert "not yet re-run" in found["reason"]
    kept(bundle, "rerun")
    found = row(place)
    assert (found["state"], found["ranked"], found["reason"]) == ("rerun", True, "")
    assert row(place, "diabetes-mlp")["ranked"]


def test_what_a_review_notes_of_costs_stands_beside_the_row(place, bundle):
    note = Finding("cost", "note", "digits-mlp", "3.1 s of processor time beside its timed fit", "inside of fit")
    keep_review(bundle, Verdict.of([note], "rerun"), code_of_the_board(), "a machine", None)
    found = row(place)
    assert found["ranked"] and any("beside its timed fit" in one for one in found["notes"])


def test_a_review_speaks_of_what_was_reviewed_and_of_nothing_else(bundle):
    kept(bundle, "rerun")
    assert standing(bundle).state == "rerun"
    (bundle / "log.txt").write_text("another word")
    assert standing(bundle)[:2] == ("claimed", "changed since it was reviewed")


def test_a_row_that_was_reviewed_under_other_code_than_the_boards_is_stale(place, bundle):
    kept(bundle, "rerun", "0" * 64)
    found = row(place)
    assert (found["state"], found["ranked"]) == ("stale", False)


def test_a_review_that_doubts_leaves_the_row_claimed_with_the_reason(place, bundle):
    doubt = Finding("rerun", "doubt", "records", "fresh seeds are worse", "mend it")
    keep_review(bundle, Verdict.of([doubt], "rerun"), code_of_the_board(), "a machine", None)
    assert row(place)["reason"] == "claimed: fresh seeds are worse"


def test_a_challenge_stands_until_it_is_answered_and_its_evidence_is_kept(place, bundle):
    kept(bundle, "rerun")
    evidence = RECORDS / "smoke" / "smoke.plan.json"
    ivi("challenge", bundle, "--reason", "I get other numbers", "--who", "B. Reader", "--evidence", evidence)
    found = row(place)
    assert (found["state"], found["ranked"]) == ("challenged", False)
    assert "I get other numbers" in found["reason"]
    assert (bundle / "challenges" / "0001" / evidence.name).read_bytes() == evidence.read_bytes()
    ivi("challenge", bundle, "--reason", "another version of torch", "--who", "us", "--answers", "0001.json")
    assert row(place)["state"] == "rerun" and len(notes(bundle / "challenges")) == 2
    assert "no challenge 0009.json" in ivi(
        "challenge", bundle, "--reason", "x", "--who", "us", "--answers", "0009.json", code=2
    ).stderr  # fmt: skip


def test_a_withdrawn_row_stays_visible_and_is_never_ranked_again(place, bundle):
    kept(bundle, "rerun")
    ivi("withdraw", bundle, "--reason", "a bug in my code", "--who", "A. Stranger")
    kept(bundle, "rerun")
    found = row(place)
    assert (found["state"], found["ranked"], found["n"]) == ("withdrawn", False, 2)
    assert "a bug in my code" in found["reason"]


def test_a_row_of_ours_can_be_challenged_too(place):
    records = place / "records" / "smoke"
    ivi("challenge", records, "--row", "kl_vi", "--reason", "its prior was tuned", "--who", "B. Reader")
    done = json.loads(ivi("table", "smoke", "--folder", records, "-f", "json").stdout)
    states = {(one["task"], one["method"]): one["state"] for one in done["rows"]}
    assert sorted(set(states.values())) == ["challenged", "own"]
    assert {method for (_, method), state in states.items() if state == "challenged"} == {"kl_vi"}
    assert "did you mean" in ivi("challenge", records, "--row", "klvi", "--reason", "x", "--who", "y", code=2).stderr


@pytest.mark.parametrize("form", ["terminal", "md", "csv", "latex", "json"])
def test_the_state_stands_in_every_view(place, bundle, form):
    kept(bundle, "rerun")
    text = ivi("table", "smoke", "--folder", place / "records" / "smoke", "-f", form).stdout
    assert "rerun" in text and "state" in text


def test_a_board_without_submissions_has_no_column_of_states(place):
    assert "state" not in ivi("table", "smoke", "--folder", place / "records" / "smoke", "-f", "md").stdout


def test_maps_of_strangers_are_no_rows_and_no_second_attempts_of_ours(place, bundle):
    ours = load_results(place / "records" / "smoke").results
    whole, findings = with_submissions(ours, place / "records" / "smoke")
    assert findings == [] and len(whole) == len(ours) + 4
    assert {one.label for one in whole[len(ours) :]} == {METHOD}
    assert all(len(one.beside) == 2 for one in whole[len(ours) :])


def test_a_bundle_that_cannot_be_read_is_named_and_the_rest_is_shown(place, bundle):
    (bundle / "manifest.json").write_text("{")
    done = ivi("table", "smoke", "--folder", place / "records" / "smoke", "-f", "json")
    assert "manifest.json" in done.stderr
    assert METHOD not in done.stdout


HOSTILE = [
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "a|b|c",
    "\x1b[2Jall ok",
    "\u202egnp.exe",
    "\\input{/etc/passwd}",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_words_of_an_author_are_inert_in_every_view(place, name, board):
    forger = Forger(place / "submissions")
    forger.edit(forger.bundle / "manifest.json", lambda data: data.update(author=name, tuning=name, citation=name))
    bundle = forger.done()
    verdict = reviewed(bundle, board)
    assert verdict.state != "refused"
    text = pull_request(bundle, verdict)
    assert not set(text) & set("\x1b\u202e") and "<script" not in text and "a|b|c" not in text
    ivi("challenge", bundle, "--reason", name, "--who", name)
    for form in ("terminal", "md", "csv", "latex", "json"):
        text = ivi("table", "smoke", "--folder", place / "records" / "smoke", "-f", form).stdout
        assert "<script>" not in text or form in ("csv", "terminal", "latex")
        assert "\x1b" not in text and "\u202e" not in text
        if form == "md":
            assert "<script" not in text and "a|b|c" not in text
        if form == "latex":
            cells = [line for line in text.splitlines() if not line.startswith("%")]
            assert not any("\\input" in line for line in cells)
        if form == "csv":
            assert not any(cell.startswith(("=", "+", "@")) for row in csv.reader(text.splitlines()) for cell in row)


@pytest.mark.parametrize("name", [*HOSTILE, "MAP", "map", "mаp", "m\u200bap", "..", "/abs", ""])
def test_hostile_names_of_methods_are_refused(forger, board, name):
    def change(data):
        data["method"]["name"] = name

    forger.edit(forger.bundle / "manifest.json", change)
    try:
        bundle = forger.done()
    except RecordError:
        bundle = forger.bundle
    assert reviewed(bundle, board).state == "refused"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_in_a_record_is_inert_in_a_report(forger, board, name):
    path = forger.path()
    forger.edit(path, lambda data: data.update(status="failed", predictions=None, error={"reason": name}))
    for suffix in (".safetensors", ".scores.json"):
        path.with_suffix(suffix).unlink()
    verdict = reviewed(forger.done(), board)
    whole = "\n".join(lines(verdict)) + as_markdown("x/1", verdict) + json.dumps(as_json("x/1", verdict))
    assert "\x1b" not in whole and "\u202e" not in whole
    assert "<script" not in as_markdown("x/1", verdict) and "a|b" not in as_markdown("x/1", verdict)


def test_reviews_are_numbered_and_none_is_written_over(bundle):
    kept(bundle, "claimed")
    kept(bundle, "rerun")
    assert [one.state for one in reviews(bundle)] == ["claimed", "rerun"]


def test_a_submitted_row_is_on_the_site_with_its_state_and_its_words_are_text(place, bundle, tmp_path):
    forger = Forger(tmp_path / "again" / "submissions")
    words = "".join(HOSTILE)
    forger.edit(forger.bundle / "manifest.json", lambda data: data.update(author=words))
    shutil.rmtree(bundle)
    shutil.copytree(forger.done(), bundle)
    kept(bundle, "rerun")
    build(place / "records" / "smoke", tmp_path / "site")
    (page,) = (tmp_path / "site" / "runs").glob(f"smoke-digits-mlp-{METHOD}-*.html")
    whole = "".join(path.read_text() for path in (tmp_path / "site").rglob("*.html"))
    held = re.search(r'id="data">(.*?)</script>', (tmp_path / "site" / "board.html").read_text())
    assert held and METHOD.encode() in zlib.decompress(base64.b64decode(held[1]))
    assert "trained again on the maintainers" in page.read_text()
    assert "<script>alert" not in whole and not set(whole) & set("\x1b\u202e")
