"""What is installed beside the suite and was not asked for is not loaded by commands that read records."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_plug_in_of_pydantic_is_not_loaded_with_the_records(tmp_path):
    (tmp_path / "stranger.py").write_text("raise SystemExit('a stranger was loaded')\n")
    info = tmp_path / "stranger-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pydantic]\nstranger = stranger:plugin\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    environment = {key: value for key, value in os.environ.items() if key != "PYDANTIC_DISABLE_PLUGINS"}
    command = "from benchmarks.cli import main; main()"
    records = ["--folder", str(ROOT / "leaderboard" / "records" / "quick")]
    made = subprocess.run(
        [sys.executable, "-c", command, "table", "quick", *records],
        capture_output=True, text=True, check=False, env=environment | {"PYTHONPATH": path}, cwd=tmp_path,
    )  # fmt: skip
    assert made.returncode == 0 and "stranger" not in made.stderr + made.stdout
