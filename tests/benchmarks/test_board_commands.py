"""`ivi table`, `compare`, `verify`, `figures`, `cost` on what real runs have left."""

import json
import resource
import shutil

import pytest
from builders import made as record_of
from builders import sha
from commands import is_ranked, ivi, of, records, rows

from leaderboard.record import PredictionsInfo
from leaderboard.scores import Scores, write_scores
from leaderboard.store import path_of, write_once

PASSES = "mc_dropout(passes=2)"


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    """Where the suite has been run, and its cost measured."""
    folder = tmp_path_factory.mktemp("board")
    shutil.copytree(made / "results", folder / "results")
    (folder / "wrong.md").write_text("<!-- ivi table quikc -->\n<!-- end -->\n")
    (folder / "plain.md").write_text("nothing here\n")
    done = ivi("cost", "digits-mlp", "-m", PASSES, "--rounds", 2, "--steps", 20, cwd=folder)
    assert PASSES in done.stdout and not done.stderr, done.stderr
    return folder


def test_every_row_of_a_whole_suite_is_ranked(folder):
    found = rows("tiny", cwd=folder)
    assert set(found) == {"map", "laplace", PASSES} and all(row["n"] == 2 for row in found.values())
    assert all(map(is_ranked, found.values())), [row["reason"] for row in found.values()]


def test_columns_are_chosen_and_the_json_has_them(folder):
    chosen = "brier,auroc_energy_near,ood_near/glyphs:fpr95_entropy,predict_mflops,fit,stored"
    for row in rows("tiny", "--columns", chosen, cwd=folder).values():
        assert list(row["metrics"]) == chosen.split(",")
        costs = ("fit",) if row["method"] == "laplace" else ()
        assert all(isinstance(row["metrics"][key]["mean"], float) for key in chosen.split(",") if key not in costs)


def test_a_method_names_all_of_its_single_runs_and_all_means_every_row(folder):
    found = rows("tiny", "--runs", "-m", f"map,{PASSES}", cwd=folder)
    assert set(found) == {f"{name}, seed {seed}" for name in ("map", PASSES) for seed in range(2)}
    assert rows("tiny", "-m", "all", cwd=folder) == rows("tiny", cwd=folder)


def test_measured_costs_stand_in_the_table_and_the_legend_names_them(folder):
    found = rows("tiny", "-c", "fit,predict,memory", cwd=folder)
    assert {name: row["cost_rounds"] for name, row in found.items()} == {"map": 2, "laplace": 0, PASSES: 2}
    assert found["map"]["metrics"]["memory"]["mean"] == 1.0
    assert found[PASSES]["metrics"]["predict"]["mean"] > 1.2, "two passes are not for the price of one"
    shown = ivi("table", "tiny", "-f", "md", cwd=folder).stdout
    assert "alternated with MAP in one process (ivi cost), median of 2 rounds" in shown


def test_measured_costs_are_shown_where_they_were_measured_only(folder, tmp_path):
    copy = shutil.copytree(folder / "results", tmp_path / "results")
    (path,) = copy.rglob("*.cost.json")
    path.write_text(path.read_text().replace(of(copy, "map")["environment"]["code"], "0" * 64))
    assert {row["cost_rounds"] for row in rows("tiny", cwd=tmp_path).values()} == {0}


def test_two_methods_are_compared_in_plain_sentences(folder):
    shown = " ".join(ivi("compare", PASSES, "map", "--suite", "tiny", cwd=folder).stdout.split())
    assert "95 % interval of the difference" in shown and "2 seeds" in shown
    assert "Over the 500 items of test, these trainings held fixed" in shown and "paired bootstrap" in shown


def test_a_document_gets_the_output_of_the_commands_that_its_marks_name(folder, tmp_path):
    table, comparison = "ivi table tiny -c nll", f"ivi compare '{PASSES}' map --suite tiny"
    page = tmp_path / "page.md"
    page.write_text(f"# A\n<!-- {table} -->\noutdated\n<!-- end -->\nB\n<!-- {comparison} -->\n<!-- end -->\n")
    ivi("table", "--write", page, cwd=folder)
    text = page.read_text()
    assert f"<!-- {table} -->\n| method | n | NLL, nats ↓ |\n" in text and "outdated" not in text
    assert f"B\n<!-- {comparison} -->\n```text\ndigits-mlp\nNLL, nats ↓: {PASSES} 0." in text
    ivi("table", "--write", page, cwd=folder)
    assert page.read_text() == text


