"""Write the two TOML files of what was found, and read them back as a run will."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from baselines.names import UserError
from benchmarks.data.spec import read_spec
from benchmarks.own.look import Found, relative, task_of
from benchmarks.own.toml import dumps
from benchmarks.suite import load_task


@dataclass(frozen=True)
class Written:
    """Paths of the two files."""

    data: Path
    task: Path


def write(found: Found, folder: Path, force: bool = False) -> Written:
    """Write the data set's file and the task's into ``folder``.

    Raises:
        UserError: they are there already, or the folder is not.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: make it first")
    data_path = folder / f"{found.name}.toml"
    task = task_of(found, data_path.name)
    files = Written(data_path, folder / f"{task['name']}.toml")
    there = next((file for file in (files.data, files.task) if file.exists()), None)
    if there is not None and not force:
        raise UserError(f"{there} is there already: --force writes over it")
    sources = [source | {"path": relative(Path(source["path"]), folder)} for source in found.data["sources"]]
    notes = ["What the data are. Licence, citation and names are for you to fill in; docs/data.md has every key."]
    files.data.write_text(dumps(found.data | {"sources": sources}, notes), encoding="utf-8")
    notes = ["What is trained on them, and how: any network of timm, any recipe. A changed task grows its version."]
    files.task.write_text(dumps(task, notes), encoding="utf-8")
    read_spec(str(files.data))
    load_task(str(files.task))
    return files
