"""What a review says to people: each thing once, with all of its places counted; programs get every finding."""

from leaderboard.submission.findings import Finding, Verdict
from leaderboard.submission.report import as_json, as_markdown, lines


def test_what_is_found_of_every_seed_is_said_once_and_kept_whole_for_programs():
    notes = [Finding("recipe", "note", f"records/{seed}.json", "changes the recipe", "it stands") for seed in range(10)]
    verdict = Verdict.of([*notes, Finding("recipe", "note", "records/9.json", "another", "it stands")], "recomputed")
    assert lines(verdict)[1:] == [
        "  note (recipe) records/0.json and 9 more: changes the recipe", "    it stands",
        "  note (recipe) records/9.json: another", "    it stands",
    ]  # fmt: skip
    assert as_markdown("swa", verdict).count("changes the recipe") == 1
    assert len(as_json("swa", verdict)["findings"]) == 11
