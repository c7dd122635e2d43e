"""Folders of many records, made from one real record: methods that differ in quality and cost, and odd rows."""

from pathlib import Path

import numpy as np

from leaderboard.identity import Identity
from leaderboard.plan import Plan, planned_run, write_plan
from leaderboard.record import Error, Record
from leaderboard.scores import Scores, scores_path
from leaderboard.store import path_of

ROOT = Path(__file__).parents[2]
RECORDS, SPEED = ROOT / "leaderboard/records", ROOT / "benchmarks/speed"
LONGEST = "implicit_vi(" + ", ".join(f"parameter_{i}=0.12345" for i in range(20))[:187] + ")"
"""The longest label that a record may have."""
ERROR = ("RuntimeError: mat1 and mat2 shapes cannot be multiplied (64x1024 and 512x10) in layer 'net.fc' " * 25)[:2000]


def real():
    record, scores = (SPEED / name for name in ("record.json", "record.scores.json"))
    return Record.model_validate_json(record.read_bytes()), Scores.model_validate_json(scores.read_bytes())


def write(folder, record, scores=None):
    path = path_of(folder, record)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(record.model_dump_json() + "\n")
    if scores is not None:
        scores_path(path).write_text(scores.model_dump_json() + "\n")
    return path


def variant(label, task, seed, *, worse=0.0, dearer=1.0, status="ok", error="", rng=None, torch=None, **audit):
    """A run of another method, task and seed: ``worse`` in quality, ``dearer`` to train and to predict."""
    record, scores = real()
    rng, old = rng or np.random.default_rng(seed), record.identity
    resolved = {} if label == "map" else {"label": label}
    name = "map" if label == "map" else "method"
    method = old.method.model_copy(update={"name": name, "resolved": resolved, "package": "ivi-bench"})
    who = Identity(task=old.task.model_copy(update={"name": task}), method=method, seed=seed)
    sha256 = f"{rng.integers(2**62):064x}"
    changes = {"identity": who, "run_id": who.run_id, "label": label, "status": status}
    if audit:
        changes["audit"] = record.audit.model_copy(update=audit)
    if torch:
        packages = {**record.environment.packages, "torch": torch}
        changes["environment"] = record.environment.model_copy(update={"packages": packages})
    if status != "ok":
        changes |= {"predictions": None, "error": Error(reason=error, traceback=error)}
        return record.model_copy(update=changes), None
    noise = float(rng.normal(scale=0.02))
    cost = record.cost
    update = {"fit_s": cost.fit_s * dearer * (1 + noise), "predict_s": cost.predict_s * dearer**2 * (1 + noise)}
    changes |= {"cost": cost.model_copy(update=update)}
    changes["predictions"] = record.predictions.model_copy(update={"sha256": sha256})
    sets = {
        name: {key: value * (1 - 0.2 * worse + 0.02 * float(rng.normal())) for key, value in row.items()}
        for name, row in scores.sets.items()
    }
    for row in sets.values():
        for key in row:
            if "nll" in key or "ece" in key or "brier" in key:
                row[key] *= 1 + worse
    return record.model_copy(update=changes), scores.model_copy(update={"predictions": sha256, "sets": sets})


def many(folder, methods=30, tasks=10, seeds=5, odd=True):
    """Write ``methods`` on each of ``tasks`` tasks, the plan ``many`` of them, and rows that are not ranked."""
    rng, planned = np.random.default_rng(0), []
    labels = ["map", LONGEST, *(f"method_{i}" for i in range(2, methods))][:methods]
    for task in (f"task-{i}" for i in range(tasks)):
        for i, label in enumerate(labels):
            worse, dearer = 0.5 * ((7 * i) % methods) / methods, 1.0 + 0.15 * i if i else 1.0
            for seed in range(seeds):
                record, scores = variant(label, task, seed, worse=worse, dearer=dearer, rng=rng)
                write(folder, record, scores)
                planned.append(planned_run(record.identity, label, label == "map"))
        if odd:
            record, _ = variant("failing", task, 0, status="failed", error=ERROR)
            write(folder, record)
            planned.append(planned_run(record.identity, "failing", False))
            for seed in range(seeds):
                record, scores = variant("old_torch", task, seed, rng=rng, torch="1.0.0")
                write(folder, record, scores)
                planned.append(planned_run(record.identity, "old_torch", False))
    write_plan(folder, Plan(suite="many", description="Many methods on many tasks", runs=tuple(planned)))
    return folder
