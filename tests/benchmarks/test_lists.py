"""Lists of what there is: for pipes, and for a name that nothing has."""

import pytest
from commands import ivi, ivi_apart

from baselines.registry import known_methods, variants
from benchmarks import suite
from leaderboard.columns import every


@pytest.mark.parametrize("kind", ["columns", "tasks", "suites", "methods"])
def test_a_list_that_is_piped_has_one_line_for_each(tmp_path, kind):
    shown = ivi_apart("list", kind, cwd=tmp_path, COLUMNS="40").stdout
    names = {line.split()[0] for line in shown.splitlines() if line.strip()}
    known = {
        "methods": [*known_methods(), *variants()],
        "tasks": suite.names("task"),
        "suites": suite.names("suite"),
        "columns": [one.key for one in every()],
    }
    assert names >= set(known[kind]) and len(shown.splitlines()) <= len(known[kind]) + 4, shown


def test_suites_and_tasks_are_listed_apart_for_a_name_that_is_neither(tmp_path):
    said = ivi("run", "quik", cwd=tmp_path, code=2).stderr
    suites, _, tasks = said.partition("(suites: ")[2].partition("; tasks: ")
    assert suites.split(", ") == suite.names("suite") and tasks.strip(") \n").split(", ") == suite.names("task")
