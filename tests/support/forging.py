"""Changing a bundle as a forger would: consistently, so that every hash, score and id agrees with what was changed."""

import hashlib
import json
import shutil
from pathlib import Path

from leaderboard.plan import Plan, is_base, planned_run, write_plan
from leaderboard.predictions import load_predictions, to_bytes
from leaderboard.record import PredictionsInfo, Record
from leaderboard.scores import score_bytes, write_scores
from leaderboard.shelf import PREDICTIONS, SCORES, beside, read_all
from leaderboard.store import path_of
from leaderboard.submission.manifest import read_manifest, write_manifest

BUNDLE = Path(__file__).parents[1] / "bundles" / "last_layer_ensemble" / "1"
"""A good one, as `ivi submit last_layer_ensemble.py:LastLayerEnsemble --suite smoke` has made it."""
METHOD = "last_layer_ensemble"


class Forger:
    """A copy of the good bundle, and what may be done to it."""

    def __init__(self, folder):
        self.bundle = shutil.copytree(BUNDLE, folder / METHOD / "1")

    @property
    def records(self):
        """Path -> record, of every one."""
        shelf = read_all(self.bundle / "records")
        return dict(zip(shelf.paths, shelf.records, strict=True))

    def path(self, task="digits-mlp", seed=0, label=METHOD):
        """The file of a record."""
        return next(
            path
            for path, one in self.records.items()
            if (one.identity.task.name, one.identity.seed, one.label) == (task, seed, label)
        )

    def paths(self, task="digits-mlp", label=METHOD):
        """The files of a row's records."""
        return [self.path(task, seed, label) for seed in (0, 1)]

    def edit(self, path, change):
        """Change a file of JSON, whatever comes of it."""
        data = json.loads(path.read_text())
        change(data)
        path.write_text(json.dumps(data, indent=1))

    def record(self, path, **changes):
        """Change fields of a record, with the place that follows from them; the new place."""
        record = Record.model_validate_json(path.read_bytes())
        identity = changes.get("identity", record.identity)
        changed = record.model_copy(update={"run_id": identity.run_id, **changes})
        target = path_of(self.bundle / "records", changed)
        target.parent.mkdir(parents=True, exist_ok=True)
        for suffix in (PREDICTIONS, SCORES):
            if target != path and beside(path, suffix).exists():
                beside(path, suffix).rename(beside(target, suffix))
        path.unlink()
        target.write_text(changed.model_dump_json(indent=1))
        return target

    def predictions(self, path, change, **changes):
        """Change predictions (name -> set) of a record, with hashes and scores."""
        sets = change(dict(load_predictions(beside(path, PREDICTIONS))))
        self.bytes(path, to_bytes(sets), **changes)

    def bytes(self, path, data, **changes):
        """Put other bytes in place of a predictions file, with its hash, and its scores if it has any."""
        beside(path, PREDICTIONS).write_bytes(data)
        info = PredictionsInfo(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
        target = self.record(path, predictions=info, **changes)
        try:
            write_scores(target, score_bytes(data, "forged"))
        except ValueError:
            beside(target, SCORES).unlink(missing_ok=True)

    def done(self):
        """Plan and manifest anew: nothing but the content is wrong."""
        records = list(self.records.values())
        runs = {
            r.run_id: planned_run(r.identity, r.label, is_base(r.identity.method, r.label == "map")) for r in records
        }
        if runs:
            write_plan(self.bundle / "records", Plan(suite="smoke", description="", runs=tuple(runs.values())))
        write_manifest(self.bundle, read_manifest(self.bundle))
        return self.bundle
