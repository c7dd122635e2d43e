"""Records, plans and predictions that tests make up."""

import hashlib

from leaderboard.identity import DataIdentity, Identity, MethodIdentity, TaskIdentity
from leaderboard.plan import Plan, is_base, planned_run
from leaderboard.record import Cost, Environment, Error, PredictionsInfo, Record, SetInfo


def sha(text):
    """A SHA-256 that stands for ``text``."""
    return hashlib.sha256(str(text).encode()).hexdigest()


SETS = {
    name: SetInfo(n=100, inputs=sha(name), labels=sha(f"{name} labels")) for name in ("train", "validation", "test")
}
COST = {
    "fit_s": 1.0,
    "shared_s": 0.0,
    "predict_s": 0.5,
    "predict_examples": 10,
    "steps": 3,
    "peak_memory_fit": 100,
    "peak_memory_predict": 50,
    "parameters": 7,
    "state_bytes": 28,
}
ENVIRONMENT = {
    "commit": "0" * 40,
    "dirty": False,
    "code": sha("code"),
    "packages": {"ivi-bench": "0.2.0", "torch": "2.9.1", "numpy": "2.3.0"},
    "python": "3.11.2",
    "device_name": "a processor",
    "cpu": "a processor",
    "capability": "AVX2",
    "threads": 1,
    "started": "2026-11-25T12:00:00+00:00",
}


def task_identity(name="task", **changes):
    """A task's identity with some fields changed."""
    values = {
        "name": name,
        "version": 1,
        "likelihood": "categorical",
        "outputs": 10,
        "data": DataIdentity(name="digits", spec=sha("spec"), content=sha("content")),
        "split": {"train": 100, "validation": 100, "seed": 0},
        "model": {"name": "mlp"},
        "recipe": {"epochs": 3},
        "evaluation": {},
    }
    return TaskIdentity(**values | changes)


def method_identity(name="map", **changes):
    """A method's identity with some fields changed."""
    values = {"name": name, "package": "ivi-bench", "package_version": "0.2.0", "source": sha(name), "resolved": {}}
    return MethodIdentity(**values | changes)


def identity(method="map", seed=0, task=None, device="cpu", **method_changes):
    """An identity; ``task`` is a name or a `TaskIdentity`."""
    task = task_identity(task or "task") if task is None or isinstance(task, str) else task
    return Identity(task=task, method=method_identity(method, **method_changes), seed=seed, device=device)


def made(method="map", seed=0, status="ok", *, label=None, task=None, device="cpu", fit_s=1.0, **changes):
    """A valid record of one method and seed.

    ``environment``, ``cost`` and ``method_info`` change some of their fields, other arguments those of the record.
    """
    who = identity(method.partition("(")[0], seed, task, device, **changes.pop("method_info", {}))
    environment = ENVIRONMENT | changes.pop("environment", {})
    cost = COST | {"fit_s": fit_s} | changes.pop("cost", {})
    is_ok = status == "ok"
    values = {
        "run_id": who.run_id,
        "identity": who,
        "label": label or method,
        "status": status,
        "sets": SETS,
        "cost": Cost(**cost) if is_ok else None,
        "environment": Environment(**environment),
        "predictions": PredictionsInfo(sha256=sha(f"predictions of {who.run_id}"), bytes=100) if is_ok else None,
        "error": None if is_ok else Error(reason="a reason"),
    }
    return Record(**values | changes)


record = made


def plan_of(*records, suite="suite"):
    """The plan that ``records`` fulfil."""
    runs = {r.run_id: planned_run(r.identity, r.label, is_base(r.identity.method, r.label == "map")) for r in records}
    return Plan(suite=suite, description="a suite for tests", runs=tuple(runs.values()))
