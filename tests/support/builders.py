"""Records that tests make up."""

from leaderboard.record import Cost, Environment, MethodInfo, Record, TaskInfo


def record(**changes):
    """A valid record with some fields changed."""
    values = {
        "run_id": "abc",
        "task": TaskInfo(name="task", version=1),
        "method": MethodInfo(
            label="map", name="map", package="ivi-bench", source_sha256="", parameters={}, resolved={"member": 0}
        ),
        "seed": 0,
        "status": "ok",
        "metrics": {"test": {"accuracy": 0.5}},
        "cost": Cost(
            fit_s=1.0,
            shared_s=0.0,
            predict_s=0.5,
            predict_examples=10,
            steps=3,
            peak_memory_fit=100,
            peak_memory_predict=50,
            parameters=7,
            state_bytes=28,
        ),
        "environment": Environment(
            **{key: "x" for key in ("commit", "python", "device_name", "cpu", "started")},
            **{"dirty": False, "packages": {}, "device": "cpu", "threads": 1},
        ),
    }
    return Record(**values | changes)


def made(method="map", seed=0, status="ok", accuracy=0.9, fit_s=1.0, **changes):
    """A record of one method and seed."""
    base = record()
    environment = base.environment.model_dump() | changes.pop("environment", {})
    info = base.method.model_dump() | {"label": method, "name": method} | changes.pop("method_info", {})
    cost = base.cost.model_dump() | {"fit_s": fit_s}
    return record(
        run_id=f"{method}{seed}",
        method=MethodInfo(**info),
        seed=seed,
        status=status,
        metrics={"test": {"accuracy": accuracy, "nll": 1 - accuracy}} if status == "ok" else {},
        cost=Cost(**cost) if status == "ok" else None,
        environment=Environment(**environment),
        **changes,
    )


def records_like(record, **environment):
    """A record of each method that a cost record has numbers of."""
    task, where = record.task, record.environment.model_dump() | {"dirty": False} | environment
    return [
        made(cost.method.label, environment=where, method_info=cost.method.model_dump(), task=task)
        for cost in record.methods
        if not cost.error
    ]
