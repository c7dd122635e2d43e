"""Cards of methods: which values are tried, where they stand, and what is made of the records."""

import re
from pathlib import Path

import numpy as np
import pytest
from builders import plan_of, record, result
from commands import ivi, records

from baselines.names import UserError
from baselines.registry import find
from baselines.spec import parse
from benchmarks.cards import MOST, card_file, card_plan, with_card
from leaderboard.card import Card, Knob, Setting
from leaderboard.columns import columns
from leaderboard.statistics import t_interval
from leaderboard.table import fold
from leaderboard.views.card import write

METHOD = '''"""A stranger's method."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge


@dataclass(frozen=True)
class Mine:
    """Mine."""

    rate: Annotated[float, Ge(0)] = 0.3
    kind: Literal["a", "b"] = "a"

    def predictor(self, problem): ...

    def fit(self, problem): ...
'''


def mine(folder: Path, card: str) -> str:
    """A method from a file in ``folder`` with its card beside it."""
    (folder / "cards").mkdir()
    (folder / "method.py").write_text(METHOD)
    (folder / "cards" / "mine.toml").write_text(card)
    return f"{folder}/method.py:Mine"


@pytest.mark.parametrize("name", with_card()[0])
def test_every_card_marks_the_default_once_and_tries_what_its_method_takes(name):
    made = card_plan(name)
    assert 1 <= len(made.knobs) <= MOST
    for knob in made.knobs:
        assert [setting.label for setting in knob.settings if setting.is_default] == [name]
        assert len({setting.label for setting in knob.settings}) == len(knob.settings) > 1
    assert {parse(text).label for text in made.texts} == {one.label for knob in made.knobs for one in knob.settings}


def test_every_file_of_a_card_beside_a_built_in_method_is_that_of_a_method():
    folder = card_file(find("map")).parent
    assert {path.stem for path in folder.glob("*.toml")} <= set(with_card()[0])


def test_a_method_from_a_file_has_its_card_beside_it(tmp_path):
    made = card_plan(mine(tmp_path, '[knobs]\nrate = [0.1, 1.0]\nkind = ["b"]\n'))
    assert [(one.value, one.is_default) for one in made.knobs[0].settings] == [
        ("0.1", False),
        ("0.3", True),
        ("1.0", False),
    ]
    assert [(one.value, one.label) for one in made.knobs[1].settings] == [("a", "mine"), ("b", "mine(kind=b)")]
    assert [parse(text).label for text in made.texts] == ["mine", "mine(rate=0.1)", "mine(rate=1.0)", "mine(kind=b)"]


def test_the_hyperparameters_that_are_given_are_the_default_that_is_marked(tmp_path):
    text = mine(tmp_path, "[knobs]\nrate = [0.1, 0.3]\n")
    made = card_plan(f"{text}(kind=b, rate=0.2)")
    labels = ["mine(rate=0.1, kind=b)", "mine(rate=0.2, kind=b)", "mine(kind=b)"]
    assert [one.label for one in made.knobs[0].settings] == labels
    assert [one.is_default for one in made.knobs[0].settings] == [False, True, False]


def test_a_hyperparameter_that_is_a_method_is_varied_too():
    of = next(knob for knob in card_plan("deep_ensemble").knobs if knob.name == "of")
    assert [(one.value, one.is_default) for one in of.settings][0] == ("map", True)
    assert parse("deep_ensemble(of=mc_dropout)").label in {one.label for one in of.settings}


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("[knobs]\nrat = [1.0]\n", "mine.toml: unknown parameter of method 'mine' 'rat': did you mean 'rate'?"),
        ("[knobs]\nrate = [-1.0]\n", "mine.toml: rate = -1.0: method 'mine': rate=-1.0: "),
        ("[knobs]\nrate = []\n", "mine.toml: knobs: .*rate has no values"),
        ("[knobs]\n", "mine.toml: knobs: "),
        ("[knob]\nrate = [1.0]\n", "mine.toml: "),
        ("[knobs\n", "mine.toml: not valid TOML"),
    ],
)
def test_a_card_that_is_wrong_is_one_line_that_names_its_file(tmp_path, card, message):
    with pytest.raises(UserError, match=message) as caught:
        card_plan(mine(tmp_path, card))
    assert "\n" not in str(caught.value)


