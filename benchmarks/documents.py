"""Documents whose tables are made from records: a mark names the command, its output stands below. No torch."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from baselines.names import UserError

MARK = re.compile(r"<!-- ivi (?P<command>(?P<name>table|compare) .*?) -->\n.*?<!-- end -->\n", re.S)
"""A command of `ivi table` or `ivi compare`, what it printed, and the end."""


def filled(text: str, folder: Path) -> str:
    """``text`` with the output of every mark's command on the records in ``folder``.

    Raises:
        UserError: there is no mark, or a command refuses; the command is named.
    """
    if not MARK.search(text):
        raise UserError("no marks to fill: put '<!-- ivi table quick -->' and '<!-- end -->' on lines of their own")
    return MARK.sub(lambda mark: _filled(mark["name"], mark["command"], folder), text)


def _filled(name: str, command: str, folder: Path) -> str:
    output = _output([*shlex.split(command), "--device", "cpu", "--out", str(folder)])
    body = output if name == "table" else f"```text\n{output}```\n"
    return f"<!-- ivi {command} -->\n{body}<!-- end -->\n"


def _output(arguments: list[str]) -> str:
    form = ["--format", "md"] if arguments[0] == "table" else []
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cli", *arguments, *form], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UserError(f"ivi {shlex.join(arguments)}: {done.stderr.strip().removeprefix('error: ')}")
    return done.stdout
