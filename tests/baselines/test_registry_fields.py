"""What is read of a class is what its constructor takes, and what is written is checked before anything is run."""

import dataclasses
import importlib.util
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baselines.names import UserError
from baselines.registry import find
from baselines.spec import parse

FIELDS = """
from __future__ import annotations
import dataclasses
import typing
from dataclasses import KW_ONLY, dataclass, field
from typing import Annotated, Any, ClassVar, Final, Literal, Optional, Sequence, Union
from annotated_types import Ge, Gt, Interval, Le, Lt, MultipleOf
from pydantic import Field

Noise = Literal["shared", "antithetic"]
Rate = Annotated[float, Interval(ge=0, lt=1)]


@dataclass(frozen=True)
class Base:
    inherited: int = 1
    overridden: int = 1
    family: ClassVar[str] = "none"
    count: typing.ClassVar[int] = 3
    kind: ClassVar = 4


@dataclass(frozen=True)
class Mixin:
    mixed: bool = False


@dataclass(frozen=True)
class Many(Mixin, Base):
    '''Has many fields.'''

    constant = 5
    recipe_changes = {"epochs": 3}
    overridden: int = 2
    by_field: float = field(default=0.5, repr=False)
    by_module: "float" = dataclasses.field(default=0.25)
    hidden: int = field(default=7, init=False)
    optional: Optional[int] = None
    also: Union[int, None] = None
    rank: Annotated[int, Ge(0), Le(100)] = 10
    above: Annotated[float, Gt(0)] = 1.0
    even: Annotated[int, MultipleOf(2)] = 4
    rate: Rate = 0.1
    pydantic: Annotated[int, Field(ge=1, description="how many")] = 5
    loose: Annotated[int, "a note", Ge(LOWEST)] = 5
    either: Annotated[float, Gt(0)] | Literal["marglik"] = "marglik"
    noise: Noise = "shared"
    mixture: Literal["a", 1, True, None] = None
    sizes: tuple[int, ...] = (1, 2)
    pair: tuple[int, float] = (1, 0.5)
    names: list[str] = field(default_factory=list)
    more: Sequence[float] = field(default_factory=lambda: (0.1, 0.2))
    anything: Whatever["unknown"] = 3
    final: Final = 3
    untyped: Any = "word"
    whole: float = 1
    _: KW_ONLY
    named: str = "x"
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    file = tmp_path_factory.mktemp("fields") / "many.py"
    file.write_text(FIELDS)
    return file


def test_what_is_read_is_what_the_constructor_takes(many):
    sys.modules["many"] = module = importlib.util.module_from_spec(
        spec := importlib.util.spec_from_file_location("many", many)
    )
    spec.loader.exec_module(module)
    fields = [field for field in dataclasses.fields(module.Many) if field.init]
    read = find(f"{many}:Many")
    made = module.Many()
    assert read.defaults == {
        field.name: list(v) if isinstance(v := getattr(made, field.name), list) else v for field in fields
    } | {"more": (0.1, 0.2)}
    assert sorted(read.defaults) == sorted(field.name for field in fields)
    assert read.summary == "Has many fields."


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("inherited=4", 4), ("mixed=true", True), ("optional=3", 3), ("optional=None", None), ("rank=0", 0),
        ("rank=100", 100), ("rate=0", 0.0), ("either=2", 2.0), ("either=marglik", "marglik"),
        ("noise=antithetic", "antithetic"),
        ("mixture=1", 1), ("mixture=true", True), ("mixture=a", "a"), ("sizes=(3, 4, 5)", (3, 4, 5)),
        ("sizes=(3,)", (3,)),
        ("sizes=()", ()), ("pair=(2, 1)", (2, 1.0)), ("names=(a, 'b, c')", ["a", "b, c"]), ("more=(1,)", (1.0,)),
        ("anything=4.5", 4.5), ("named='5'", "5"), ("named=''", ""),
        ("named='a = (b, c)'", "a = (b, c)"), ("named='true'", "true"),
    ],
)  # fmt: skip
def test_a_value_in_its_bounds_is_taken_and_written_back(many, written, value):
    key = written.partition("=")[0]
    spec = parse(f"{many}:Many({written})")
    assert spec.resolved[key] == value and type(spec.resolved[key]) is type(value)
    again = parse(f"{many}:Many{spec.text.removeprefix('many')}")
    assert again == spec and again.text == spec.text
    made = getattr(spec.create(), key)
    assert made == value and type(made) is type(value)


@pytest.mark.parametrize(
    "written",
    [
        "rank=-1", "rank=101", "rank=1.5", "rank=true", "above=0", "above=nan", "above=inf", "above=1e999", "even=3",
        "rate=1",
        "rate=-0.1", "pydantic=0", "either=0", "either=other", "noise=odd", "mixture=2", "mixture=false",
        "sizes=3", "sizes=(1, x)",
        "pair=(1,)", "pair=(1, 2, 3)", "inherited=None", "mixed=1", "named=5", "family=x", "hidden=3", "constant=3",
        "count=2",
        "recipe_changes=3", "kind=2", "_=1", "overridden='2'",
    ],
)  # fmt: skip
def test_a_value_out_of_its_bounds_is_one_line(many, written):
    with pytest.raises(UserError) as error:
        parse(f"{many}:Many({written})")
    assert written.partition("=")[0] in str(error.value) and str(error.value).isprintable()


def test_a_number_that_equals_the_default_is_the_default(many):
    for written in ("whole=1", "whole=1.0", "rate=0.10", "rank=10", "sizes=(1, 2)", "overridden=2", "optional=None"):
        spec = parse(f"{many}:Many({written})")
        assert spec.parameters == {} and spec.key == parse(f"{many}:Many").key, written


@given(st.floats(min_value=0, max_value=1, exclude_max=True))
def test_any_number_is_read_back_to_the_bit(many, rate):
    spec = parse(f"{many}:Many(rate={rate!r})")
    assert parse(f"{many}:Many{spec.text.removeprefix('many')}").resolved["rate"].hex() == abs(rate).hex()


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ("implicit_vi(rank=-2)", "rank=-2"),
        ("mc_dropout(rate=1.5)", "rate=1.5"),
        ("deep_ensemble(members=0)", "members=0"),
    ],
)
def test_bounds_that_stand_in_a_built_in_file_hold(spec, wrong):
    name = spec.partition("(")[0]
    if "Annotated" not in find(name).source.read_text():
        pytest.skip(f"{name} states no bounds yet")
    with pytest.raises(UserError, match=wrong):
        parse(spec)
