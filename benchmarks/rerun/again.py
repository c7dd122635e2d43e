"""Run the method of a bundle again, blind, and compare with what was submitted: this file reads top to bottom. No torch
in this process."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from baselines.names import UserError
from baselines.spec import MethodSpec, parse
from benchmarks.data.spec import Builtin, Idx, Local, read_spec
from benchmarks.executors.sandboxed import SandboxedExecutor
from benchmarks.executors.wall import NoWall, Wall, find_program, hidden_data
from benchmarks.machine import cache_folder, cores
from benchmarks.measure.environment import ROOT, Stack
from benchmarks.rerun.claims import Claim, claims_of
from benchmarks.rerun.make import Workshop
from benchmarks.rerun.source import snapshot
from benchmarks.rerun.task import Rerun
from benchmarks.suite import load_task, names
from leaderboard.submission.findings import Finding, doubted, refused
from leaderboard.submission.manifest import Manifest, bundle_digest, read_manifest

MEMORY = 16 * 2**30
"""Bytes that the processes of one job may hold."""
SLOWER = 10.0
"""How many times slower than its author's machine ours may be."""
LEAST = 300.0
"""Seconds that any fit may take."""
BOARD = ROOT / "leaderboard"


@dataclass(frozen=True)
class Options:
    """How a re-run is made.

    Attributes:
        fresh: seeds that are drawn, 3 to 5; more are drawn where the first leave a doubt.
        sandbox: True: only behind a wall; False: without one; None: behind one where it can be built.
        salt: a word of the reviewer's, so that who submits cannot know the fresh seeds beforehand.
        suspects: run ids of submitted runs that are made again whatever else is.
        board: folder of published records, which say what is too good; none below it: nothing is.
    """

    fresh: int
    sandbox: bool | None
    salt: str
    suspects: Collection[str]
    board: Path


def rerun(
    bundle: Path,
    *,
    fresh: int = 3,
    sandbox: bool | None = None,
    progress: Callable[[str], None] | None = None,
    salt: str = "",
    suspects: Collection[str] = (),
    board: Path = BOARD / "records",
) -> tuple[list[Finding], dict[str, Any]]:
    """Fit and predict with the method of ``bundle`` again and say whether that agrees with what was submitted.

    Args:
        bundle: folder of a submission.
        fresh, sandbox, salt, suspects, board: as in `Options`.
        progress: told in words how far it is.

    Returns:
        Findings, and a report for JSON. ``report["complete"]``: every task of the bundle was run again; together with
        no finding above a note that is what the state ``rerun`` means.

    Raises:
        UserError: a sandbox is asked for and none can be built.
    """
    options = Options(max(2, fresh), sandbox, salt, suspects, board)
    program = None if sandbox is False else find_program()
    if sandbox and program is None:
        raise UserError("no sandbox can be built here: install bubblewrap (bwrap), or review without one")
    try:
        manifest = read_manifest(bundle)
        with _scratch(bundle) as scratch, snapshot(bundle, manifest, scratch) as spec:
            return _all(bundle, manifest, spec, scratch, program, options, progress or (lambda words: None))
    except NoWall as error:
        raise UserError(f"no sandbox could be built: {error}; review without one") from None
    except (UserError, ValueError) as error:
        return [refused("rerun", "source", str(error), "submit the bundle as 'ivi submit' makes it")], _empty()


def _empty() -> dict[str, Any]:
    return {"complete": False, "sandbox": None, "tasks": {}}


def _all(
    bundle: Path,
    manifest: Manifest,
    spec: MethodSpec,
    scratch: Path,
    program: str | None,
    options: Options,
    progress: Callable[[str], None],
) -> tuple[list[Finding], dict[str, Any]]:
    findings: list[Finding] = []
    report = _empty() | {"sandbox": "bubblewrap" if program else None, "salt": options.salt}
    if program is None:
        what = "run again in plain processes: what lies on this machine's disk could be read"
        findings.append(Finding("sandbox", "note", "rerun", what, "install bubblewrap and review again"))
    claims, stack, digest = claims_of(bundle, manifest), Stack.now(), bundle_digest(bundle)
    wall = _wall(program, scratch, bundle, claims) if program else None
    with SandboxedExecutor(cores(), wall, MEMORY) as executor:
        for claim in claims:
            if claim.task not in names("task"):
                what = "a task that does not come with the program: nothing can be run again"
                findings.append(doubted("rerun", claim.task, what, "submit runs of a published suite"))
                continue
            folder = scratch / "tasks" / claim.task
            folder.mkdir(parents=True)
            shop = Workshop(executor, folder, stack, _limit(claim), progress)
            task, draw = load_task(claim.task), f"{digest}{options.salt}"
            one = Rerun(claim, task, spec, parse("map"), shop, draw, options.fresh, options.suspects)
            try:
                findings += one.judged(options.board)
            except UserError as error:
                findings.append(doubted("rerun", claim.task, str(error), "review it where it can be run"))
            report["tasks"][claim.task] = one.report
    done = [one["complete"] for one in report["tasks"].values()]
    report["complete"] = bool(done) and all(done) and len(done) == len(claims)
    return findings, report


def _limit(claim: Claim) -> float:
    costs = [one.record.cost for one in claim.method.values() if one.record.cost]
    return LEAST + SLOWER * max((one.fit_s + one.predict_s for one in costs), default=0.0)


@contextmanager
def _scratch(bundle: Path) -> Iterator[Path]:
    with ExitStack() as stack:
        yield Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ivi-rerun-"))).resolve()


def _wall(program: str, scratch: Path, bundle: Path, claims: list[Claim]) -> Wall:
    hidden = [cache_folder(), bundle.resolve(), *(BOARD / name for name in ("records", "submissions", "gallery"))]
    packages: list[Path] = []
    for claim in claims:
        if claim.task not in names("task"):
            continue
        task = load_task(claim.task)
        ood = task.ood.near + task.ood.far if task.ood else ()
        for source in (source for name in (task.data.name, *ood) for source in read_spec(name).sources):
            if isinstance(source, Builtin):
                packages += _folder_of(source.package)
            elif isinstance(source, Local | Idx):
                hidden.append(source.path if isinstance(source, Local) else source.folder)
    hidden += hidden_data(packages)
    real = tuple(dict.fromkeys(place.resolve() for place in hidden if place.exists()))
    return Wall(program, scratch / "site", real, {}, MEMORY)


def _folder_of(distribution: str) -> list[Path]:
    """Folder of the package that a distribution is imported as."""
    name = {"scikit-learn": "sklearn", "scikit-image": "skimage"}.get(distribution, distribution.replace("-", "_"))
    found = sys.modules.get(name) or find_spec(name)
    places = getattr(found, "submodule_search_locations", None) or getattr(found, "__path__", None) or []
    return [Path(place) for place in places]
