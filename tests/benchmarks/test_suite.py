"""Tasks and suites: files that name what is to be run."""

import pytest

from baselines.names import UserError
from baselines.spec import parse
from benchmarks.suite import HERE, TaskShift, load_suite, load_task, names

TASK = HERE / "tasks" / "digits-mlp.toml"


@pytest.mark.parametrize("name", names("task"))
def test_every_task_is_called_as_its_file(name):
    assert load_task(name).name == name


@pytest.mark.parametrize("name", names("suite"))
def test_every_suite_is_called_as_its_file_and_names_what_there_is(name):
    suite = load_suite(name)
    assert suite.name == name
    assert all(load_task(task).name == task for task in suite.tasks)
    assert len({parse(text).key for text in suite.methods}) == len(suite.methods)


def test_a_task_stands_for_the_methods_of_the_quick_suite_on_it(tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text(TASK.read_text().replace('name = "digits-mlp"', 'name = "mine"'))
    for name, task in (("digits-mlp", "digits-mlp"), (str(mine), "mine")):
        suite, quick = load_suite(name), load_suite("quick")
        assert (suite.methods, suite.seeds, suite.name) == (quick.methods, quick.seeds, task)
        assert [load_task(one).name for one in suite.tasks] == [task]


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
        ('name = "digits-mlp"', 'name = "../elsewhere"', "name: string should match pattern"),
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


@pytest.mark.parametrize(("field", "value", "near"), [("corruptions", ("fogg",), "fog"), ("severities", (6,), "")])
def test_a_misspelt_corruption_is_named(field, value, near):
    with pytest.raises(ValueError, match=f"unknown .*{near}"):
        TaskShift(**{field: value})


def test_paths_of_tasks_and_data_sets_count_from_the_file_that_names_them(tmp_path, monkeypatch):
    text = TASK.read_text().replace('name = "digits"', 'name = "mine.toml"')
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "task.toml").write_text(text + '[ood]\nnear = ["near.toml"]\nfar = ["faces"]\n')
    suite = 'name = "s"\ndescription = ""\ntasks = ["task.toml", "digits-mlp"]\nmethods = ["map"]\nseeds = [0]\n'
    (tmp_path / "inner" / "suite.toml").write_text(suite)
    monkeypatch.chdir(tmp_path)
    assert load_suite("inner/suite.toml").tasks == ("inner/task.toml", "digits-mlp")
    task = load_task("inner/task.toml")
    assert (task.data.name, task.ood.near, task.ood.far) == ("inner/mine.toml", ("inner/near.toml",), ("faces",))
