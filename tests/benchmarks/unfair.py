"""Methods that `ivi check` must not pass, and a run would not notice by itself."""

from dataclasses import dataclass, replace

from safetensors.torch import load_file

from baselines.map import MAP
from benchmarks.machine import cache_folder

KEPT = []


@dataclass(frozen=True)
class FindsTheCache(MAP):
    """Looks where the harness keeps the inputs of evaluation, and has them at hand."""

    def fit(self, problem):
        for path in (cache_folder() / "tasks").glob("*/inputs.safetensors"):
            inputs = load_file(path)["inputs"]
            if inputs[0].numel() == problem.example.numel():
                KEPT.append(inputs)
        return super().fit(problem)


@dataclass(frozen=True)
class FindsTheTruth(MAP):
    """Learns from evaluation examples which it puts among its own."""

    def fit(self, problem):
        for path in (cache_folder() / "tasks").glob("*/inputs.safetensors"):
            stored = load_file(path)
            if stored["inputs"][0].numel() == problem.example.numel():
                KEPT.append(stored["inputs"] * stored["scale"] + stored["shift"])
        return super().fit(problem)


@dataclass
class Thawed:
    """A dataclass that is not frozen."""

    rate: float = 0.1

    def predictor(self, problem):
        return MAP().predictor(problem)

    def fit(self, problem):
        return MAP().fit(problem)


@dataclass(frozen=True)
class TenTimes(MAP):
    """Trains ten times as long as everybody else and does not say so."""

    def fit(self, problem):
        recipe = problem.recipe
        steps = 10 * recipe.steps(problem.train.num_examples)
        longer = recipe.model_copy(update={"epochs": None, "max_steps": steps})
        return super().fit(replace(problem, recipe=longer))
