"""Fits that are made once for all who use them: addressed by content, kept while a suite is being made. No torch."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from baselines.spec import MethodSpec
from benchmarks.measure.environment import Stack, version_of
from benchmarks.measure.jobs import Failure, FitJob, Fitted, Setting, Use, Uses
from benchmarks.prepare import Prepared
from benchmarks.runs import Run, method_identity
from benchmarks.weights import identified
from leaderboard.identity import RULES, digest
from leaderboard.store import write_once


@dataclass
class Fit:
    """A node of the plan: one fit, and the fits it takes over.

    Attributes:
        key: says everything that the fitted state depends on.
        needs: key under which the method asks for a fit -> the key of that node.
        whole: whether a run is made of it, so that it is looked at closely.
        failure: why it cannot be had.
        sha256: of the state, once it was made or found.
    """

    key: str
    title: str
    setting: Setting
    member: int
    needs: Mapping[str, str]
    whole: bool = False
    failure: Failure | None = None
    sha256: str = ""


@dataclass(frozen=True)
class Spent:
    """What a fit cost with all that it took over; ``shared``: seconds of the others' fits."""

    seconds: float
    shared: float
    steps: int
    memory: int | None


@dataclass
class FitStore:
    """States of fits below a folder. What lies there is believed only as long as it is what was put there."""

    folder: Path
    known: dict[str, str] = field(default_factory=dict)

    def put(self, key: str, fitted: Fitted, spent: Spent) -> str:
        """Keep a fit and give the SHA-256 of its state."""
        sha = hashlib.sha256(fitted.state).hexdigest()
        about = {name: value for name, value in vars(fitted).items() if name != "state"}
        words = json.dumps({"sha256": sha, "fitted": about, "spent": vars(spent)})
        write_once(self.folder / f"{key}.safetensors", fitted.state, replace=True)
        write_once(self.folder / f"{key}.json", words.encode(), replace=True)
        self.known[key] = sha
        return sha

    def get(self, key: str) -> tuple[Fitted, Spent] | None:
        """A fit; None if it is not there, or is not what was put there."""
        try:
            about = json.loads((self.folder / f"{key}.json").read_bytes())
            state = (self.folder / f"{key}.safetensors").read_bytes()
            sha = hashlib.sha256(state).hexdigest()
            if sha != about["sha256"] or sha != self.known.setdefault(key, sha):
                return None
            values = about["fitted"]
            return Fitted(**values | {"state": state, "taken": tuple(values["taken"])}), Spent(**about["spent"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def forget(self, key: str) -> None:
        """Let the fit be made again."""
        self.known.pop(key, None)
        for path in self.folder.glob(f"{key}.*"):
            path.unlink(missing_ok=True)

    def drop(self) -> None:
        """Remove all of them: they are worth their disk only while a suite is being made."""
        shutil.rmtree(self.folder, ignore_errors=True)


def nodes_of(run: Run, uses: Uses, setting: Setting, stack: Stack) -> list[Fit]:
    """The fit of ``run``, last, and before it those that it takes over."""
    found: dict[str, Fit] = {}

    def add(spec: MethodSpec, member: int, local: str, below: tuple[Use, ...]) -> str:
        needs = {one.key: add(one.method, one.member, one.key, one.uses) for one in below}
        key = _key(run.data, setting, spec, local, stack)
        part = f" · member {member}" if member else ""
        title = f"{run.task.name} · {spec.label} · seed {run.seed}{part}"
        own = replace(setting, method=spec)
        found.setdefault(key, Fit(key, title, own, member, needs))
        return key

    last = add(run.method, 0, uses.key, uses.uses)
    found[last].whole = True
    return list(found.values())


def job_of(fit: Fit, states: Mapping[str, bytes]) -> FitJob:
    """The job that makes ``fit``; ``states`` of all nodes that it needs, by their keys."""
    shared = {local: states[key] for local, key in fit.needs.items()}
    return FitJob(fit.setting, fit.member, shared, fit.whole)


def spent_of(fitted: Fitted, others: Mapping[str, Spent]) -> Spent:
    """What ``fitted`` cost with what it took over; ``others`` by the key under which it asked for them."""
    taken = [others[key] for key in dict.fromkeys(fitted.taken) if key in others]
    shared = sum(one.seconds for one in taken)
    peaks = [one for one in (fitted.memory, *(one.memory for one in taken)) if one is not None]
    steps = fitted.steps + sum(one.steps for one in taken)
    return Spent(fitted.seconds + shared, shared, steps, max(peaks) if fitted.memory is not None else None)


def _key(data: Prepared, setting: Setting, spec: MethodSpec, local: str, stack: Stack) -> str:
    sets = data.manifest.sets
    parts = [
        [RULES, local, setting.seed, setting.device.partition(":")[0], setting.threads],
        [setting.task.name, identified(setting.task.model.model_dump(mode="json")), vars(setting.likelihood)],
        [sets[name].model_dump() for name in ("train", "validation")],
        [stack.code, stack.packages, version_of(spec.package) if spec.package else None],
        method_identity(spec).model_dump(mode="json"),
    ]
    return digest(parts)[:32]
