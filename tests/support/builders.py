"""Records, plans and predictions that tests make up."""

import hashlib
from pathlib import Path

import numpy as np
from scipy.special import log_softmax

from leaderboard.identity import DataIdentity, Identity, MethodIdentity, TaskIdentity, array_sha256, content_of
from leaderboard.plan import Plan, is_base, planned_run
from leaderboard.predictions import Categorical, save_predictions
from leaderboard.record import Cost, Environment, Error, PredictionsInfo, Record, SetInfo
from leaderboard.results import result_of
from leaderboard.scores import Scores, score_file, write_scores
from leaderboard.store import PREDICTIONS, beside, keep, path_of


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
        "sets": SETS if is_ok else {},
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


def result(method="map", seed=0, accuracy=0.9, *, metrics=None, status="ok", **changes):
    """A result of one method and seed, with two metrics on the test set or those given."""
    one = made(method, seed, status, **changes)
    sets = metrics if metrics is not None else {"test": {"accuracy": accuracy, "nll": 1 - accuracy}}
    digest = one.predictions.sha256 if one.predictions else sha("")
    scores = Scores(kind=one.identity.task.likelihood, predictions=digest, sets=sets) if status == "ok" else None
    return result_of(path_of(Path("results"), one), one, scores)


def results(method, *accuracies, **changes):
    """Results of as many seeds as there are accuracies."""
    return [result(method, seed, accuracy, **changes) for seed, accuracy in enumerate(accuracies)]


def kept(folder, method="map", seed=0, *, sets=None, scored=True, **changes):
    """The path of a record that is kept with real predictions (by default random ones) and their scores."""
    sets = sets or {"validation": predictions(seed), "test": predictions(seed + 50)}
    file = folder / f"{method}-{seed}.part"
    folder.mkdir(parents=True, exist_ok=True)
    digest = save_predictions(file, sets)
    data = file.read_bytes()
    file.unlink()
    infos = {name: set_info(name, one) for name, one in sets.items()} | {"train": SETS["train"]}
    task = changes.pop("task", None)
    if task is None or isinstance(task, str):
        content = DataIdentity(name="digits", spec=sha("spec"), content=content_of(infos))
        task = task_identity(task or "task", data=content, outputs=5)
    info = PredictionsInfo(sha256=digest, bytes=len(data))
    path = keep(folder, made(method, seed, task=task, sets=infos, predictions=info, **changes), data)
    if scored:
        write_scores(path, score_file(beside(path, PREDICTIONS)))
    return path


def set_info(name, one):
    """What a record says of a set with these predictions."""
    labels = None if one.labels is None else array_sha256(one.labels)
    return SetInfo(n=len(next(iter(vars(one).values()))), inputs=sha(name), labels=labels)


def predictions(seed, labelled=True, n=200, classes=5, skill=2.0):
    """Random predictions of a class, by three members; labels are the same for all seeds but of another set."""
    rng = np.random.default_rng(seed)
    labels = np.random.default_rng(seed // 50).integers(0, classes, n)
    each = log_softmax(rng.normal(size=(3, n, classes)) + skill * np.eye(classes)[labels], axis=2)
    mean = np.log(np.exp(each).mean(axis=0)).astype(np.float32)
    expected = -np.sum(np.exp(each) * each, axis=2).mean(axis=0).astype(np.float32)
    return Categorical(mean, expected, rng.normal(size=n).astype(np.float32), labels if labelled else None)
