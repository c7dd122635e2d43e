"""Method specs: what one writes is what one gets, and what is wrong is named with its mend."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baselines.names import UserError
from baselines.registry import find, known_methods, variants
from baselines.spec import parse, spec_of, split

LAST_LAYER = Path(__file__).parent / "methods" / "last_layer_ensemble.py"
BROKEN = Path(__file__).parent / "methods" / "broken.py"


def test_a_name_alone_means_the_defaults():
    spec = parse("implicit_vi")
    assert spec.parameters == {} and spec.resolved["rank"] == 10 and spec.label == "implicit_vi"


def test_a_default_written_out_changes_nothing():
    assert parse("implicit_vi(rank=10)") == parse("implicit_vi")


def test_the_order_of_parameters_changes_nothing():
    assert parse("implicit_vi(rank=2, noise=shared)").key == parse(" implicit_vi( noise=shared,rank=2 ) ").key


def test_a_spec_that_has_a_name_is_called_by_it():
    assert parse("implicit_vi(noise=shared)").label == "implicit_vi_shared"
    assert parse("implicit_vi_shared").resolved["noise"] == "shared"


@pytest.mark.parametrize("name", [*sorted(known_methods()), *sorted(variants())])
def test_a_label_parses_to_the_method_that_it_labels(name):
    spec = parse(name)
    assert parse(spec.label).resolved == spec.resolved


@pytest.mark.parametrize("name", sorted(known_methods()))
def test_a_method_described_from_its_source_is_the_class_itself(name):
    spec = parse(name)
    method = spec.create()
    assert {key: getattr(method, key) for key in spec.resolved} == spec.resolved
    assert spec_of(method) == spec
    assert type(method)() == method, "the defaults that were read are the defaults"


@given(st.lists(st.sampled_from(["map", "kl_vi(kl_weight=0.1)", "implicit_vi(rank=2, noise=shared)"]), max_size=5))
def test_a_list_of_specs_splits_at_the_commas_outside_of_parentheses(specs):
    assert split(", ".join(specs)) == specs


@given(st.text(max_size=30))
def test_any_text_is_a_method_or_a_user_error(text):
    try:
        parse(text)
    except UserError as error:
        assert "\n" not in str(error) or "\n" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mpa", "unknown method 'mpa': did you mean 'map'?"),
        ("implicit_vi(rnk=2)", "unknown parameter of method 'implicit_vi' 'rnk': did you mean 'rank'?"),
        ("implicit_vi(rank=two)", "rank='two'"),
        ("implicit_vi(noise=antitetic)", "noise='antitetic'"),
        ("implicit_vi(rank)", "parameters are written name=value"),
        ("implicit_vi(rank=2", "is no method"),
        ("nowhere.py:Method", "no such file: nowhere.py"),
        (f"{BROKEN}:Rises", "did you mean 'Raises'?"),
    ],
)
def test_a_wrong_spec_is_one_line_that_names_the_mend(text, message):
    with pytest.raises(UserError) as error:
        parse(text)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_method_from_a_file_is_another_method_after_an_edit(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(LAST_LAYER.read_text())
    before = parse(f"{file}:LastLayerEnsemble(heads=2)")
    file.write_text(LAST_LAYER.read_text() + "\n# edited\n")
    after = parse(f"{file}:LastLayerEnsemble(heads=2)")
    assert before.resolved == after.resolved == {"heads": 2} and before.source_sha256 != after.source_sha256


def test_reading_a_method_does_not_run_it(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("raise SystemExit\n@dataclass\nclass Mine:\n    '''Does it.'''\n    rate: float = 0.5\n")
    method = find(f"{file}:Mine")
    assert method.defaults == {"rate": 0.5} and method.summary == "Does it."


@pytest.mark.parametrize("body", ["x: float = compute()", "x: float"])
def test_a_default_that_is_no_plain_value_is_refused(tmp_path, body):
    file = tmp_path / "mine.py"
    file.write_text(f"@dataclass\nclass Mine:\n    {body}\n")
    with pytest.raises(UserError, match="needs a default that is a plain number"):
        parse(f"{file}:Mine")
