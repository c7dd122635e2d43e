"""Documents say what the code says."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from commands import ivi_apart
from PIL import Image
from typer.main import get_command

from benchmarks.cli import app
from benchmarks.documents import MARK, filled

ROOT = Path(__file__).parent.parent
CODE = re.compile(r"<!-- code: (?P<file>\S+) -->\n```python\n(?P<code>.*?)```\n<!-- end -->", re.S)
LINK = re.compile(r"\]\((?!https?:)(?P<target>[^)#]+)")
COMMANDS = get_command(app).commands
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


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_in_a_document_is_one_that_the_program_takes(path):
    blocks = re.findall(r"^```sh.*?\n(.*?)^```", path.read_text(), re.M | re.S)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    commands = [line.removeprefix(".venv/bin/") for line in lines if line.removeprefix(".venv/bin/").startswith("ivi ")]
    commands += [f"ivi {mark['command']}" for mark in MARK.finditer(path.read_text())]
    for line in commands:
        name, *arguments = shlex.split(line, comments=True)[1:]
        if name in COMMANDS:
            COMMANDS[name].make_context(name, arguments)
        else:
            assert name == "--help", line


@pytest.mark.slow
def test_the_task_on_ones_own_images_in_the_readme_runs(tmp_path):
    for name, text in re.findall(r"```toml\n# (\S+)\n(.*?)```", (ROOT / "README.md").read_text(), re.S):
        (tmp_path / name).write_text(text.replace("epochs = 30", "epochs = 1"))
    rng = np.random.default_rng(0)
    for split, count in (("train", 900), ("test", 100)):
        for i in range(count):
            folder = tmp_path / "leaves" / split / ("oak", "beech")[i % 2]
            folder.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 120, (40, 36, 3), dtype=np.uint8)
            pixels[..., i % 2] += 100
            Image.fromarray(pixels).save(folder / f"{i}.png")
    arguments = ("run", "leaves-resnet18.toml", "-m", "map", "-s", 1)
    assert "map · seed 0  ok" in ivi_apart(*arguments, cwd=tmp_path, IVI_CACHE=str(tmp_path / "cache")).stdout


def test_readme_has_the_commands_that_ci_runs():
    readme = (ROOT / "README.md").read_text()
    assert "```sh quick\n" in readme and "```sh test\n" in readme


def test_the_published_records_are_small_enough_for_a_repository():
    sizes = {path: path.stat().st_size for path in (ROOT / "leaderboard").rglob("*") if path.is_file()}
    predictions = sum(size for path, size in sizes.items() if path.suffix == ".safetensors")
    assert predictions < 60 * 2**20 and sum(sizes.values()) - predictions < 48 * 2**20
