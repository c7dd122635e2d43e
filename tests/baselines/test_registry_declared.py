"""What a method declares to change or to build on is checked where it is read, before anything is imported or run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baselines.names import UserError
from baselines.recipe import Recipe
from baselines.registry import find, known_methods, unavailable

METHOD = """
from dataclasses import dataclass


@dataclass(frozen=True)
class Declares:
    {base}


@dataclass(frozen=True)
class Mine(Declares):
    rate: float = 0.1

    {own}

    def predictor(self, problem): ...
    def fit(self, problem): ...
"""


def read(folder, own="pass", base="pass"):
    path = folder / "mine.py"
    path.write_text(METHOD.format(own=own, base=base))
    return find(f"{path}:Mine")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('recipe_changes = {"epoch": 40}', "did you mean 'epochs'?"),
        ('recipe_changes = {"lr": 0}', "lr: input should be greater than 0"),
        ('recipe_changes = {"epochs": 4, "max_steps": 100}', "exactly one"),
        ('recipe_changes = {"optimizer": "adam"}', "optimizer"),
        ('recipe_changes: ClassVar[dict] = {"warmup": 1.0}', "warmup"),
        ('recipe_changes: dict = {"warmup": 0.5}', "write it without an annotation, or as a ClassVar"),
        ("uses: tuple = ()", "write it without an annotation, or as a ClassVar"),
        ('recipe_changes = ["epochs"]', "must be a dict of fields of a recipe"),
        ("recipe_changes = 4", "must be a dict of fields of a recipe"),
        ('recipe_changes = {1: "epochs"}', "must be a dict of fields of a recipe"),
        ("uses = (MAP(),)", "uses must be pairs of a method and a member"),
        ("uses = MAP()", "uses must be pairs of a method and a member"),
        ("uses = (MAP(), 0)", "uses must be pairs of a method and a member"),
        ('uses = "map"', "uses must be pairs of a method and a member"),
        ("uses = ((MAP(), 0, 1),)", "uses must be pairs of a method and a member"),
        ("uses = [baselines.map.MAP()]", "uses must be pairs of a method and a member"),
    ],
)
@pytest.mark.parametrize("where", ["own", "base"])
def test_what_no_task_could_follow_is_one_line_that_names_the_place(tmp_path, line, words, where):
    with pytest.raises(UserError) as error:
        read(tmp_path, **{where: line})
    assert words in str(error.value) and f"mine.py:{7 if where == 'base' else 14}: " in str(error.value), error.value


@pytest.mark.parametrize(
    "line",
    [
        'recipe_changes = {"epochs": 4, "schedule": "constant", "warmup": 0.0}',
        'recipe_changes = {"max_steps": 0}',
        "recipe_changes = dict(CHANGES)",
        'recipe_changes = {"lr": RATE}',
        "uses = ((MAP(), 0),)",
        "uses = [(MAP(), 0), (MAP(), 1)]",
        "uses = ()",
        "uses = tuple((MAP(), i) for i in range(3))",
        "uses = (*OTHERS,)",
        "uses = members(3)",
        "uses = (pair(0), (MAP(), 1))",
        "@property\n    def uses(self):\n        return ((MAP(), self.members),)",
        '@property\n    def recipe_changes(self):\n        return {"epoch": 3}',
    ],
)
def test_what_may_be_right_is_left_to_the_run(tmp_path, line):
    assert read(tmp_path, line).defaults == {"rate": 0.1}


def test_what_a_class_sets_itself_counts_before_what_it_inherits(tmp_path):
    assert read(tmp_path, 'recipe_changes = {"epochs": 3}', 'recipe_changes = {"epoch": 3}')


def test_all_that_comes_with_the_package_declares_what_a_task_can_follow():
    assert len(known_methods()) >= 15 and not unavailable()


values = st.one_of(st.integers(-3, 50), st.floats(-2, 2), st.sampled_from(["sgd", "adamw", "cosine", "x"]), st.none())


@given(st.dictionaries(st.sampled_from([*Recipe.model_fields, "epoch", "rate"]), values, max_size=3))
def test_what_is_refused_is_what_every_recipe_would_refuse(tmp_path_factory, changes):
    try:
        Recipe(max_steps=7, batch_size=5, lr=0.3).changed(changes)
        right = True
    except UserError:
        right = False
    try:
        read(tmp_path_factory.getbasetemp(), f"recipe_changes = {changes!r}")
        taken = True
    except UserError:
        taken = False
    assert taken == right
