"""Documents whose tables are made from records: a mark names the command, its output stands below. No torch."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from baselines.names import UserError

MARK = re.compile(r"<!-- ivi (?P<command>(?P<name>table|compare) .*?) -->\n(?P<body>.*?)<!-- end -->\n", re.S)
"""A command of `ivi table` or `ivi compare`, what it printed, and the end."""
_BEGIN = re.compile(r"^<!-- (?:ivi (?:table|compare)|code:).*-->$", re.M)
AT_ONCE = 2
"""Commands that run beside each other: each takes half a second."""


def filled(text: str, where: Path) -> str:
    """``text`` with the output of every mark's command, run in the folder ``where``.

    Raises:
        UserError: there is no mark, one has no end, or a command refuses; the command is named.
    """
    marks = list(MARK.finditer(text))
    for mark in marks:
        inner = _BEGIN.search(mark["body"])
        if inner is not None or "-->" in mark["command"]:
            raise UserError(
                f"'<!-- ivi {mark['command'].splitlines()[0]} -->' has no '<!-- end -->' before the next mark"
            )
    begun = re.findall(r"^<!-- ivi (?:table|compare) .*$", text, re.M)
    if len(begun) > len(marks):
        open_ones = [line for line in begun if not any(line == f"<!-- ivi {mark['command']} -->" for mark in marks)]
        raise UserError(f"'{(open_ones or begun)[-1]}' has no '<!-- end -->' on a line of its own")
    if not marks:
        raise UserError("no marks to fill: put '<!-- ivi table quick -->' and '<!-- end -->' on lines of their own")
    with ThreadPoolExecutor(AT_ONCE) as threads:
        parts = iter(list(threads.map(lambda mark: _filled(mark["name"], mark["command"], where), marks)))
    return MARK.sub(lambda _: next(parts), text)


def _filled(name: str, command: str, where: Path) -> str:
    output = _output(shlex.split(command), where)
    body = output if name == "table" else f"```text\n{output}```\n"
    return f"<!-- ivi {command} -->\n{body}<!-- end -->\n"


def _output(arguments: list[str], where: Path) -> str:
    form = ["--format", "md"] if arguments[0] == "table" else []
    # -P: a folder called `benchmarks` where the command runs is no part of the program
    whole = [sys.executable, "-P", "-m", "benchmarks.cli", *arguments, *form]
    done = subprocess.run(whole, cwd=where, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"ivi {shlex.join(arguments)}: {done.stderr.strip().removeprefix('error: ')}")
    return done.stdout
