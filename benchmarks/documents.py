"""Documents whose tables are made from records: a mark names the command, its output stands below. No torch."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from baselines.names import UserError
from benchmarks.measure.environment import cores

MARK = re.compile(r"<!-- ivi (?P<command>(?P<name>table|compare) .*?) -->\n.*?<!-- end -->\n", re.S)
"""A command of `ivi table` or `ivi compare`, what it printed, and the end."""


def filled(text: str, where: Path) -> str:
    """``text`` with the output of every mark's command, run in the folder ``where``.

    Raises:
        UserError: there is no mark, or a command refuses; the command is named.
    """
    marks = list(MARK.finditer(text))
    if not marks:
        raise UserError("no marks to fill: put '<!-- ivi table quick -->' and '<!-- end -->' on lines of their own")
    with ThreadPoolExecutor(cores()) as threads:
        parts = iter(list(threads.map(lambda mark: _filled(mark["name"], mark["command"], where), marks)))
    return MARK.sub(lambda _: next(parts), text)


def _filled(name: str, command: str, where: Path) -> str:
    output = _output(shlex.split(command), where)
    body = output if name == "table" else f"```text\n{output}```\n"
    return f"<!-- ivi {command} -->\n{body}<!-- end -->\n"


def _output(arguments: list[str], where: Path) -> str:
    form = ["--format", "md"] if arguments[0] == "table" else []
    whole = [sys.executable, "-m", "benchmarks.cli", *arguments, "--device", "cpu", *form]
    done = subprocess.run(whole, cwd=where, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"ivi {shlex.join(arguments)}: {done.stderr.strip().removeprefix('error: ')}")
    return done.stdout
