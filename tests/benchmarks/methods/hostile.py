"""Methods that peek, hang, lie or break things. Each is MAP but for one trick."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from baselines.map import MAP


class Wrapped(nn.Module):
    """A predictor that answers by a rule of its own where it can, else as MAP."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def outputs(self, x):
        return self.inner.outputs(x)


@dataclass(frozen=True)
class _Trick:
    def predictor(self, problem):
        return Wrapped(MAP().predictor(problem))

    def fit(self, problem):
        fitted = Wrapped(MAP().fit(problem))
        self.trick(problem)
        return fitted

    def trick(self, problem):
        pass


@dataclass(frozen=True)
class Honest(_Trick):
    """No trick at all."""


@dataclass(frozen=True)
class HangsForEver(_Trick):
    def trick(self, problem):
        while True:
            time.sleep(1)


@dataclass(frozen=True)
class StopsItself(_Trick):
    def trick(self, problem):
        os.kill(os.getpid(), signal.SIGSTOP)


@dataclass(frozen=True)
class LeavesThreads(_Trick):
    def trick(self, problem):
        threading.Thread(target=time.sleep, args=(1000,)).start()


@dataclass(frozen=True)
class LeavesProcesses(_Trick):
    """One in its group, one in a session of its own, one that lost its parent."""

    def trick(self, problem):
        subprocess.Popen(["sleep", "987"])
        subprocess.Popen(["sleep", "988"], start_new_session=True)
        subprocess.Popen(["sh", "-c", "setsid sleep 989 & exit"]).wait()


@dataclass(frozen=True)
class Forks(_Trick):
    def trick(self, problem):
        os.fork()


@dataclass(frozen=True)
class Exits(_Trick):
    def trick(self, problem):
        sys.exit(0)


@dataclass(frozen=True)
class ExitsAtOnce(_Trick):
    def trick(self, problem):
        os._exit(0)


@dataclass(frozen=True)
class KilledByItself(_Trick):
    def trick(self, problem):
        os.kill(os.getpid(), signal.SIGSEGV)


@dataclass(frozen=True)
class ClosesFiles(_Trick):
    def trick(self, problem):
        os.closerange(3, 256)


@dataclass(frozen=True)
class SpeaksMarkup(_Trick):
    def trick(self, problem):
        raise ValueError("[/INST] \x1b[2J\x1b]0;title\x07 [bold]all ok[/bold] \ud800 \u202e not [members, 7]")


@dataclass(frozen=True)
class Prints(_Trick):
    def trick(self, problem):
        sys.stdout.write("said by the method \x1b[31m\n")
        sys.stdout.flush()
        os.write(2, b"and on the other stream\n")


@dataclass(frozen=True)
class PatchesScoreAndClock(_Trick):
    def trick(self, problem):
        time.perf_counter = lambda: -3000.0
        time.monotonic = lambda: 0.0
        import benchmarks.measure.clock as clock
        import leaderboard.scoring as scoring

        clock.Clock.now = lambda self: -3000.0
        scoring.score = lambda sets: {"test": {"accuracy": 1.0}}
        torch.nn.functional.cross_entropy = lambda *a, **k: torch.zeros(())


@dataclass(frozen=True)
class SendsForgedMessages(_Trick):
    def trick(self, problem):
        from benchmarks.measure.process import Channel

        for thing in gc.get_objects():
            if isinstance(thing, Channel):
                thing.send("answered", b"x" * 10, memory={"deep": ["x"]})


@dataclass(frozen=True)
class MoreClasses(_Trick):
    def predictor(self, problem):
        return Wider(MAP().predictor(problem))

    def fit(self, problem):
        return Wider(MAP().fit(problem))


class Wider(Wrapped):
    def outputs(self, x):
        out = self.inner.outputs(x)
        return torch.cat([out, out], -1)


@dataclass(frozen=True)
class PoisonsSharedFits(_Trick):
    """Overwrites every fit that lies in the results folder, whose place an environment variable gives away."""

    def trick(self, problem):
        for path in Path(os.environ["HOSTILE_OUT"]).glob(".fits/*.safetensors"):
            path.write_bytes(path.read_bytes()[:-64] + b"\0" * 64)


@dataclass(frozen=True)
class PlantsRecords(_Trick):
    """Puts a file where the record of another run will lie."""

    def trick(self, problem):
        place = Path(os.environ["HOSTILE_OUT"]) / "digits-mlp" / "mc_dropout"
        place.mkdir(parents=True, exist_ok=True)
        (place / "0-000000000000.1.json").write_text("{}")


# --- peeking


