"""A stranger's row: the bundle that carries it, and what a machine can say of one without running its method."""

from leaderboard.submission.findings import Finding, Verdict
from leaderboard.submission.review import review

__all__ = ["Finding", "Verdict", "review"]
