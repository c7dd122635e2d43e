"""A fitted predictor at work: `load_predictor("map")` is one line, and what it answers is a table."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

from baselines import likelihood as likelihoods
from baselines.likelihood import Likelihood
from baselines.names import UserError
from baselines.protocol import Predictor
from baselines.spec import MethodSpec, parse
from benchmarks.data.schema import KINDS
from benchmarks.data.spec import DataSpec
from benchmarks.measure.fitting import BATCH_SIZE
from benchmarks.measure.jobs import Setting
from benchmarks.measure.predicting import answers
from benchmarks.models.frozen import FrozenTrunk
from benchmarks.own.kept import OOD_SCORE, About, find_model, read_about
from benchmarks.own.newcomers import read_newcomers
from benchmarks.pretrained import STATE, described
from benchmarks.problem import Absent, Parts, make_problem
from benchmarks.suite import Task, TaskModel, is_file
from leaderboard.calibration import SCALINGS
from leaderboard.predictions import AnyPredictions, Categorical, from_arrays
from leaderboard.scoring import ood_scores

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)
NORMAL_95 = 1.959963984540054


@dataclass(frozen=True)
class SavedPredictor:
    """A fitted method, and all that it takes to ask it about new inputs.

    Attributes:
        about: what it is.
        likelihood: what its outputs mean.
        predictor: the fitted method itself; `Predictor.outputs` takes standardized inputs.
        device: where it lives.
        trunk: what pictures pass through first, where it was frozen.
    """

    about: About
    likelihood: Likelihood
    predictor: Predictor
    device: torch.device
    trunk: FrozenTrunk | None = None

    @property
    def spec(self) -> DataSpec:
        """What its inputs are."""
        return _spec(self.about)

    def predict(self, given: str | Path | Sequence[str | Path] | pd.DataFrame) -> pd.DataFrame:
        """What is predicted of new inputs: one row each.

        Args:
            given: paths of pictures, or of CSV or parquet files with the columns of the inputs; or those columns.

        Returns:
            Classes: ``class``, ``probability`` (after the temperature that the run's validation examples chose),
            ``unlike`` and ``p(CLASS)`` of each class. Numbers: ``mean``, ``sd``, ``low`` and ``high`` (the central
            95 %, the variance scaled likewise) and ``unlike``. ``unlike``: the share of validation examples that the
            run's OOD score finds less strange, 0 to 1.

        Raises:
            DataError: an input cannot be read; the message names it.
        """
        names, inputs = read_newcomers([given] if isinstance(given, str | Path) else given, self.spec, self.about.fills)
        found = self.answers(inputs)
        rows = _classes(found, self.about) if isinstance(found, Categorical) else _numbers(found, self.about)
        rows.insert(0, "input", names)
        return rows

    def answers(self, inputs: Tensor) -> AnyPredictions:
        """Predictions as a record's file holds them, before any scaling.

        Args:
            inputs: pixels [N, C, H, W] uint8, or features [N, D] float32, in their own units.
        """
        inputs = inputs if self.trunk is None else self.trunk(inputs)
        shape = (1, -1, *(1,) * (inputs.dim() - 2))
        scale, shift = (torch.tensor(one).view(shape).to(self.device) for one in (self.about.scale, self.about.shift))
        parts: dict[str, list[Tensor]] = {}
        with torch.inference_mode():
            for batch in inputs.split(BATCH_SIZE):
                x = batch.to(self.device).mul(scale).add_(shift)
                for name, part in answers(self.predictor, x, self.likelihood).items():
                    parts.setdefault(name, []).append(part)
        arrays = {name: torch.cat(found).numpy() for name, found in parts.items()}
        return from_arrays(self.about.likelihood, arrays, None)


def load_predictor(
    name: str,
    folder: str | Path = "results",
    *,
    task: str | None = None,
    seed: int | None = None,
    method: str | None = None,
    device: str = "cpu",
    weights: str | Path | None = None,
) -> SavedPredictor:
    """A predictor that ``ivi run --keep-models`` has kept, ready to be asked.

    Args:
        name: a method ("map"), a run id, or the path of a kept file.
        folder: where the records lie.
        task: of the run, where several tasks have been run.
        seed: of the run; else the lowest.
        method: "path/to/file.py:Class" of a method that was run from a file.
        device: where it is to live.
        weights: the file of the weights of a frozen trunk, where they came from a file.

    Raises:
        UserError: there is none, or its file does not hold what its run has fitted.
    """
    path = find_model(str(name), Path(folder), task, seed)
    about = read_about(path)
    state = load(path.read_bytes())
    if hashlib.sha256(save(state)).hexdigest() != about.state:
        raise UserError(f"{path}: the tensors in it are not those that the run has fitted")
    spec = _method(about, method, path)
    kind = likelihoods.Categorical(about.outputs) if about.likelihood == "categorical" else None
    likelihood = kind or likelihoods.Gaussian(*about.target)
    where, trunk = torch.device(device), _trunk(about, weights, path)
    try:
        task_of_run = Task.model_validate(_without_weights(about.task))
        setting = Setting(task_of_run, Path(), likelihood, spec, about.seed, device, 1, "", 0.0)
        sizes = task_of_run.data
        parts = Parts(Absent(sizes.train), Absent(sizes.validation), torch.zeros(1, *_shape(about), device=where))
        made = spec.create()
        predictor = made.predictor(make_problem(setting, parts).of(made))
        predictor.load_state_dict({key: value.to(where) for key, value in state.items()})
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{path}: this program makes another predictor of {about.method!r}: {reason}") from error
    return SavedPredictor(about, likelihood, predictor, where, trunk)


def _trunk(about: About, weights: str | Path | None, path: Path) -> FrozenTrunk | None:
    """The frozen trunk that a kept head was fitted on: its file does not hold it."""
    model = TaskModel.model_validate(about.task["model"])
    if not model.frozen:
        return None
    if is_file(model.pretrained):
        if weights is None:
            raise UserError(f"{path}: the weights of its frozen trunk came from a file: name it with --weights")
        found = model.model_copy(update={"pretrained": str(weights)})
        if described(found)["pretrained"] != model.pretrained:
            raise UserError(f"{weights} is not the file of weights whose features {path} was fitted on")
        model = found
    return FrozenTrunk.of(model, _spec(about))


def _method(about: About, given: str | None, path: Path) -> MethodSpec:
    arguments = about.method[len(about.method.partition("(")[0]) :]
    if about.package is None and given is None:
        raise UserError(f"{path}: its method was run from a file: name it, as in --method path/to/file.py:Class")
    spec = parse(about.method if about.package is not None or given is None else given + arguments)
    if spec.source_sha256 != about.source:
        log.warning("%s: the source of %s is not what it was when this was fitted", path, about.label)
    return spec


def _without_weights(task: dict[str, Any]) -> dict[str, Any]:
    """The task with a network whose weights are not read: the state has every one of them."""
    model = task["model"]
    return task | {"model": model | {"pretrained": STATE}} if "pretrained" in model else task


def _spec(about: About) -> DataSpec:
    return KINDS[about.data["kind"]].model_validate(about.data)


def _shape(about: About) -> tuple[int, ...]:
    """Of one standardized input."""
    spec = _spec(about)
    is_picture = len(spec.shape) == 3 and not about.task["model"].get("frozen")
    return tuple(spec.shape) if is_picture else (len(about.scale),)


def _unlike(found: AnyPredictions, about: About) -> np.ndarray:
    scores = ood_scores(found)[OOD_SCORE[about.likelihood]].astype(np.float32)
    return np.searchsorted(np.array(about.unlike, np.float32), scores, "left") / len(about.unlike)


def _scaled(found: AnyPredictions, about: About) -> AnyPredictions:
    return found if about.factor is None else SCALINGS[about.likelihood].apply(found, about.factor)


def _classes(found: Categorical, about: About) -> pd.DataFrame:
    import pandas as pd

    p = np.exp(np.asarray(_scaled(found, about).log_probs, np.float64))  # pyright: ignore[reportAttributeAccessIssue]
    names = about.classes or tuple(map(str, range(about.outputs)))
    best = p.argmax(1)
    rows = {"class": [names[i] for i in best], "probability": p.max(1), "unlike": _unlike(found, about)}
    return pd.DataFrame(rows | {f"p({name})": p[:, i] for i, name in enumerate(names)})


def _numbers(found: Any, about: About) -> pd.DataFrame:
    import pandas as pd

    scaled: Any = _scaled(found, about)
    mean, sd = np.asarray(scaled.mean, np.float64), np.sqrt(np.asarray(scaled.variance, np.float64))
    rows = {"mean": mean, "sd": sd, "low": mean - NORMAL_95 * sd, "high": mean + NORMAL_95 * sd}
    return pd.DataFrame(rows | {"unlike": _unlike(found, about)})
