"""How often is an honest bundle accused? `python tests/benchmarks/false_alarms.py FOLDER`.

Every method of `SOURCES` is run on the suite smoke, put into a bundle and reviewed whole, as `ivi review` does it:
files, sandbox, a submitted seed made again, fresh seeds, asked again. They are made under several numbers of threads,
orders of seeds and instruction sets, and reviewed under others. What is there already is not made again; a line for
each bundle is added to FOLDER/reviews.jsonl, of which a table is printed at the end.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = (
    *(ROOT / "tests/benchmarks/methods" / name for name in ("honest.py", "ideas.py")),
    *(ROOT / "tests/baselines/methods" / name for name in ("diagonal_swag.py", "sharpness_aware.py")),
)


@dataclass(frozen=True)
class Group:
    """How bundles are made and reviewed.

    Attributes:
        seeds: in this order.
        made: environment variables while they are made; ``reviewed``: while they are reviewed.
    """

    name: str
    seeds: str
    made: dict[str, str]
    reviewed: dict[str, str]


GROUPS = (
    Group("equal machine", "0,1", {"OMP_NUM_THREADS": "1"}, {"OMP_NUM_THREADS": "2"}),
    Group("seeds in another order", "1,0", {"OMP_NUM_THREADS": "2"}, {"OMP_NUM_THREADS": "1"}),
    Group("another instruction set", "0,1", {"ATEN_CPU_CAPABILITY": "default"}, {"OMP_NUM_THREADS": "4"}),
)


def methods() -> list[str]:
    """All of them, as `ivi` names those of a file: its dataclasses."""
    found = ((path, one) for path in SOURCES for one in ast.parse(path.read_text()).body)
    return [f"{path}:{one.name}" for path, one in found if isinstance(one, ast.ClassDef) and one.decorator_list]


def members(group: Group) -> list[str]:
    """The methods of a group: every third."""
    return methods()[GROUPS.index(group) :: len(GROUPS)]


def made(folder: Path, group: Group) -> None:
    """Records of a group's methods and of MAP, and a bundle of each method."""
    from baselines.spec import parse
    from benchmarks.commands.options import chosen_runs
    from benchmarks.submission.bundle import Draft, Words, make_bundle, measured

    texts = members(group)
    results = folder / group.name / "results"
    more = [part for text in texts for part in ("--method", text)]
    command = ["run", "smoke", "-m", "map", *more, "--seeds", group.seeds, "--device", "cpu", "--out", results]
    subprocess.run([sys.executable, "-m", "benchmarks.cli", *map(str, command)], check=False)
    for text in texts:
        spec, bundles = parse(text), folder / group.name / "bundles"
        if (bundles / spec.name / "1").exists():
            continue
        chosen = chosen_runs("smoke", "map", group.seeds, "cpu", [text])
        words = Words("A. Author", "MIT", "nothing")
        draft = Draft(spec, "smoke", chosen.suite.description, chosen.runs, results, words)
        make_bundle(draft, bundles, lambda into, c=chosen, s=spec: measured(c.runs, s, 1, 20, into), lambda: "made\n")


def reviewed(folder: Path, group: Group, done: set[str]) -> None:
    """A line for every bundle of a group that has none."""
    from benchmarks.submission import reviewing

    for bundle in sorted((folder / group.name / "bundles").glob("*/1")):
        if bundle.parent.name in done:
            continue
        began = time.monotonic()
        board = reviewing.published(without=[bundle])
        verdict = reviewing.reviewed(bundle, board)
        if verdict.state != "refused":
            verdict, report = reviewing.with_rerun(bundle, verdict, lambda words: None)
            (bundle.parent / "report.json").write_text(json.dumps(report, default=str))
        line = {"method": bundle.parent.name, "group": group.name, "state": verdict.state}
        line |= {"findings": [f"{one.level} ({one.check}) {one}" for one in verdict.findings]}
        line |= {"seconds": round(time.monotonic() - began, 1), "at": time.strftime("%Y-%m-%d %H:%M")}
        with (folder / "reviews.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(line, flush=True)


def table(lines: list[dict]) -> str:
    """Of each group: how many bundles, how many were accused."""
    tried = Counter(line["group"] for line in lines)
    accused = Counter(line["group"] for line in lines if line["state"] != "rerun")
    rows = [f"| {name} | {count} | {accused[name]} |" for name, count in tried.items()]
    total = f"| in all | {len(lines)} | {accused.total()} |"
    return "\n".join(["| made on | honest bundles | accused |", "|---|--:|--:|", *rows, total])


def lines_of(folder: Path) -> list[dict]:
    path = folder / "reviews.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main(folder: str, what: str = "", name: str = "") -> None:
    place = Path(folder).absolute()
    place.mkdir(parents=True, exist_ok=True)
    group = next((one for one in GROUPS if one.name == name), None)
    if group is not None:
        made(place, group) if what == "make" else reviewed(place, group, {one["method"] for one in lines_of(place)})
        return
    for one in GROUPS:
        for step, variables in (("make", one.made), ("review", one.reviewed)):
            surroundings = os.environ | {"PYTHONPATH": str(ROOT)} | variables
            subprocess.run([sys.executable, __file__, place, step, one.name], env=surroundings, check=False)
    print(table(lines_of(place)))


if __name__ == "__main__":
    main(*sys.argv[1:])