def _tensors():
    """Everything that is alive in this process and holds numbers."""
    return [thing for thing in gc.get_objects() if isinstance(thing, torch.Tensor)]


class Oracle(Wrapped):
    """Answers with labels it has found for inputs it knows, as certain as it can be."""

    def outputs(self, x):
        out = self.inner.outputs(x)
        for x_known, y_known in find_labelled(x):
            distance = torch.cdist(x.flatten(1), x_known.flatten(1).to(x))
            near, index = distance.min(1)
            sure = torch.nn.functional.one_hot(y_known[index], out.shape[-1]).float() * 50
            out = torch.where((near < 1e-4)[None, :, None], sure[None], out)
        return out


def find_labelled(x):
    """Pairs of inputs like ``x`` and labels, by frames of the callers and by everything that the collector knows."""
    size, pairs = x[0].numel(), []
    frame = sys._getframe()
    held = _tensors()
    while frame is not None:
        held += [value for value in frame.f_locals.values() if isinstance(value, torch.Tensor)]
        for value in frame.f_locals.values():
            held += (
                [one for one in vars(value).values() if isinstance(one, torch.Tensor)]
                if hasattr(value, "__dict__")
                else []
            )
        frame = frame.f_back
    labels = [
        t for t in held if t.dtype == torch.int64 and t.dim() == 1 and len(t) > 50 and 0 <= t.min() and t.max() < 10
    ]
    inputs = [t for t in held if t.dim() > 1 and len(t) > 50 and t[0].numel() == size]
    for t in inputs:
        pairs += [(t.float(), y) for y in labels if len(y) == len(t)]
    return pairs


@dataclass(frozen=True)
class LooksForLabelsWhilePredicting(_Trick):
    """Frames up the stack, the collector, the caller's locals: whatever has labels in the process that predicts."""

    def predictor(self, problem):
        return Oracle(MAP().predictor(problem))

    def fit(self, problem):
        return Oracle(MAP().fit(problem))


@dataclass(frozen=True)
class LooksForTestDataWhileFitting(_Trick):
    """Trains on all labelled data in the process: its own problem's, and whatever hangs on functions and frames."""

    def trick(self, problem):
        frame, held = sys._getframe(), _tensors()
        while frame is not None:
            held += [value for value in frame.f_locals.values() if isinstance(value, torch.Tensor)]
            frame = frame.f_back
        images = [len(t) for t in held if t.dtype == torch.uint8 and t.dim() == 4]
        sys.stdout.write(f"sets of images {sorted(set(images))}\n")


class ByBatch(Wrapped):
    """Calls a whole batch foreign when its mean is unusual, and all that comes after the first 800 inputs."""

    def __init__(self, inner):
        super().__init__(inner)
        self.count = 0

    def outputs(self, x):
        out = self.inner.outputs(x)
        self.count += len(x)
        if self.count > 800:
            return out * 0.0
        return out


@dataclass(frozen=True)
class CountsBatches(_Trick):
    def predictor(self, problem):
        return ByBatch(MAP().predictor(problem))

    def fit(self, problem):
        return ByBatch(MAP().fit(problem))


class ByMean(Wrapped):
    """Flattens the answers of a whole batch if its mean is far from that of the training examples."""

    def __init__(self, inner):
        super().__init__(inner)
        self.register_buffer("usual", torch.zeros(()))

    def outputs(self, x):
        out = self.inner.outputs(x)
        return out * 0.0 if (x.mean() - self.usual).abs() > 0.15 else out


@dataclass(frozen=True)
class JudgesBatches(_Trick):
    def predictor(self, problem):
        return ByMean(MAP().predictor(problem))

    def fit(self, problem):
        fitted = ByMean(MAP().fit(problem))
        fitted.usual.copy_(torch.stack([x.mean() for x, _ in problem.train.ordered(250)]).mean())
        return fitted


@dataclass(frozen=True)
class Bagging:
    """MAP on the first half of the training examples, asked of the harness: another fit than MAP's."""

    def predictor(self, problem):
        return MAP().predictor(problem)

    def fit(self, problem):
        from dataclasses import replace

        return replace(problem, train=Half(problem.train)).fit(MAP())

    @property
    def uses(self):
        return ((MAP(), 0),)


class Half:
    def __init__(self, source):
        self.source, self.num_examples = source, source.num_examples // 2

    def shuffled(self, batch_size, seed):
        batches = list(self.source.shuffled(batch_size, seed))
        yield from batches[: len(batches) // 2]

    def ordered(self, batch_size):
        batches = list(self.source.ordered(batch_size))
        yield from batches[: len(batches) // 2]
