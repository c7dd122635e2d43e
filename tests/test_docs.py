"""Documents say what the code says."""

import re
from pathlib import Path

import pytest

from benchmarks.results import planned
from benchmarks.suite import load_suite, plan
from leaderboard import formats, table
from leaderboard.cost import read_costs
from leaderboard.record import read_all

ROOT = Path(__file__).parent.parent
CODE = re.compile(r"<!-- code: (?P<file>\S+) -->\n```python\n(?P<code>.*?)```\n<!-- end -->", re.S)
LINK = re.compile(r"\]\((?!https?:)(?P<target>[^)#]+)")
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_code_in_a_document_is_the_file_that_it_names(path):
    for match in CODE.finditer(path.read_text()):
        assert match["code"] == (ROOT / match["file"]).read_text(), match["file"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_in_a_document_leads_somewhere(path):
    for match in LINK.finditer(path.read_text()):
        assert (path.parent / match["target"]).exists(), match["target"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_table_in_a_document_is_what_the_published_records_say(path):
    for name in re.findall("<!-- table: (\\S+) -->", path.read_text()):
        runs = plan(load_suite(name))
        folder = ROOT / "leaderboard" / "records"
        rows = table.fold(read_all(folder), planned(runs), costs=read_costs(folder))
        assert formats.insert(path.read_text(), name, formats.as_markdown(rows)) == path.read_text()


def test_readme_has_the_commands_that_ci_runs():
    readme = (ROOT / "README.md").read_text()
    assert "```sh run\n" in readme and "```sh test\n" in readme
