"""Suites, tasks and the identity of runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from baselines.names import UserError
from baselines.spec import parse
from benchmarks.suite import HERE, Run, load_suite, load_task, names, plan

TASKS = HERE / "tasks"


def run_of(**changes):
    values = {"task": load_task("digits-mlp"), "method": parse("map"), "seed": 0} | changes
    return Run(**values)


@pytest.mark.parametrize("name", names("task"))
def test_every_task_is_called_as_its_file(name):
    assert load_task(name).name == name


@pytest.mark.parametrize("name", names("suite"))
def test_every_suite_is_called_as_its_file_and_can_be_planned(name):
    suite = load_suite(name)
    runs = plan(suite)
    assert suite.name == name
    assert len(runs) == len({run.run_id for run in runs}) == len(suite.tasks) * len(suite.methods) * len(suite.seeds)


def test_a_task_stands_for_the_methods_of_the_quick_suite_on_it(tmp_path):
    text = (TASKS / "digits-mlp.toml").read_text().replace('name = "digits-mlp"', 'name = "mine"')
    (tmp_path / "mine.toml").write_text(text)
    for name, task in (("digits-mlp", "digits-mlp"), (str(tmp_path / "mine.toml"), "mine")):
        suite = load_suite(name)
        assert (suite.methods, suite.seeds) == (load_suite("quick").methods, load_suite("quick").seeds)
        assert {run.task.name for run in plan(suite)} == {task}


def test_equal_runs_have_equal_ids_in_every_process():
    code = (
        "from benchmarks.suite import *; from baselines.spec import parse;"
        "print(Run(task=load_task('digits-mlp'), method=parse('map'), seed=0).run_id)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == run_of().run_id


def test_all_that_decides_a_result_changes_the_id():
    task = load_task("digits-mlp")
    runs = [
        run_of(),
        run_of(seed=1),
        run_of(method=parse("deep_ensemble")),
        run_of(method=parse("deep_ensemble(members=2)")),
        run_of(device="cuda"),
        run_of(rules=99),
        run_of(task=task.model_copy(update={"version": 2})),
        run_of(task=task.model_copy(update={"recipe": task.recipe.model_copy(update={"lr": 0.1})})),
    ]
    assert len({run.run_id for run in runs}) == len(runs)


def test_what_decides_nothing_leaves_the_id():
    task = load_task("digits-mlp")
    assert run_of(task=task.model_copy(update={"description": "other words"})).run_id == run_of().run_id
    assert run_of(device="cuda:1").run_id == run_of(device="cuda").run_id


def test_map_comes_before_what_builds_on_it():
    suite = load_suite("quick").model_copy(update={"methods": ("laplace", "deep_ensemble", "map")})
    assert [run.method.name for run in plan(suite)][:3] == ["map", "laplace", "deep_ensemble"]


TASK = Path(load_task.__code__.co_filename).parent / "tasks" / "digits-mlp.toml"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = 8", "epoks = 8", "unknown key 'epoks': did you mean 'epochs'?"),
        ("train = 1000", "train = 0", "[data]: train: input should be greater than 0"),
        ("lr = 0.05", "lr = -1", "[recipe]: lr: input should be greater than 0"),
        ('optimizer = "sgd"', 'optimizer = "sdg"', "[recipe]: optimizer: input should be 'sgd' or 'adamw'"),
        ("epochs = 8", "epochs = 8\nmax_steps = 3", "give exactly one of epochs and max_steps"),
        ("version = 1", "version = ", "not valid TOML"),
        ("[model]", "[modell]", "unknown key 'modell': did you mean 'model'?"),
    ],
)
def test_a_wrong_task_file_is_one_line_that_names_the_place(tmp_path, old, new, message):
    file = tmp_path / "task.toml"
    text = TASK.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(UserError) as error:
        load_task(str(file))
    assert message in str(error.value) and str(file) in str(error.value) and "\n" not in str(error.value)


def test_an_empty_or_doubled_list_in_a_suite_is_refused(tmp_path):
    file = tmp_path / "suite.toml"
    for seeds, message in (("[]", "must not be empty"), ("[1, 1]", "names something twice")):
        file.write_text(f'name="s"\ndescription=""\ntasks=["digits-mlp"]\nmethods=["map"]\nseeds={seeds}\n')
        with pytest.raises(UserError, match=message):
            load_suite(str(file))


@pytest.mark.parametrize(
    ("load", "wrong", "right"), [(load_task, "mnist5k-lenet", "mnist5k-lenet5"), (load_suite, "quik", "quick")]
)
def test_a_misspelt_name_is_answered_with_the_nearest(load, wrong, right):
    with pytest.raises(UserError, match=f"did you mean '{right}'"):
        load(wrong)
