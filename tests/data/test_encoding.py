"""Categories and empty cells: the same numbers as scikit-learn's transformers, fitted on the training rows alone."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.data import standardization
from benchmarks.data.encoding import encoded, encoded_names, fitted_fills
from benchmarks.data.spec import DataError, TableSpec
from benchmarks.data.tables import Rows, features_of, to_rows

LEVELS = ("a", "b", "Ü")
SPEC = TableSpec.model_validate(
    {
        "name": "cells",
        "title": "-",
        "licence": "-",
        "citation": "-",
        "kind": "table",
        "features": ["x", "kind", "y"],
        "categories": {"kind": LEVELS},
        "missing": ["x", "kind"],
        "target": "z",
        "likelihood": "gaussian",
        "splits": {"test": {"examples": 1}},
        "sources": [],
    }
)


def table(rng, count):
    frame = pd.DataFrame(
        {"y": rng.normal(3, 2, count), "x": rng.normal(-5, 3, count), "kind": rng.choice(LEVELS, count)}
    )
    frame["z"] = rng.normal(size=count)
    frame.loc[rng.random(count) < 0.3, "x"] = np.nan
    frame.loc[rng.random(count) < 0.3, "kind"] = None
    frame.loc[:1, "x"] = [1.0, 2.0]
    return frame


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(10, 60), st.integers(1, 60))
def test_rows_are_encoded_and_standardized_as_scikit_learn_does_it(seed, training, others):
    rng = np.random.default_rng(seed)
    fitting, new = table(rng, training), table(rng, others + 2)
    theirs = ColumnTransformer(
        [
            ("x", SimpleImputer(strategy="median", add_indicator=True), ["x"]),
            ("kind", OneHotEncoder(categories=[list(LEVELS)], handle_unknown="ignore", sparse_output=False), ["kind"]),
            ("y", StandardScaler(), ["y"]),
        ]
    )
    theirs.set_params(x__add_indicator=True).fit(fitting)
    scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler()).fit(fitting[["x"]])
    rows, other = to_rows(fitting, SPEC, "train"), to_rows(new, SPEC, "test")
    fills = fitted_fills(rows.inputs.numpy(), SPEC)
    affine = standardization(rows.encoded(SPEC, fills), SPEC)
    ours = (other.encoded(SPEC, fills).inputs * affine.scale + affine.shift).numpy()
    assert np.allclose(ours[:, 0], scaled.transform(new[["x"]])[:, 0], atol=1e-3)
    wanted = theirs.transform(new)
    if fitting["x"].isna().any():  # else their indicator is left out
        assert np.array_equal(ours[:, 1], wanted[:, 1])
    assert np.array_equal(ours[:, 2:5], wanted[:, -4:-1]) and np.allclose(ours[:, 5], wanted[:, -1], atol=1e-4)


def test_what_fills_empty_cells_is_the_median_of_the_training_rows_whatever_the_others_are():
    rng = np.random.default_rng(0)
    fitting = table(rng, 50)
    fills = fitted_fills(to_rows(fitting, SPEC, "train").inputs.numpy(), SPEC)
    assert fills == {"x": pytest.approx(fitting["x"].astype(np.float32).median())}


def test_every_column_has_its_name():
    names = [name for name, _ in encoded_names(SPEC)]
    rows = encoded(np.array([[np.nan, 1, 7]], np.float32), SPEC, {"x": 4.0})
    assert dict(zip(names, rows[0], strict=True)) == {
        "x": 4, "x is empty": 1, "kind=a": 0, "kind=b": 1, "kind=Ü": 0, "y": 7
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"kind": "c"}, "row 0, column 'kind': 'c' is none of a, b, "),
        ({"y": np.nan}, "row 0, column 'y': an empty cell is no finite number"),
        ({"x": "?"}, "row 0, column 'x': '?' is no finite number"),
        ({"x": np.inf}, "row 0, column 'x': inf is no finite number"),
    ],
)
def test_a_cell_that_is_neither_is_one_line(cells, words):
    frame = pd.DataFrame([{"x": 1.0, "kind": "a", "y": 2.0} | cells])
    with pytest.raises(DataError, match=words.replace("?", r"\?")):
        features_of(frame, SPEC, "here")


def test_a_column_that_is_empty_in_all_training_rows_is_refused_by_name():
    with pytest.raises(DataError, match="column 'x' is empty in all 3 training rows"):
        fitted_fills(np.full((3, 3), np.nan, np.float32), SPEC)


def test_a_spec_without_categories_and_empty_cells_is_the_spec_of_before():
    plain = SPEC.model_copy(update={"categories": {}, "missing": ()})
    assert "categories" not in plain._deciding(set()) and len(plain.decoding) == 6
    assert SPEC.sha256 != plain.sha256 and isinstance(
        to_rows(pd.DataFrame([{"x": 1, "kind": 2, "y": 3, "z": 4}]), plain, "a"), Rows
    )
