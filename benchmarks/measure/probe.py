"""A close look at what a method does, in fits of a step or two, off the clock: operations, memory, random modules."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from baselines.protocol import BatchSource, Method, Predictor, Problem, key_of
from baselines.recipe import Recipe
from ivi.layers import RandomLayer

DROPOUTS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout)


@dataclass(frozen=True)
class Probe:
    """What the look gave; None where a method cannot be looked at in this way.

    Attributes:
        fit_flops: operations of the whole recipe.
        predict_flops: operations of one example, predicted in a batch like the one given.
        random: names of modules that draw random numbers while they are trained.
    """

    fit_flops: int | None
    predict_flops: int | None
    random: list[str]


def probe(method: Method, problem: Problem, predictor: Predictor, x: Tensor) -> Probe:
    """Look at ``method``: fit it three times for a step or two on a batch or two, and predict one batch.

    Operations are those that `FlopCounterMode` of torch counts: matrix products, convolutions and attention, twice the
    multiplications; optimizers and elementwise functions are left out. Those of a fit are extrapolated from the short
    ones as a + b steps + c examples: steps are the recipe's, and what passes over the training set (Laplace) grows with
    it. Whatever goes wrong in here leaves a None and harms nobody.

    Args:
        method: to be looked at.
        problem: with the task's whole recipe; fits of other methods on it must not be taken from where they are stored.
        predictor: fitted.
        x: a batch to predict.
    """
    found = Probe(None, None, [])
    with suppress(Exception):
        found = replace(found, predict_flops=round(predict_flops(predictor, x) / len(x)))
    with suppress(Exception):
        noted = DropoutCalls()
        with noted:
            small = method.fit(shortened(problem, 1, 1))
        found = replace(found, random=random_modules(small, noted.modules))
    with suppress(Exception):
        found = replace(found, fit_flops=fit_flops(method, problem))
    return found


def fit_flops(method: Method, problem: Problem) -> int:
    """Operations of fitting ``method`` by the whole recipe, extrapolated; see `probe`.

    Fits that it asks for count by recipes of their own: SWAG goes on for 10 epochs from a MAP fit of the task's many.
    """
    return _Operations().of(method, problem)


@dataclass
class _Operations:
    """Counts what a method does itself, and apart from it the fits that it asks for.

    Attributes:
        known: operations of whole fits, by method and recipe.
        asked: those that were asked for in the fit that is looked at.
        others: operations in it that were not its own.
    """

    known: dict[tuple[str, Recipe], int] = field(default_factory=dict)
    asked: list[tuple[str, Recipe]] = field(default_factory=list)
    others: int = 0

    def of(self, method: Method, problem: Problem) -> int:
        """Operations of the whole fit."""
        sizes = ((1, 1), (2, 1), (2, 2))
        one, step, batch = (self._own(method, problem, steps, batches) for steps, batches in sizes)
        asked = sum(self.known[key] for key in self.asked)
        examples, size = problem.train.num_examples, min(problem.recipe.batch_size, problem.train.num_examples)
        steps = problem.recipe.steps(examples)
        return asked + round(one + (steps - 1) * (step - one) + (examples - size) / size * (batch - step))

    def _own(self, method: Method, problem: Problem, steps: int, batches: int) -> int:
        self.asked, self.others = [], 0
        small = asking(shortened(problem, steps, batches), problem, self._fit)
        return _flops(lambda: method.fit(small)) - self.others

    def _fit(self, method: Method, whole: Problem) -> Predictor:
        """A short fit in place of the one that is asked for, whose operations are counted by the way."""
        key, asked, others, made = (key_of(method), whole.recipe), self.asked, self.others, []

        def look() -> None:
            if key not in self.known:
                self.known[key] = self.of(method, whole)
            made.append(method.fit(asking(shortened(whole, 1, 1), whole, self._fit)))

        spent = _flops(look)
        self.asked, self.others = [*asked, key], others + spent
        return made[0]


def asking(small: Problem, whole: Problem, fit: Callable[[Method, Problem], Predictor]) -> Problem:
    """``small``, whose fits of other methods are ``fit`` (method, the problem that it would have on ``whole``).

    A method that changes the problem itself before it asks (recipe, data or network) is given what it asks for.
    """

    def fitter(method: Method, own: Problem) -> Predictor:
        plain = small.of(method)
        if (own.recipe, own.train, own.make_model) != (plain.recipe, plain.train, plain.make_model):
            return whole.fitter(method, own)
        return fit(method, replace(whole.of(method), seeds=own.seeds))

    return replace(small, fitter=fitter)


def scaled(problem: Problem, part: float) -> Problem:
    """``problem`` with ``part`` of the steps of its recipe, and of that of each fit of another method on it."""
    if part == 1:
        return problem
    steps = max(1, round(part * problem.recipe.steps(problem.train.num_examples)))
    return asking(shortened(problem, steps), problem, lambda method, whole: problem.fitter(method, scaled(whole, part)))


def predict_flops(predictor: Predictor, x: Tensor) -> int:
    """Operations of predicting the batch ``x``."""
    with torch.inference_mode():
        return _flops(lambda: predictor.outputs(x))


def shortened(problem: Problem, steps: int, batches: int | None = None) -> Problem:
    """``problem`` with a recipe of so many steps and, if given, only the first ``batches`` of its training examples.

    A recipe in epochs stays one where the steps are whole epochs: a method may know no other.
    """
    recipe = problem.recipe
    train = problem.train if batches is None else FirstBatches.of(problem.train, recipe.batch_size, batches)
    epochs, rest = divmod(steps, recipe.steps_per_epoch(train.num_examples))
    in_epochs = recipe.epochs is not None and not rest
    length = {"epochs": epochs, "max_steps": None} if in_epochs else {"epochs": None, "max_steps": steps}
    return replace(problem, recipe=recipe.model_copy(update=length), train=train)


def random_modules(predictor: Predictor, dropping: list[nn.Module]) -> list[str]:
    """Names of the modules of ``predictor`` with random weights, with dropout or with stochastic depth."""
    if not isinstance(predictor, nn.Module):
        return []
    seen = {id(module) for module in dropping}
    return [
        name
        for name, module in predictor.named_modules()
        if isinstance(module, RandomLayer) or id(module) in seen or getattr(module, "drop_prob", None)
    ]


def peak_bytes(device: torch.device, function: Callable[[], Any]) -> int:
    """Bytes that tensors took at the peak of ``function()``, above what there was before.

    CUDA: the allocator's peak. CPU: torch's profiler adds up what its allocator gives and takes back; memory that is
    not of tensors does not count, so that the number repeats and does not depend on what ran before.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        function()
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        function()
    kineto: Any = seen.profiler.kineto_results if seen.profiler else None
    events: list[Any] = kineto.events() if kineto else []
    changes = [(event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"]
    held = peak = 0
    for _, size in sorted(changes, key=lambda change: change[0]):
        held += size
        peak = max(peak, held)
    return peak


class DropoutCalls(TorchFunctionMode):
    """Within it, ``modules`` gathers each module that was entered last before units were dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.modules: list[nn.Module] = []
        self._last: nn.Module | None = None

    def __enter__(self) -> DropoutCalls:
        self._hook = register_module_forward_pre_hook(self._note)
        super().__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._hook.remove()
        super().__exit__(*exception)

    def _note(self, module: nn.Module, inputs: Any) -> None:
        self._last = module

    def __torch_function__(self, func: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in DROPOUTS and self._last is not None:
            rate = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
            training = args[2] if len(args) > 2 else kwargs.get("training", True)
            if rate and training:
                self.modules.append(self._last)
        return func(*args, **kwargs)


@dataclass(frozen=True)
class FirstBatches:
    """A `BatchSource` of the first batches of another one, in the same order every time."""

    batches: list[tuple[Tensor, Tensor]] = field(repr=False)

    @classmethod
    def of(cls, source: BatchSource, batch_size: int, count: int) -> FirstBatches:
        """The first ``count`` full batches of ``source``, fewer where it has fewer; at least one."""
        size = min(batch_size, source.num_examples)
        stored = source.ordered(size)
        return cls([next(stored) for _ in range(min(count, max(1, source.num_examples // size)))])

    @property
    def num_examples(self) -> int:
        """How many examples there are."""
        return sum(len(y) for _, y in self.batches)

    def shuffled(self, batch_size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every batch, as it is."""
        yield from self.batches

    def ordered(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every batch, as it is."""
        yield from self.batches


def _flops(function: Callable[[], Any]) -> int:
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()