def test_figures_are_written_and_named(folder):
    done = ivi("figures", "tiny", "--to", "pictures", cwd=folder)
    files = [folder / line for line in done.stdout.splitlines()]
    assert files and all(file.stat().st_size > 1000 for file in files)
    names = {file.stem.partition("-")[0] for file in files}
    assert {"reliability", "risk_coverage", "ood_entropy", "pareto_fit", "pareto_predict"} <= names
    assert "left out:" in done.stderr and "severity" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["table", "--columns", "nlll"], "unknown column 'nlll': did you mean 'nll'?"),
        (["table", "--columns", "shift"], "no record has a column of 'shift'"),
        (["table", "--sort", "acuracy"], "unknown column 'acuracy': did you mean 'accuracy'?"),
        (["table", "--against", "mapp"], "unknown method 'mapp': did you mean 'map'?"),
        (["table", "-m", "mapp"], "unknown method 'mapp': did you mean 'map'?"),
        (["table", "-m", "map,laplce"], "unknown method 'laplce': did you mean 'laplace'?"),
        (["table", "-s", "x"], "--seeds must be a number of seeds"),
        (["compare", "map", "mc_dropot"], "unknown method 'mc_dropot'"),
        (["compare", "map", "map", "--metric", "nl"], "unknown column 'nl': did you mean 'nll'?"),
        (["compare", "map", "map", "--task", "digit"], "unknown task 'digit': did you mean 'digits-mlp'?"),
        (["table", "--where", "nll<0.2"], "--where: 'nll<0.2' is not COLUMN<=NUMBER or COLUMN>=NUMBER"),
        (["table", "--where", "nlll<=1"], "unknown column 'nlll': did you mean 'nll'?"),
        (["table", "--where", "accuracy>=2"], "no row has accuracy>=2"),
        (["table", "--write", "plain.md"], "plain.md: no marks to fill: put '<!-- ivi table quick -->'"),
        (["table", "--write", "nowhere.md"], "nowhere.md: No such file or directory"),
        (["table", "--write", "wrong.md"], "wrong.md: ivi table quikc: unknown suite or task"),
        (["verify", "nowhere"], "nowhere: no such folder"),
        (["figures", "quick"], "no records of quick in results"),
        (["cost", "digits-mpl"], "unknown task 'digits-mpl': did you mean 'digits-mlp'?"),
        (["cost", "digits-mlp", "--rounds", "0"], "--rounds must be at least 1, not 0"),
        (["cost", "digits-mlp", "--steps", "-1"], "--steps must be at least 1, not -1"),
        (["cost", "digits-mlp", "--methods", "mpa"], "unknown method 'mpa': did you mean 'map'?"),
        (["cost", "digits-mlp", "--out", "/dev/null/x"], "cannot write to /dev/null/x: Not a directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_exit_code_2(folder, arguments, message):
    before = sorted(folder.rglob("*"))
    done = ivi(*arguments, cwd=folder, code=2)
    assert message in done.stderr and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert sorted(folder.rglob("*")) == before


def test_verify_names_what_was_changed_and_exits_with_1(made, tmp_path):
    shutil.copytree(made / "results", tmp_path / "results")
    assert "6 records, 6 recomputed from their predictions" in ivi("verify", cwd=tmp_path).stdout
    first, second, third, *_ = records(tmp_path / "results")
    data = bytearray(first.with_suffix(".safetensors").read_bytes())
    data[-9] ^= 1
    first.with_suffix(".safetensors").write_bytes(data)
    scored = second.with_suffix(".scores.json")
    content = json.loads(scored.read_text())
    content["sets"]["test"]["nll"] += 1e-6
    scored.write_text(json.dumps(content))
    for path in third.parent.glob(f"{third.stem}.*"):
        path.unlink()
    done = ivi("verify", "results", cwd=tmp_path, code=1)
    for words in (first.stem, second.stem, "test nll", "seed"):
        assert words in done.stdout, done.stdout
    assert "findings in 5 records" in done.stderr


@pytest.mark.slow
def test_a_table_of_ten_thousand_records_is_there_in_seconds(tmp_path):
    sets = {group: {f"m{i}": i / 7 for i in range(20)} for group in ("ood_near", "ood_far", "validation")}
    for task in range(20):
        for method in ("map", *(f"method{i}" for i in range(9))):
            for seed in range(50):
                digest = sha(f"{task} {method} {seed}")
                info = PredictionsInfo(sha256=digest, bytes=100)
                one = record_of(method, seed, task=f"task{task}", predictions=info)
                path = path_of(tmp_path / "results", one)
                write_once(path, one.model_dump_json().encode())
                tested = {"accuracy": 0.5 + seed / 1000, "nll": 0.5 - seed / 1000}
                write_scores(path, Scores(kind="categorical", predictions=digest, sets=sets | {"test": tested}))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = ivi("table", "-f", "csv", cwd=tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    computed = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert computed < 60, "five times what it takes, in time of the processor: whatever else a machine does"
    assert sum(line.count("method") > 0 or ",map," in line for line in done.stdout.splitlines()) >= 200