def test_what_has_no_card_says_where_it_would_stand(tmp_path):
    (tmp_path / "method.py").write_text(METHOD)
    with pytest.raises(UserError, match=re.escape(f"write {tmp_path / 'cards' / 'mine.toml'} with a table [knobs]")):
        card_plan(f"{tmp_path}/method.py:Mine")
    assert "has no card" in ivi("card", "map", code=2).stderr
    assert "unknown hyperparameter" in ivi("card", "mc_dropout", "--knobs", "rte", code=2).stderr
    assert "name a method, or all" in ivi("card", code=2).stderr


def card(tmp_path: Path) -> tuple[Card, list]:
    labels = ("map", "mine", "mine(rate=0.1)", "mine(rate=1.0)")
    rng, made = np.random.default_rng(0), []
    for label in labels:
        for seed in range(3):
            test = {"accuracy": 0.9, "nll": rng.uniform(0.1, 0.2), "ece": rng.uniform(0.01, 0.02)}
            info = {"resolved": {"label": label}} if label != "map" else {}
            made.append(
                result(label.partition("(")[0], seed, label=label, metrics={"test": test}, method_info=info, fit_s=1.5)
            )
    rows = [
        record(label.partition("(")[0], seed, label=label, method_info={"resolved": {"label": label}} if i else {})
        for i, label in enumerate(labels)
        for seed in range(3)
    ]
    board = fold(made, plan_of(*rows), columns(["nll", "ece", "fit", "predict"]))
    pairs = (("0.1", "mine(rate=0.1)"), ("0.3", "mine"), ("1.0", "mine(rate=1.0)"), ("9.0", "mine(rate=9.0)"))
    knob = Knob("rate", [Setting(value, label, label == "mine") for value, label in pairs])
    return Card("mine", "A method <of> mine.", "task · 3 seeds", "a processor", [knob], board), made


def test_a_page_holds_the_values_in_their_order_with_the_numbers_of_the_table(tmp_path):
    one, made = card(tmp_path)
    page, svg, png = write(one, tmp_path, "mine")
    text = page.read_text()
    rows = re.findall(r"^\| (map|rate\S+(?: \(default\))?)\s*(?:\[\d\])? \| 3 \| (\S+) \|", text, re.M)
    assert [name for name, _ in rows] == ["map", "rate=0.1", "rate=0.3 (default)", "rate=1.0"]
    for (_, cell), label in zip(rows, ("map", "mine(rate=0.1)", "mine", "mine(rate=1.0)"), strict=True):
        interval = t_interval([r.metrics["test"]["nll"] for r in made if r.label == label])
        assert cell.strip("*▾").startswith(f"{interval.mean:.3f}±")
    assert "(mine.png)" in text and png.name == "mine.png" and png.stat().st_size > 10_000
    assert "&#60;of&#62;" in text, "what strangers write is shown, never taken as markup"
    drawn = re.sub("\xa0", " ", " ".join(re.findall(r"<!-- (.*?) -->", svg.read_text())))
    assert all(word in drawn for word in ("mine · task · 3 seeds", "rate", "NLL, nats", "cost ×MAP", "shaded: default"))
    assert all(value in drawn for value in ("0.1", "0.3", "1.0", "9.0")), "a value without a run keeps its place"


@pytest.mark.slow
def test_ivi_card_makes_its_runs_once_and_writes_figure_and_page(tmp_path):
    arguments = ("card", "mc_dropout", "--knobs", "passes", "--task", "digits-mlp", "-s", 1, "--jobs", 1)
    done = ivi(*arguments, "--device", "cpu", cwd=tmp_path)
    assert done.stdout.splitlines()[-3:] == [f"docs/cards/mc_dropout{end}" for end in (".md", ".svg", ".png")]
    text = (tmp_path / "docs/cards/mc_dropout.md").read_text()
    assert "passes=32 (default)" in text and "map" in text
    before = records(tmp_path / "results")
    assert len(before) == 6  # MAP, the default and four others
    again = ivi(*arguments, "--device", "cpu", cwd=tmp_path)
    assert "runs to make" not in again.stdout and records(tmp_path / "results") == before
    assert (tmp_path / "docs/cards/mc_dropout.md").read_text() == text
    assert "passes=1" in ivi("table", "card-mc_dropout", cwd=tmp_path).stdout
