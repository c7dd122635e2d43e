"""How long the commands take that only look something up, beside the import of the libraries that they stand on.

Run with ``pytest benchmarks/speed/test_commands.py -s``. Alternated, in CPU time of whole processes; the ratio of the
medians is printed beside its target, never asserted: a busy machine is no fault of the code.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARIES = "import numpy, pydantic.main, rich.console, rich.table, typer.main"
TARGET = 2.5
"""Half a second, where the import of the libraries takes 0.2."""
COMMANDS = ["--help", "list methods", "list suites", "list tasks", "list columns"]
COMMANDS += ["table quick --out leaderboard/records/quick"]


def seconds(code: str, *arguments: str) -> float:
    """CPU seconds of a new Python that runs ``code``."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_looks_something_up(command):
    ivi = "from benchmarks.cli import main; main()"
    rounds = [(seconds(ivi, *command.split()), seconds(LIBRARIES)) for _ in range(7)]
    ours, base = zip(*rounds, strict=True)
    ratio = statistics.median(ours) / statistics.median(base)
    least = f"least {min(ours):.3f} s, {min(base):.3f} s"
    print(f"\nivi {command}: {ratio:.2f} times the libraries (target {TARGET}); {least}")


def test_no_command_that_looks_something_up_loads_torch():
    code = f"import sys; from benchmarks.cli import app\nfor c in {COMMANDS}: app(c.split(), standalone_mode=False)\n"
    code += "print({'torch', 'pandas', 'scipy', 'timm'} & sys.modules.keys(), file=sys.stderr)"
    made = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert made.stderr.strip() == "set()"
