"""A wall around a process: bubblewrap builds namespaces with next to nothing in them, a process walks in. No torch.

Inside there are the interpreter with its packages, our code, the method's source, and of a job's data the one file that
it may see. There is no network, no other process, no home, cache or results, no file that can be written but in memory.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data.truth import FIT, INPUTS, TRUTH
from benchmarks.measure.environment import OURS, ROOT
from benchmarks.measure.jobs import FitJob, Job, PredictJob, SearchJob

SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/passwd",
    "/etc/group",
)
NAMESPACES = ("user", "ipc", "uts", "net", "pid", "mnt")
"""In the order in which they are entered."""
KEPT = ("PATH", "LANG", "TZ", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "PYTHONHASHSEED")
"""Variables that a process takes along."""
SCRATCH = 2**28
"""Bytes that may be written, all of them in memory."""
_CAPSET_VERSION, _LAST_CAPABILITY = 0x20080522, 40
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38


@dataclass(frozen=True)
class Wall:
    """What lies inside of every wall of one re-run.

    Attributes:
        program: of bubblewrap.
        site: where the method's source was laid out.
        hidden: folders and files that are replaced by nothing, though what holds them is mounted.
        views: data folder -> the folder with the files of it that may be mounted (`VIEW`).
        memory: bytes that one process may allocate.
    """

    program: str
    site: Path
    hidden: tuple[Path, ...]
    views: dict[Path, Path]
    memory: int

    def show(self, folder: Path, scratch: Path) -> None:
        """Let workers see sealed data: their one file, and what is known of them but for every hash.

        From the hash of the labels the order follows in which inputs of all sets are mixed.
        """
        if folder in self.views:
            return
        scratch.mkdir(parents=True, exist_ok=True)
        view = Path(tempfile.mkdtemp(prefix="view-", dir=scratch))
        manifest = json.loads((folder / "manifest.json").read_bytes()) | {"sets": {}}
        (view / "manifest.json").write_text(json.dumps(manifest))
        for name in (FIT, INPUTS, TRUTH):
            (view / name).touch()
        self.views[folder] = view

    @contextmanager
    def built(self, job: Job) -> Iterator[Enter]:
        """A wall for one job, which falls with everything behind it when the block ends."""
        command = [self.program, *self._options(job), "sh", "-c", "echo; exec sleep infinity"]
        read, write = os.pipe()
        with subprocess.Popen(
            [*command[:1], "--info-fd", str(write), *command[1:]],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            pass_fds=[write],
        ) as holder:
            os.close(write)
            try:
                yield Enter(_inside(holder, read), self.memory)
            finally:
                holder.kill()

    def _options(self, job: Job) -> Iterator[str]:
        yield from ("--die-with-parent", "--new-session", "--cap-drop", "ALL")
        yield from ("--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--proc", "/proc")
        yield from ("--dev", "/dev") if job.setting.device == "cpu" else ("--dev-bind", "/dev", "/dev")
        for place in ("/tmp", "/dev/shm"):
            yield from ("--size", str(SCRATCH), "--tmpfs", place)
        mounted = [*SYSTEM, sys.base_prefix, sys.prefix, *(str(ROOT / package) for package in OURS), str(self.site)]
        for place in mounted:
            yield from ("--ro-bind-try", place, place)
        for place in self.hidden:
            if any(place.is_relative_to(one) for one in mounted):
                yield from ("--tmpfs", str(place)) if place.is_dir() else ("--ro-bind", os.devnull, str(place))
        yield from self._data(job)
        yield from ("--remount-ro", "/", "--chdir", "/")

    def _data(self, job: Job) -> Iterator[str]:
        folder = job.setting.data
        view = self.views[folder]
        shown = {FitJob: FIT, SearchJob: FIT, PredictJob: INPUTS}.get(type(job))
        for name in sorted(path.name for path in view.iterdir()):
            real = folder if name == shown else view
            yield from ("--ro-bind", str(real / name), str(folder / name))


@dataclass(frozen=True)
class Enter:
    """What a process does first: walk into the namespaces of ``holder``, leaving all privileges behind."""

    holder: int
    memory: int

    def __call__(self, keep: set[int]) -> None:
        """Return in a process that is inside; the one outside waits for it and ends as it does."""
        from multiprocessing import parent_process

        libc = ctypes.CDLL(None, use_errno=True)
        places = [f"/proc/{self.holder}/ns/{name}" for name in NAMESPACES]
        for place in places:
            if os.stat(place).st_ino != os.stat(place.replace(str(self.holder), "self", 1)).st_ino:
                file = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
                _checked(libc.setns(file, 0), place)
                os.close(file)
        parent = parent_process()
        keep = {0, 1, 2, *keep, *([parent.sentinel] if parent else [])}
        inside = os.fork()  # a PID namespace holds the children of who enters it
        if inside:
            _wait_outside(inside)
        _close_all_but(keep)
        resource.setrlimit(resource.RLIMIT_DATA, (self.memory, self.memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for name in set(os.environ) - set(KEPT):
            del os.environ[name]
        os.environ["HOME"] = "/tmp"  # noqa: S108 - in memory, and this process's own
        _drop_privileges(libc)


class NoWall(Exception):
    """Bubblewrap is here and could not build a wall; its own words."""


def find_program() -> str | None:
    """Bubblewrap, if it is here and can build a wall."""
    program = shutil.which("bwrap")
    if program is None:
        return None
    options = ("--ro-bind", "/", "/", "--unshare-net", "--unshare-pid", "--proc", "/proc", "true")
    done = subprocess.run([program, *options], capture_output=True, check=False, timeout=60)
    return program if done.returncode == 0 else None


def _inside(holder: subprocess.Popen, info: int) -> int:
    """The process that holds the namespaces, once all is mounted.

    Raises:
        NoWall: bubblewrap could not build them.
    """
    assert holder.stdout is not None and holder.stderr is not None
    with os.fdopen(info) as file:
        if not holder.stdout.readline():
            raise NoWall(holder.stderr.read().decode(errors="replace").strip()[:300])
        return int(json.loads(file.read())["child-pid"])


def _wait_outside(inside: int) -> None:
    os.closerange(3, 2**16)
    _, status = os.waitpid(inside, 0)
    if os.WIFSIGNALED(status):
        with suppress(OSError):
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _close_all_but(keep: set[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in keep:
            with suppress(OSError):
                os.close(int(name))


def _drop_privileges(libc: ctypes.CDLL) -> None:
    for capability in range(_LAST_CAPABILITY + 1):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPSET_VERSION, 0)
    _checked(libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")
    _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def _checked(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def hidden_data(packages: Sequence[Path]) -> list[Path]:
    """Folders of installed ``packages`` in which they bring data along."""
    found: list[Path] = []
    for package in packages:
        for pattern in ("data", "*/data", "*-data/fonts"):
            found += [place for place in package.glob(pattern) if place.is_dir()]
    return found
