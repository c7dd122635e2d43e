"""What states of rows and runs mean, in words that a stranger understands."""

from __future__ import annotations

from collections.abc import Sequence

from leaderboard.results import Result

RANKING = {
    "": ("ranked", "every seed was made on the same task, device, code and packages as MAP's, so it is compared."),
    "seeds": ("incomplete", "a seed of it failed or was not run yet, so its mean would be of fewer trainings."),
    "stale": ("stale", "it was made with other code or packages than the MAP row, so a difference may be theirs."),
    "history": ("history", "it was made under earlier rules of comparison, and stands as what was found then."),
    "doubtful": ("doubtful", "something about its runs cannot be checked; the reason is given."),
    "another task": ("other task", "it was made on another version of the task than the MAP row."),
    "another device": ("other device", "it was made on another device than the MAP row."),
    "other data": ("other data", "it was made on other data than the MAP row."),
    "other rules": ("other rules", "it was made under other rules than the MAP row."),
    "no MAP": ("no MAP", "no MAP row was made beside it, so there is nothing to compare it with."),
}
"""State of a row -> badge, and what it means."""
VERIFIED = {
    "": "nothing was made yet",
    "history": "made by the maintainers under earlier rules; nobody has re-run it since",
    "own": "made by the maintainers on their own machine; nobody else has re-run it",
    "claimed": "claimed by its author; nobody else has computed it",
    "recomputed": "its numbers were computed again from the stored predictions; the training was not repeated",
    "rerun": "trained again on the maintainers' machine, with the same numbers",
    "challenged": "somebody got other numbers",
    "withdrawn": "withdrawn by its author",
    "stale": "reviewed under other code than the board's, and not again since",
}
_ORDER = ("withdrawn", "challenged", "stale", "claimed", "history", "own", "recomputed", "rerun")


def verified_state(results: Sequence[Result]) -> str:
    """The weakest that is known of who has seen the numbers of ``results``; empty without any."""
    states = {"history" if one.is_history else one.state for one in results}
    return next((state for state in _ORDER if state in states), "")
