"""Tables: read as they are, refused cell by cell, standardized by their training rows alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.preprocessing import StandardScaler

from benchmarks.data import DataError, Rows, TensorSource, load, load_like, split, standardization
from benchmarks.data.sources import frames
from benchmarks.data.sources.frames import decode_rows
from benchmarks.data.spec import TableSpec, read_spec

SPEC = """
kind = "table"
title = "Trees"
licence = "CC0"
citation = "-"
features = ["height", "girth"]
target = "age"
{target}
splits = {{ train = {{ examples = {count} }} }}
evaluation = "train"
[[sources]]
kind = "local"
format = "{kind}"
path = "files"
"""
NUMBER, CLASS = 'likelihood = "gaussian"', "num_classes = 3"


@pytest.fixture
def trees(tmp_path):
    """(frame or text, target, format) -> path of a spec of the table."""
    (tmp_path / "files").mkdir()

    def write(table, target=NUMBER, kind="csv") -> str:
        path = tmp_path / "files" / f"train.{kind}"
        if isinstance(table, str):
            path.write_text(table)
        elif kind == "csv":
            table.to_csv(path, index=False)
        else:
            table.to_parquet(path)
        count = table.count("\n") - 1 if isinstance(table, str) else len(table)
        text = SPEC.format(target=target, count=max(1, count), kind=kind)
        text = text.replace('path = "files"', f'path = "files"\nsplits.train = "train.{kind}"')
        (tmp_path / "trees.toml").write_text(text)
        return str(tmp_path / "trees.toml")

    return write


def frame(count: int = 6) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"age": rng.integers(0, 3, count), "note": "oak", "girth": rng.normal(size=count), "height": range(count)}
    )


@pytest.mark.parametrize(
    ("name", "function"), [("breast_cancer", load_breast_cancer), ("wine", load_wine), ("diabetes", load_diabetes)]
)
def test_built_in_tables_are_those_of_scikit_learn(name, function, warm):
    bunch = function(scaled=False) if name == "diabetes" else function()
    rows, spec = load(name, "all"), read_spec(name)
    assert isinstance(rows, Rows) and rows.fingerprint == spec.splits["all"].fingerprint
    assert spec.features == tuple(bunch.feature_names)
    assert np.array_equal(rows.inputs.numpy(), bunch.data.astype(np.float32))
    assert np.array_equal(rows.labels.numpy(), bunch.target.astype(np.float32 if name == "diabetes" else np.int64))
    assert rows.classes == (() if name == "diabetes" else tuple(bunch.target_names))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_are_read_by_name_in_the_order_of_the_spec(trees, kind):
    rows = load(trees(frame(), kind=kind), "train")
    assert rows.inputs.dtype == rows.labels.dtype == torch.float32 and rows.shape == (2,)
    assert rows.inputs[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert np.array_equal(rows.inputs[:, 1].numpy(), frame()["girth"].to_numpy().astype(np.float32))
    assert rows.labels.tolist() == frame()["age"].tolist()
    swapped = load(trees(frame()[["girth", "height", "age"]], kind=kind), "train")
    assert swapped.fingerprint == rows.fingerprint


def test_classes_are_whole_numbers_or_names_in_the_order_of_the_spec(trees):
    numbers = load(trees(frame(), CLASS), "train")
    assert numbers.labels.dtype == torch.int64 and numbers.labels.tolist() == frame()["age"].tolist()
    named = frame().assign(age=["old", "young", "mid", "old", "old", "mid"])
    rows = load(trees(named, CLASS + '\nclasses = ["young", "mid", "old"]'), "train")
    assert rows.labels.tolist() == [2, 0, 1, 2, 2, 1] and rows.classes == ("young", "mid", "old")
    assert "classes = ['mid', 'old', 'young']" in one_line(lambda: load(trees(named, CLASS), "train"))


@pytest.mark.parametrize(
    ("table", "target", "said"),
    [
        ("height,age\n1,2\n", NUMBER, "column 'girth' is not there; there are height, age"),
        ("height,girth,age\n1,2,3\n1,x,3\n", NUMBER, "row 1, column 'girth': 'x' is no finite number"),
        ("height,girth,age\n1,2,3\n1,,3\n", NUMBER, "row 1, column 'girth': an empty cell is no finite number"),
        ("height,girth,age\n1,2,3\ninf,2,3\n", NUMBER, "row 1, column 'height': inf is no finite number"),
        ("height,girth,age\n1e39,2,3\n", NUMBER, "row 0, column 'height': 1e+39 is no finite number"),
        ("height,girth,age\n1,2,\n", NUMBER, "row 0, column 'age': an empty cell is no finite number"),
        ("height,girth,age\n1,2,2.5\n", CLASS, "row 0, column 'age': 2.5 is none of the classes 0 to 2"),
        ("height,girth,age\n1,2,0\n1,2,3\n", CLASS, "row 1, column 'age': 3 is none of the classes 0 to 2"),
        ("height,girth,age\n1,2,0\n1,2,\n", CLASS, "row 1, column 'age': an empty cell is none of the classes"),
        ("height,girth,girth,age\n1,2,3,0\n", NUMBER, "column 'girth' is there 2 times"),
        ("height,girth,age\n", NUMBER, "the split is empty"),
        ("", NUMBER, "could not be read as csv"),
        ('height,girth,age\n"1,2,0\n', NUMBER, "could not be read as csv"),
        ("height;girth;age\n1;2;3\n", NUMBER, "there are height;girth;age"),
    ],
)
def test_a_faulty_table_is_refused_in_one_line_that_names_column_and_row(trees, table, target, said):
    assert said in one_line(lambda: load(trees(table, target), "train"))


@pytest.mark.parametrize(
    "content", ["héight,girth,age\n1,2,3\n".encode("latin-1"), "height".encode("utf-16"), b"\0\xff"]
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_of_other_bytes_is_refused_in_one_line(trees, tmp_path, content, kind):
    spec = trees(frame(), kind=kind)
    (tmp_path / "files" / f"train.{kind}").write_bytes(content)
    assert "could not be read" in one_line(lambda: load(spec, "train"))


def test_text_that_reads_as_a_number_is_still_text(trees):
    table = frame().assign(girth=[str(number) for number in range(6)])
    assert "column 'girth': '0' is text, not a number" in one_line(lambda: load(trees(table, kind="parquet"), "train"))


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        ('target = "age"', 'target = "girth"', "column 'girth' is named twice among features and target"),
        (NUMBER, "", "num_classes is missing"),
        (NUMBER, NUMBER + "\nnum_classes = 3", "predicts a real number: leave out num_classes"),
        ('features = ["height", "girth"]', "features = []", "features: Tuple should have at least 1 item"),
        ('kind = "table"', 'kind = "tabel"', "unknown kind 'tabel'; did you mean 'table'?"),
        ('kind = "table"', 'kind = ["table"]', "unknown kind ['table']; did you mean 'table'?"),
        ('title = "Trees"', 'title = "Trees"\nmean = [0.5]', "unknown key 'mean'"),
        ('format = "csv"', 'format = "imagefolder"', "this kind is not read from imagefolder; there are csv, parquet"),
    ],
)
def test_a_faulty_spec_of_a_table_is_refused_in_one_line(trees, tmp_path, line, instead, said):
    path = trees(frame())
    text = (tmp_path / "trees.toml").read_text()
    assert line in text
    (tmp_path / "trees.toml").write_text(text.replace(line, instead, 1))
    assert said in one_line(lambda: read_spec(path))


def spec_of(features: int, likelihood: str) -> TableSpec:
    return TableSpec(
        **{"name": "t", "title": "t", "licence": "-", "citation": "-", "kind": "table", "target": "y"},
        **{"features": [f"f{i}" for i in range(features)], "likelihood": likelihood, "sources": ()},
        **{"splits": {"test": {"examples": 1}}, "num_classes": 2 if likelihood == "categorical" else None},
    )


@given(seed=st.integers(0, 2**32), count=st.integers(3, 40), size=st.floats(1e-3, 1e3), far=st.floats(-100, 100))
def test_training_rows_get_mean_0_and_deviation_1_as_scikit_learn_has_it(seed, count, size, far):
    rng = np.random.default_rng(seed)
    inputs, labels = (torch.from_numpy((far + rng.normal(size=s)) * size).float() for s in ((count, 4), (count,)))
    rows, fitted = Rows(inputs, labels, ()), StandardScaler()
    affine = standardization(rows, spec_of(4, "gaussian"))
    ((x, y),) = TensorSource(inputs, labels, affine).ordered(count)
    assert np.allclose(x.numpy(), fitted.fit_transform(inputs.double().numpy()), atol=1e-3)
    assert np.allclose(y.numpy(), fitted.fit_transform(labels.double().numpy()[:, None])[:, 0], atol=1e-5)
    assert torch.allclose(y * affine.target_std + affine.target_mean, labels, rtol=1e-4, atol=1e-4 * size)


def test_only_training_rows_decide_the_standardization_of_the_others():
    rows = Rows(torch.tensor([[0.0], [2.0], [100.0]]), torch.tensor([1.0, 3.0, 50.0]), ())
    affine = standardization(rows.take(torch.tensor([0, 1])), spec_of(1, "gaussian"))
    ((x, y),) = TensorSource(rows.inputs, rows.labels, affine).ordered(3)
    assert x.flatten().tolist() == [-1, 1, 99] and y.tolist() == [-1, 1, 48]


def test_a_column_that_is_constant_in_the_training_rows_is_refused_by_name():
    rows = Rows(torch.tensor([[0.0, 5.0], [2.0, 5.0], [1.0, 6.0]]), torch.tensor([1.0, 1.0, 2.0]), ())
    train, spec = rows.take(torch.tensor([0, 1])), spec_of(2, "gaussian")
    assert "column 'f1' is 5 in each of the 2 training rows" in one_line(lambda: standardization(train, spec))
    labels_alone = Rows(rows.inputs[[0, 2]], torch.tensor([1.0, 1.0]), ())
    assert "column 'y' is 1 in each of" in one_line(lambda: standardization(labels_alone, spec))


def test_classes_are_not_standardized_and_unknown_targets_are_not_mistaken_for_known_ones():
    rows = Rows(torch.tensor([[0.0], [2.0]]), torch.tensor([1, 0]), ())
    affine = standardization(rows, spec_of(1, "categorical"))
    assert next(TensorSource(rows.inputs, rows.labels, affine).ordered(2))[1].tolist() == [1, 0]
    assert next(TensorSource(rows.inputs, None, affine).ordered(2))[1].tolist() == [-1, -1]
    real = standardization(Rows(rows.inputs, torch.tensor([1.0, 0.0]), ()), spec_of(1, "gaussian"))
    assert next(TensorSource(rows.inputs, None, real).ordered(2))[1].isnan().all()


def test_rows_are_cut_and_hashed_as_images_are():
    rows = Rows(torch.arange(20.0).view(10, 2), torch.arange(10.0), ())
    parts = split(rows, 0, {"train": 6, "test": 4})
    assert torch.equal(parts["train"].labels * 2, parts["train"].inputs[:, 0])
    prints = {
        rows.fingerprint,
        Rows(rows.inputs, rows.labels.long(), ()).fingerprint,
        Rows(rows.inputs, None, ()).fingerprint,
        Rows(rows.inputs.view(5, 4), rows.labels[:5], ()).fingerprint,
        Rows(rows.inputs.double(), rows.labels, ()).fingerprint,
    }
    assert len(prints) == 5


def test_a_table_is_shown_to_no_model_of_images():
    assert "wine holds no images" in one_line(lambda: load_like("wine", (1, 28, 28)))


def one_line(action) -> str:
    with pytest.raises(DataError) as caught:
        action()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_a_large_csv_file_is_read_in_pieces_and_is_the_same_table(tmp_path, monkeypatch):
    lines = [f"{i},{i % 3}.5,{'ab'[i % 2]},{'left out' * 20}" for i in range(23)]
    (tmp_path / "big.csv").write_text("y,x,kind,note\n" + "\n".join(lines) + "\n")
    spec = TableSpec(
        name="big", title="-", licence="-", citation="-", kind="table", features=("x", "kind"), target="y",
        categories={"kind": ("a", "b")}, only={"y": (0, 20)}, likelihood="gaussian", evaluation="all",
        splits={"all": {"examples": 21}}, sources=({"kind": "local", "format": "csv", "path": tmp_path / "big.csv"},),
    )  # fmt: skip
    whole = decode_rows(spec.sources[0], spec, "all")
    monkeypatch.setattr(frames, "ROWS", 4)
    seen = list(frames.pieces(tmp_path / "big.csv", "csv", ("x", "kind", "y")))
    assert [len(one) for one in seen] == [4, 4, 4, 4, 4, 3] and "note" not in seen[0]
    pieced = decode_rows(spec.sources[0], spec, "all")
    assert len(whole) == 21 and whole.fingerprint == pieced.fingerprint
    (tmp_path / "big.csv").write_text("y,x,kind,note\n" + "\n".join([*lines[:13], "13,none,a,-"]) + "\n")
    with pytest.raises(DataError, match="row 13, column 'x': 'none' is no finite number"):
        decode_rows(spec.sources[0], spec, "all")
