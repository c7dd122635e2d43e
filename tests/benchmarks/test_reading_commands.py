"""`ivi table`, `compare`, `score`, `verify` of a folder of records: no suite, device or entry point, and no torch."""

import json
import shutil
import subprocess
import sys
import time

import pytest
from builders import kept, made, plan_of, predictions, sha, task_identity
from typer.testing import CliRunner

from baselines.names import UserError
from benchmarks.commands.board import commands
from benchmarks.documents import filled
from leaderboard.plan import write_plan
from leaderboard.scores import METRICS_VERSION, Scores
from leaderboard.store import PREDICTIONS, SCORES, beside, path_of, read


def run(*arguments):
    """What a command prints; the error that it ends with is raised."""
    done = CliRunner().invoke(commands, list(map(str, arguments)))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Records of three methods on one task, with a plan."""
    folder = tmp_path_factory.mktemp("records")
    paths = [
        kept(folder, method, seed, sets=sets(skill, seed)) for method, skill in SKILLS.items() for seed in range(2)
    ]
    records = [read(path) for path in paths]
    missing = made("mc_dropout", 0, task=records[0].identity.task)
    write_plan(folder, plan_of(*records, missing, suite="tiny"))
    return folder


SKILLS = {"map": 2.0, "laplace": 2.5, "kl_vi": 1.0}


def sets(skill, seed):
    return {"validation": predictions(seed, skill=skill), "test": predictions(seed + 50, skill=skill)}


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "records")


def test_a_table_has_every_planned_row(folder):
    rows = json.loads(run("table", "tiny", "-f", "json", "--folder", folder).stdout)["rows"]
    assert [row["method"] for row in rows] == ["laplace", "map", "kl_vi", "mc_dropout"]
    assert [row["ranked"] for row in rows] == [True, True, True, False]
    assert rows[-1]["reason"] == "0 of 2 seeds ok; seed 0 not run yet"


@pytest.mark.parametrize("format", ["terminal", "md", "csv", "json", "latex"])
def test_every_view_of_a_table_names_its_rows(folder, format):
    shown = run("table", "-f", format, "-o", folder).stdout
    assert all(name in shown or name.replace("_", r"\_") in shown for name in SKILLS)


def test_rows_seeds_columns_and_the_legend_can_be_chosen(folder):
    made = json.loads(run("table", "-f", "json", "-m", "map,kl_vi", "-s", 1, "-c", "NLL,brier", "-o", folder).stdout)
    assert [(row["method"], row["n"]) for row in made["rows"]] == [("map", 1), ("kl_vi", 1)]
    assert list(made["rows"][0]["metrics"]) == ["nll", "brier"]
    assert (
        "95 %" in run("table", "-o", folder).stdout and "95 %" not in run("table", "--no-legend", "-o", folder).stdout
    )


@pytest.mark.parametrize(("seeds", "n"), [("1", 1), ("2", 2), ("0,1", 2), ("0,7", 1)])
def test_seeds_are_a_number_or_a_list(folder, seeds, n):
    rows = json.loads(run("table", "-f", "json", "-s", seeds, "-o", folder).stdout)["rows"]
    assert {row["n"] for row in rows if row["method"] == "map"} == {n}


def test_a_folder_without_a_plan_of_the_suite_shows_what_there_is_of_its_tasks(folder, tmp_path):
    (tmp_path / "mine.toml").write_text('name = "mine"\ntasks = ["task"]\n')
    (tmp_path / "other.toml").write_text('name = "other"\ntasks = ["elsewhere"]\n')
    assert "laplace" in run("table", tmp_path / "mine.toml", "-o", folder).stdout
    assert "laplace" in run("table", "task", "-o", folder).stdout
    with pytest.raises(UserError, match="no records of .*other.toml in"):
        run("table", tmp_path / "other.toml", "-o", folder)


def test_two_methods_are_compared_in_plain_sentences(folder):
    shown = " ".join(run("compare", "laplace", "map", "--suite", "tiny", "-o", folder).stdout.split())
    assert "95 % interval of the difference" in shown and "2 seeds" in shown
    assert "Over the 200 items of test, these trainings held fixed" in shown and "paired bootstrap" in shown


def test_what_may_not_be_paired_is_named(copy):
    path = kept(copy, "kl_vi", 0, sets=sets(1.0, 0), environment={"code": sha("older")}, attempt=2)
    path.with_name(path.name.replace(".2.", ".1.")).unlink()
    shown = " ".join(run("compare", "map", "kl_vi", "-o", copy).stdout.split())
    assert "left out: seed 0: not run by both on the same task, machine and code" in shown


def test_missing_and_outdated_scores_are_made_and_others_left(copy):
    first, second = sorted(copy.rglob(f"*{SCORES}"))[:2]
    whole = first.read_text()
    first.unlink()
    second.write_text(second.read_text().replace(f'"metrics_version": {METRICS_VERSION}', '"metrics_version": 1'))
    assert "no scores yet" in run("table", "-o", copy).stdout
    assert "2 runs scored" in run("score", copy).stdout and first.read_text() == whole
    assert "0 runs scored" in run("score", copy).stdout


def test_predictions_that_are_not_the_records_are_not_scored(copy):
    path = sorted(copy.rglob(f"*{PREDICTIONS}"))[0]
    beside(path.with_suffix(".json"), SCORES).unlink()
    other = sorted(copy.rglob(f"*{PREDICTIONS}"))[1]
    shutil.copy(other, path)
    done = run("score", copy)
    assert done.exit_code == 1 and "not the predictions that the record names" in done.stdout


def test_verify_says_what_it_checked_and_that_a_planned_run_is_missing(folder):
    done = run("verify", folder)
    assert done.exit_code == 1 and "mc_dropout seed 0" in done.stdout
    assert "6 records, 6 recomputed from their predictions" in done.stdout and "not checked" in done.stdout


def test_runs_of_two_folders_are_compared_to_the_last_digit(folder, copy):
    assert "6 runs in both: every number is the same" in run("verify", copy, "--against", folder).stdout
    path = sorted(copy.rglob(f"*{SCORES}"))[0]
    data = json.loads(path.read_text())
    data["sets"]["test"]["nll"] += 1e-9
    path.write_text(json.dumps(data))
    done = run("verify", copy, "--against", folder)
    assert done.exit_code == 1 and "kl_vi seed 0: test nll is" in done.stdout


def test_a_bad_file_is_named_and_the_table_is_there(copy):
    (copy / "package.lock.json").write_text("{}")
    done = run("table", "tiny", "-o", copy)
    assert "laplace" in done.stdout and "set aside" in done.stderr and "package.lock.json" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["table", "--columns", "nlll"], "unknown column 'nlll': did you mean 'nll'?"),
        (["table", "--columns", "NLLL"], "unknown column 'nlll': did you mean 'nll'?"),
        (["table", "--columns", "shift"], "no record has a column of 'shift'"),
        (["table", "--sort", "shift"], "no record has a column of 'shift'"),
        (["table", "--where", "shift<=1"], "no record has a column of 'shift'"),
        (["compare", "map", "laplace", "--metric", "shift"], "no record has a column of 'shift'"),
        (["table", "--sort", "near"], "'near' stands for several columns"),
        (["table", "--sort", "acuracy"], "unknown column 'acuracy': did you mean 'accuracy'?"),
        (["table", "--against", "mapp"], "unknown method 'mapp': did you mean 'map'?"),
        (["table", "-m", "mapp"], "unknown method 'mapp': did you mean 'map'?"),
        (["compare", "map", "laplce"], "unknown method 'laplce': did you mean 'laplace'?"),
        (["compare", "map", "map", "--task", "tsk"], "unknown task 'tsk': did you mean 'task'?"),
        (["table", "--where", "nll<0.2"], "--where: 'nll<0.2' is not COLUMN<=NUMBER or COLUMN>=NUMBER"),
        (["table", "--where", "accuracy>=2"], "no row has accuracy>=2"),
        (["table", "-s", "x"], "--seeds must be a number of seeds, at least 1"),
        (["table", "-s", "0"], "--seeds must be a number of seeds, at least 1"),
        (["table", "tinny"], "unknown suite or task 'tinny': did you mean 'tiny'?"),
        (["table", "nowhere.toml"], "no such file: nowhere.toml"),
        (["table", "../tiny"], "unknown suite or task '../tiny'"),
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line(folder, arguments, message):
    with pytest.raises(UserError) as error:
        run(*arguments, "--folder", folder)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "command", [["table"], ["table", "quick"], ["compare", "map", "laplace"], ["figures", "quick"]]
)
def test_an_empty_folder_has_no_records_whatever_is_asked(tmp_path, command):
    with pytest.raises(UserError, match=r"no records.* in .*make them with 'ivi run quick'"):
        run(*command, "--folder", tmp_path)


def test_verifying_or_scoring_what_is_not_there_is_one_line(tmp_path):
    for command in ("verify", "score"):
        with pytest.raises(UserError, match="nowhere: no such folder"):
            run(command, tmp_path / "nowhere")
    with pytest.raises(UserError, match="no records in"):
        run("verify", tmp_path)


def test_reading_imports_no_torch(folder):
    code = "import sys; from benchmarks.commands.board import commands\n"
    code += "try: commands(sys.argv[1:])\nexcept SystemExit: pass\n"
    code += "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, "table", "-o", folder], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing\n", "no marks to fill"),
        ("<!-- ivi table quick -->\nx\n", "no '<!-- end -->'"),
        (
            "<!-- ivi table a -->\nx\n<!-- ivi table b -->\ny\n<!-- end -->\n",
            "'<!-- ivi table a -->' has no '<!-- end -->'",
        ),
        (
            "<!-- ivi table a -->\n<!-- end -->\n\n<!-- ivi compare a b -->\n# rest\n",
            "'<!-- ivi compare a b -->' has no",
        ),
    ],
)
def test_a_mark_without_an_end_is_an_error_and_nothing_is_lost(tmp_path, text, said):
    with pytest.raises(UserError, match="end|marks") as error:
        filled(text, tmp_path)
    assert said in str(error.value)


def test_a_table_of_other_data_is_not_averaged_with_the_first(copy):
    kept(copy, "map", 0, sets=sets(0.1, 0), task=task_identity(outputs=5))
    shown = json.loads(run("table", "-f", "json", "-o", copy).stdout)["rows"]
    assert [(row["method"], row["n"]) for row in shown if row["method"].startswith("map")] == [
        ("map", 2),
        ("map (other data)", 1),
    ]


@pytest.mark.slow
def test_a_table_of_ten_thousand_records_is_there_in_seconds(tmp_path):
    metrics = {group: {f"m{i}": i / 7 for i in range(20)} for group in ("ood_near", "ood_far", "validation")}
    for task in range(20):
        for method in ("map", *(f"method{i}" for i in range(9))):
            for seed in range(50):
                one = made(method, seed, task=f"task{task}")
                path = path_of(tmp_path, one)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(one.model_dump_json(indent=1))
                row = {"test": {"accuracy": 0.5 + seed / 1000, "nll": 0.5 - seed / 1000}}
                scores = Scores(kind="categorical", predictions=one.predictions.sha256, sets=metrics | row)
                beside(path, SCORES).write_text(scores.model_dump_json(indent=1))
    start = time.process_time()
    done = run("table", "-f", "csv", "--folder", tmp_path)
    assert time.process_time() - start < 10, "three times what it takes on a machine that does nothing else"
    assert len(done.stdout.splitlines()) == 201
