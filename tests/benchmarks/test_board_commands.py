"""`ivi table`, `compare`, `verify`, `figures`, `cost` as a user meets them: each runs in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

IVI = Path(sys.executable).with_name("ivi")
SUITE = """
name = "tiny"
description = "a suite for tests"
tasks = ["digits-mlp"]
methods = ["map", "mc_dropout(passes=2)", "mc_dropout(passes=4)"]
seeds = [0, 1]
"""


def ivi(*arguments, cwd, code=0):
    done = subprocess.run([IVI, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the tiny suite has been run, and its cost measured."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "tiny.toml").write_text(SUITE)
    (folder / "wrong.md").write_text("<!-- ivi table quikc -->\n<!-- end -->\n")
    ivi("run", "tiny.toml", cwd=folder)
    done = ivi("cost", "digits-mlp", "-m", "mc_dropout(passes=4)", "--rounds", 2, "--threads", 1, cwd=folder)
    assert "mc_dropout(passes=4)" in done.stdout and not done.stderr, done.stderr
    return folder


def records(folder):
    return [path for path in (folder / "results").glob("*/*/*.json") if path.name.count(".") == 2]


def test_records_hold_operations_and_name_random_and_normalizing_layers(folder):
    for data in (json.loads(path.read_text()) for path in records(folder)):
        dropout = data["identity"]["method"]["name"] == "mc_dropout"
        assert data["cost"]["fit_flops"] > 1e8 and data["cost"]["predict_flops"] > 1e4
        assert data["audit"]["random"] == (["model.hidden.2", "model.hidden.5"] if dropout else [])
        assert data["audit"]["normalization"] == ["model.hidden.1", "model.hidden.4"]
        assert data["audit"]["not_updated"] == []


def test_columns_are_chosen_and_the_json_has_them(folder):
    chosen = "brier,auroc_energy_near,ood_near/glyphs:fpr95_entropy,predict_mflops,fit"
    rows = json.loads(ivi("table", "tiny.toml", "-f", "json", "--columns", chosen, cwd=folder).stdout)["rows"]
    assert list(rows[0]["metrics"]) == chosen.split(",")
    assert all(isinstance(row["metrics"][key]["mean"], float) for row in rows for key in chosen.split(",")[:-1])


def test_measured_costs_stand_in_the_table_and_others_are_left_out(folder):
    shown = ivi("table", "tiny.toml", "-f", "md", "-c", "fit", cwd=folder).stdout
    assert "alternated with MAP in one process (ivi cost), median of 2 rounds" in shown
    cells = {
        line.split(" | ")[0].removeprefix("| "): line.split(" | ")[2] for line in shown.splitlines() if "|" in line
    }
    assert (
        cells["mc_dropout(passes=2)"].startswith("–") and "±" in cells["mc_dropout(passes=4)"] and "±" in cells["map"]
    )


def test_two_methods_are_compared_in_plain_sentences(folder):
    shown = " ".join(ivi("compare", "mc_dropout(passes=4)", "map", "--suite", "tiny.toml", cwd=folder).stdout.split())
    assert "95 % interval of the difference" in shown and "2 seeds" in shown
    assert "Over the 500 items of test, these trainings held fixed" in shown and "paired bootstrap" in shown


def test_a_folder_of_the_name_of_a_package_is_no_part_of_the_program(folder, tmp_path):
    for name in ("benchmarks", "baselines", "leaderboard", "ivi"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('a stranger was imported')")
    done = ivi("run", folder / "tiny.toml", "--methods", "map", "--seeds", 1, cwd=tmp_path)
    assert "map · seed 0  ok" in done.stdout


def test_a_document_gets_the_output_of_the_commands_that_its_marks_name(folder, tmp_path):
    suite = folder / "tiny.toml"
    table, comparison = f"ivi table {suite} -c nll", f"ivi compare 'mc_dropout(passes=4)' map --suite {suite}"
    page = tmp_path / "page.md"
    page.write_text(f"# A\n<!-- {table} -->\noutdated\n<!-- end -->\nB\n<!-- {comparison} -->\n<!-- end -->\n")
    ivi("table", "--write", page, cwd=folder)
    text = page.read_text()
    assert f"<!-- {table} -->\n| method | n | NLL, nats ↓ |\n" in text and "outdated" not in text
    assert f"B\n<!-- {comparison} -->\n```text\ndigits-mlp\nNLL, nats ↓: mc_dropout(passes=4) 0." in text
    ivi("table", "--write", page, cwd=folder)
    assert page.read_text() == text


def test_figures_are_written_and_named(folder):
    done = ivi("figures", "tiny.toml", "--to", "pictures", cwd=folder)
    files = [folder / line for line in done.stdout.split()]
    assert all(file.stat().st_size > 1000 for file in files)
    names = {file.stem.partition("-")[0] for file in files}
    assert names == {
        "reliability",
        "risk_coverage",
        "ood_entropy",
        "pareto_fit",
        "pareto_predict",
        "draws",
        "draws_flops",
    }
    said = " ".join(done.stderr.split())
    assert "severity: no shifted sets" in said and "critical differences: need two tasks" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["table", "--columns", "nlll"], "unknown column 'nlll': did you mean 'nll'?"),
        (["table", "--columns", "shift"], "no record has a column of 'shift'"),
        (["table", "--sort", "acuracy"], "unknown column 'acuracy': did you mean 'accuracy'?"),
        (["table", "--against", "mapp"], "unknown method 'mapp': did you mean 'map'?"),
        (["compare", "map", "mc_dropot"], "unknown method 'mc_dropot'"),
        (["compare", "map", "map", "--metric", "nl"], "unknown column 'nl': did you mean 'nll'?"),
        (["compare", "map", "map", "--task", "digit"], "unknown task 'digit': did you mean 'digits-mlp'?"),
        (["table", "--where", "nll<0.2"], "--where: 'nll<0.2' is not COLUMN<=NUMBER or COLUMN>=NUMBER"),
        (["table", "--where", "nlll<=1"], "unknown column 'nlll': did you mean 'nll'?"),
        (["table", "--where", "accuracy>=2"], "no row has accuracy>=2"),
        (["table", "--write", "tiny.toml"], "tiny.toml: no marks to fill: put '<!-- ivi table quick -->'"),
        (["table", "--write", "nowhere.md"], "nowhere.md: No such file or directory"),
        (["table", "--write", "wrong.md"], "wrong.md: ivi table quikc: unknown suite"),
        (["verify", "nowhere"], "nowhere: no such folder"),
        (["figures", "quick"], "no records of quick in results"),
        (["cost", "digits-mpl"], "unknown task 'digits-mpl': did you mean 'digits-mlp'?"),
        (["cost", "digits-mlp", "--rounds", "0"], "--rounds must be at least 1, not 0"),
        (["cost", "digits-mlp", "--methods", "mpa"], "unknown method 'mpa': did you mean 'map'?"),
        (["cost", "digits-mlp", "--out", "/dev/null/x"], "cannot write to /dev/null/x: Not a directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_exit_code_2(folder, arguments, message):
    done = ivi(*arguments, cwd=folder, code=2)
    assert message in done.stderr and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


def test_verify_names_what_was_changed_and_exits_with_1(folder, tmp_path):
    for source in (folder / "results" / "digits-mlp").rglob("*.*"):
        target = tmp_path / "results" / source.relative_to(folder / "results")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    assert "6 records, 6 recomputed from their predictions: every number agrees" in ivi("verify", cwd=tmp_path).stdout
    first, second, *_ = sorted(records(tmp_path))
    data = bytearray(first.with_suffix(".safetensors").read_bytes())
    data[-9] ^= 1
    first.with_suffix(".safetensors").write_bytes(data)
    scores = second.with_suffix(".scores.json")
    changed = json.loads(scores.read_text())
    changed["sets"]["test"]["nll"] += 1e-6
    scores.write_text(json.dumps(changed))
    done = ivi("verify", "results", cwd=tmp_path, code=1)
    assert f"{first.with_suffix('.safetensors').relative_to(tmp_path)}: has SHA-256" in done.stdout
    assert f"{scores.relative_to(tmp_path)}: test nll is stored as" in done.stdout
    assert "2 findings in 6 records" in done.stderr
