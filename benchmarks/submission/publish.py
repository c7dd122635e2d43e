"""A bundle on its way: a branch with one commit, and the text of a pull request. Nothing is sent anywhere."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from baselines.names import UserError
from benchmarks.measure.environment import ROOT
from leaderboard.columns import columns
from leaderboard.cost import read_costs
from leaderboard.results import load_results
from leaderboard.submission import Verdict
from leaderboard.submission.board import shown_with
from leaderboard.submission.manifest import read_manifest
from leaderboard.submission.report import as_markdown
from leaderboard.table import fold
from leaderboard.views import markdown
from leaderboard.views.markdown import escaped


def git_user() -> str | None:
    """The name that git knows its user by."""
    try:
        done = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


def committed(bundle: Path, root: Path = ROOT) -> str | None:
    """Commit the bundle on a branch of its own and return the branch; None where ``root`` is no checkout.

    The checkout stays on its branch, and what is staged there stays as it is.

    Raises:
        UserError: git refuses; its words are passed on.
    """
    if not (root / ".git").exists() or root.resolve() not in bundle.resolve().parents:
        return None
    manifest = read_manifest(bundle)
    branch = f"submission/{manifest.method.folder.as_posix()}"
    place = bundle.resolve().relative_to(root.resolve()).as_posix()
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        _git(root, ["read-tree", "HEAD"], index)
        _git(root, ["add", "--force", "--", place], index)
        tree = _git(root, ["write-tree"], index)
    message = f"Submit {manifest.method.label} {manifest.method.version} to {manifest.suite}"
    commit = _git(root, ["commit-tree", tree, "-p", "HEAD", "-m", message])
    _git(root, ["branch", "--force", branch, commit])
    return branch


def _git(root: Path, arguments: list[str], more: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=root, env=os.environ | (more or {}), capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason"])[-1]
        raise UserError(f"git {arguments[0]}: {said}; commit the bundle yourself, or use --archive")
    return done.stdout.strip()


def pull_request(bundle: Path, verdict: Verdict) -> str:
    """The text of a pull request: what is submitted, the table with it, what a review by its files found."""
    manifest = read_manifest(bundle)
    facts = {
        "author": manifest.author,
        "licence": manifest.licence,
        "link": manifest.link,
        "citation": manifest.citation,
        "tuned": manifest.tuning,
        "source": f"{len(manifest.source.files)} files, SHA-256 {manifest.source.sha256[:12]}",
    }
    text = [f"# {escaped(manifest.method.label)} {manifest.method.version} on {manifest.suite}", ""]
    text += [f"- {name}: {escaped(value)}" for name, value in facts.items() if value]
    return "\n".join(
        [*text, "", _table(bundle, manifest.suite), "", as_markdown(manifest.method.folder.as_posix(), verdict)]
    )


def _table(bundle: Path, suite: str) -> str:
    """The published rows of the suite, if there are any, with this one."""
    folder = ROOT / "leaderboard" / "records" / suite
    ours, costs = load_results(folder).results, read_costs(folder).records
    results = shown_with(ours, [bundle], alone=not ours)
    parts = []
    for task in dict.fromkeys(one.task for one in results):
        mine = [one for one in results if one.task == task]
        parts.append(
            f"**{escaped(task)}**\n\n{markdown.as_markdown(fold(mine, chosen=columns(None, mine), costs=costs))}"
        )
    return "\n\n".join(parts)
