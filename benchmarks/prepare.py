"""A task's data, cut and sealed once: what fits, what is asked, what is true, each in a file of its own. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from filelock import FileLock
from pydantic import ValidationError

from baselines.likelihood import Categorical, Gaussian, Likelihood
from baselines.names import UserError
from benchmarks.data.sources.files import below
from benchmarks.data.spec import Builtin, DataSpec, Idx, Local, read_spec
from benchmarks.data.truth import FIT, INPUTS, TRUTH
from benchmarks.machine import cache_folder
from benchmarks.measure.environment import sources_hash
from benchmarks.measure.process import Gone, Lazily, child
from benchmarks.pretrained import described
from benchmarks.suite import Task
from leaderboard.identity import Count, Part, Sha256, content_of, digest
from leaderboard.record import SetInfo

FORMAT = 1
"""Grows when the files change their form."""
LIMIT = 24 * 3600.0
"""Seconds that decoding a task's data may take."""


class Manifest(Part):
    """What the driver knows of sealed data.

    Attributes:
        sets: of every set, training and validation too: size and hashes.
        spec: SHA-256 of the data set's spec.
        classes: number of classes; None where the target is a real number.
        target_mean, target_std: of the training targets, where it is one.
        order: seed of the mixed order where inputs are streamed from where they lie, too large to seal; else None.
        fills: what stands in empty cells of a table, by the training rows.
    """

    sets: dict[str, SetInfo]
    spec: Sha256
    classes: Count | None
    target_mean: float = 0.0
    target_std: float = 1.0
    order: Count | None = None
    fills: dict[str, float] = {}


@dataclass(frozen=True)
class Prepared:
    """Sealed data: the folder, and what is in it."""

    folder: Path
    manifest: Manifest

    @property
    def likelihood(self) -> Likelihood:
        """What the outputs of a network for it mean."""
        known = self.manifest
        if known.classes is not None:
            return Categorical(known.classes)
        return Gaussian(known.target_mean, known.target_std)

    @property
    def content(self) -> str:
        """SHA-256 of the hashes of all sets."""
        return content_of(self.manifest.sets)

    @property
    def evaluation(self) -> dict[str, SetInfo]:
        """The sets that are predicted: all but the training set."""
        return {name: one for name, one in self.manifest.sets.items() if name != "train"}


def _say_nothing(words: str) -> None:
    """Nobody waits."""


def prepare(task: Task, say: Callable[[str], None] = _say_nothing) -> Prepared:
    """The sealed data of ``task``, made now if they are not there: so what is missing is said before the first run.

    Many processes may ask at once: one makes them, the others wait and read.

    Args:
        task: whose data.
        say: told what is waited for, if they are to be made.

    Raises:
        UserError: a set cannot be had; the message says what to do.
    """
    folder = folder_of(task)
    found = read(folder)
    if found is not None:
        return found
    with _alone(folder):
        return read(folder) or _made(task, folder, say)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Who seals takes away what lies there, under the eyes of whoever reads it: one at a time, beside the folder."""
    lock = FileLock(folder.parent / f"{folder.name}.lock")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise UserError(
            f"cannot write to {folder.parent}: {error.strerror}; name another folder in IVI_CACHE"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _made(task: Task, folder: Path, say: Callable[[str], None]) -> Prepared:
    trunk = ", and what the frozen trunk makes of them" if task.model.frozen else ""
    say(f"task {task.name}: reading the data{trunk}, once")
    with child(Lazily("benchmarks.sealing:seal_task"), (task, folder), LIMIT) as process:
        try:
            values, _ = process.receive()
        except Gone as error:
            raise UserError(f"task {task.name}: the process that decodes its data {error}") from None
    found = read(folder)
    if values["kind"] == "refused" or found is None:
        raise UserError(f"task {task.name}: {values.get('reason', 'its sealed data cannot be read back')}")
    return found


def folder_of(task: Task) -> Path:
    """Where the sealed data of ``task`` lie: the name says everything that they depend on."""
    ood = task.ood.near + task.ood.far if task.ood else ()
    own = read_spec(task.data.name)
    names = [task.data.name, *ood, *([corrupted] if (corrupted := getattr(own, "published_corruptions", None)) else [])]
    parts = [task.model_dump(mode="json", include={"data", "ood", "shift"}), FORMAT, _code()]
    # Streamed data are read anew at each use, in the form that the task's weights want; others are sealed in it.
    wanted = getattr(own, "stream", False) or task.model.pretrained is not None
    parts += [described(task.model)] if wanted else []
    # What a frozen trunk computes depends on more than the pictures.
    parts += [sources_hash(["benchmarks/models"]), _version("timm"), _version("torch")] if task.model.frozen else []
    key = digest([*parts, *(list(_content(read_spec(name))) for name in names)])
    return cache_folder() / "tasks" / f"{task.name}-{key[:16]}"


def _content(spec: DataSpec) -> Iterator[str]:
    """What the bytes of a data set depend on, without reading them."""
    yield digest(spec.model_dump(mode="json"))
    for source in spec.sources:
        if isinstance(source, Builtin):
            yield _version(source.package)
        elif isinstance(source, Local | Idx):
            place = source.path if isinstance(source, Local) else source.folder
            for path in sorted(below(place)) if place.is_dir() else [place]:
                if path.is_file():
                    status = path.stat()  # a copy can keep the time of change of what it replaces, but not its own
                    yield f"{path} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def read(folder: Path) -> Prepared | None:
    """The sealed data in ``folder``; None if they are not whole."""
    try:
        manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
    except (OSError, ValidationError):
        return None
    wanted = (TRUTH,) if manifest.order is not None else (FIT, INPUTS, TRUTH)
    return Prepared(folder, manifest) if all((folder / name).is_file() for name in wanted) else None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


@cache
def _code() -> str:
    return sources_hash(["benchmarks/data"])
