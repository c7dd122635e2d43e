"""Documents say what the code says."""

import re
from pathlib import Path

import pytest

from benchmarks.documents import MARK, filled

ROOT = Path(__file__).parent.parent
CODE = re.compile(r"<!-- code: (?P<file>\S+) -->\n```python\n(?P<code>.*?)```\n<!-- end -->", re.S)
LINK = re.compile(r"\]\((?!https?:)(?P<target>[^)#]+)")
DOCUMENTS = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md")), *(ROOT / "leaderboard").glob("*.md")]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_code_in_a_document_is_the_file_that_it_names(path):
    for match in CODE.finditer(path.read_text()):
        assert match["code"] == (ROOT / match["file"]).read_text(), match["file"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_in_a_document_leads_somewhere(path):
    for match in LINK.finditer(path.read_text()):
        assert (path.parent / match["target"]).exists(), match["target"]


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if MARK.search(path.read_text())], ids=lambda p: p.name)
def test_tables_in_a_document_are_what_the_published_records_say(path):
    assert filled(path.read_text(), ROOT) == path.read_text()


def test_readme_has_the_commands_that_ci_runs():
    readme = (ROOT / "README.md").read_text()
    assert "```sh run\n" in readme and "```sh test\n" in readme
