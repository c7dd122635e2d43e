"""`ivi init`: what it writes can be run; what is odd is said; what cannot be learned from is one line."""

import os
import tomllib

import datasets
import numpy as np
import pandas as pd
import pytest
from commands import ivi
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks.data import load, read_spec
from benchmarks.own.look import about_parts, cut, look
from benchmarks.own.toml import dumps
from benchmarks.suite import load_task


def draw(rng, channel, size=(12, 10)):
    pixels = rng.integers(0, 120, (size[1], size[0], 3), dtype=np.uint8)
    pixels[..., channel] += 100
    return Image.fromarray(pixels)


def folder_of(path, classes=("red", "grün", "blå"), count=20, size=(12, 10)):
    rng = np.random.default_rng(0)
    for channel, name in enumerate(classes):
        (path / name).mkdir(parents=True)
        for i in range(count):
            draw(rng, channel, size).save(path / name / f"{i:02}.png")
    return path


def odd_of(path, **options):
    return "\n".join(look(path, **options).odd)


def written(folder, *arguments):
    """What `ivi init` says, the spec's path and the task's."""
    done = ivi("init", *arguments, cwd=folder)
    files = [line.removeprefix("wrote ") for line in done.stdout.splitlines() if line.startswith("wrote ")]
    return done.stdout, *(str(folder / file) for file in files)


def test_from_a_folder_of_pictures_to_a_table_and_an_answer_in_three_commands(tmp_path):
    folder_of(tmp_path / "Colours of Things")
    said, data, task = written(tmp_path, "Colours of Things")
    assert f"next: ivi run {'colours-of-things-resnet-small.toml'} --keep-models" in said
    assert "note: 6 validation examples are few" in said and "note: 12 test examples are few" in said
    assert read_spec(data).classes == ("blå", "grün", "red") and load_task(task).data.test == 12
    text = (tmp_path / "colours-of-things-resnet-small.toml").read_text()
    (tmp_path / "colours-of-things-resnet-small.toml").write_text(text.replace("epochs = 40", "epochs = 8"))
    ivi("run", "colours-of-things-resnet-small.toml", "--keep-models", "-m", "map", "-s", 1, cwd=tmp_path)
    done = ivi("predict", "map", "Colours of Things/grün/00.png", "-f", "csv", cwd=tmp_path)
    assert "the share of 6 validation examples that are less strange, in steps of 0.17; so few" in done.stderr
    answer = done.stdout
    header, row = answer.strip().splitlines()
    assert header == "input,class,probability,unlike,p(blå),p(grün),p(red)" and row.split(",")[1] == "grün", answer


@given(st.integers(30, 10**6), st.one_of(st.none(), st.integers(0, 10**4)))
def test_parts_of_less_than_a_hundred_examples_are_noted_and_no_others(total, test):
    sizes = cut({"train": total, "test": test} if test is not None else {"all": total})
    few = {name for name, n in (sizes | ({"test": test} if test is not None else {})).items() if n < 100} - {"train"}
    assert {line.split()[1] for line in about_parts(sizes, test)} == few


def test_mean_and_deviation_are_those_of_the_pictures(tmp_path):
    found = look(folder_of(tmp_path / "colours"))
    (tmp_path / "colours.toml").write_text(dumps(found.data))
    pixels = load(str(tmp_path / "colours.toml"), "all").inputs.double() / 255
    assert np.allclose(found.data["mean"], pixels.mean((0, 2, 3)), atol=1e-4)
    assert np.allclose(found.data["std"], pixels.std((0, 2, 3), correction=0), atol=1e-4)


def test_odd_pictures_are_read_right_or_left_out_by_name(tmp_path):
    folder = folder_of(tmp_path / "colours")
    rng = np.random.default_rng(1)
    one = draw(rng, 0, (30, 16))
    rgba = one.convert("RGBA")
    rgba.putalpha(3)
    rgba.save(folder / "red" / "rgba.png")
    one.convert("P").save(folder / "red" / "palette.png")
    one.convert("CMYK").save(folder / "red" / "cmyk.jpg")
    one.convert("L").save(folder / "red" / "grey.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    draw(rng, 0, (16, 30)).save(folder / "red" / "turned.jpg", exif=exif)
    Image.fromarray(np.full((12, 12), 40_000, np.uint16)).save(folder / "red" / "deep.png")
    whole = (folder / "red" / "cmyk.jpg").read_bytes()
    (folder / "red" / "broken.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "red" / "none.png").write_bytes(b"")
    (folder / "red" / "notes.txt").write_text("notes")
    (folder / "empty").mkdir()
    said, data, _ = written(tmp_path, "colours")
    for words in ("broken.jpg", "none.png", "deep.png: is of mode I;16, with more than 8 bits", "notes.txt"):
        assert words in said, said
    assert "left out: class 'empty': no readable picture of it" in said
    assert read_spec(data).classes == ("blå", "grün", "red") and len(load(data, "all")) == 65


def test_a_picture_that_says_it_is_turned_is_read_upright(tmp_path):
    folder = folder_of(tmp_path / "colours", size=(64, 64))
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:32] = 255  # the upper half; turned by 90 degrees, the right half
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(folder / "red" / "zz.png", exif=exif)
    _, data, _ = written(tmp_path, "colours")
    last = load(data, "all").take(np.array([60])).inputs[0, 0]
    assert (last[:, 32:] == 255).all() and (last[:, :32] == 0).all()


def test_pictures_twice_in_two_classes_and_in_two_splits_are_said(tmp_path):
    for split in ("train", "test"):
        folder_of(tmp_path / "colours" / split, count=20 if split == "train" else 4)
    red = tmp_path / "colours" / "train" / "red"
    (red / "copy.png").write_bytes((red / "10.png").read_bytes())
    (red.parent / "blå" / "copy.png").write_bytes((red / "11.png").read_bytes())
    (tmp_path / "colours" / "val").mkdir()
    (tmp_path / "colours" / "val" / "red").mkdir()
    draw(np.random.default_rng(3), 0).save(tmp_path / "colours" / "val" / "red" / "0.png")
    found = look(tmp_path / "colours")
    odd = "\n".join(found.odd)
    assert "1 pictures are there twice" in odd and "1 pictures are in two classes" in odd, odd
    assert "4 pictures are in two splits" in odd and "left out: folder val" in odd, odd
    assert found.splits == {"train": 62, "test": 12} and cut(found.splits) == {"train": 53, "validation": 9}


def test_imbalance_is_said(tmp_path):
    folder_of(tmp_path / "colours", classes=("many",), count=60)
    (tmp_path / "colours" / "few").mkdir()
    for i in range(12):
        draw(np.random.default_rng(i), 1).save(tmp_path / "colours" / "few" / f"{i}.png")
    assert "imbalance: 60 of 'many', 12 of 'few'" in odd_of(tmp_path / "colours")


ROWS = 200


def trees(**more):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"height": rng.normal(10, 3, ROWS), "girth": rng.normal(1, 0.2, ROWS)})
    frame["kind"] = rng.choice(["oak", "beech"], ROWS)
    frame = frame.assign(**more)
    frame["age"] = 4 * frame["height"] + 15 * (frame["kind"] == "oak") + rng.normal(0, 1, ROWS)
    return frame


def test_from_a_csv_to_a_table_and_to_answers_in_three_commands(tmp_path):
    frame = trees()
    frame.loc[:30, "height"] = np.nan
    frame.loc[20:25, "kind"] = None
    frame.to_csv(tmp_path / "trees.csv", index=False)
    written(tmp_path, "trees.csv")
    ivi("run", "trees-mlp-table.toml", "--keep-models", "-m", "map", "-s", 1, cwd=tmp_path)
    frame.drop(columns="age").to_csv(tmp_path / "new.csv", index=False)
    (tmp_path / "answers.csv").write_text(ivi("predict", "map", "new.csv", "-f", "csv", cwd=tmp_path).stdout)
    answers = pd.read_csv(tmp_path / "answers.csv")
    known = slice(31, None)
    assert np.corrcoef(answers["mean"][known], frame["age"][known])[0, 1] > 0.95
    assert answers["sd"][:20].mean() > 1.5 * answers["sd"][known].mean(), "an empty cell makes less sure"


def test_columns_that_can_be_no_inputs_are_left_out_by_name(tmp_path):
    more = {
        "Unnamed: 0": range(ROWS),
        "site": "here",
        "nothing": np.nan,
        "note": [f"text {i}" for i in range(ROWS)],
        "mixed": ["?" if i % 50 == 0 else str(i % 7) for i in range(ROWS)],
        "huge": np.where(np.arange(ROWS) == 5, np.inf, 1.0),
    }
    frame = trees(**more)
    frame["same"] = 2 * frame["age"]
    frame[[*(name for name in frame if name != "age"), "age"]].to_csv(tmp_path / "trees.csv", index=False)
    found = look(tmp_path / "trees.csv")
    odd = "\n".join(found.odd)
    assert found.data["features"] == ["height", "girth", "kind", "same"] and found.data["target"] == "age"
    for words in (
        "'Unnamed: 0': numbers the rows",
        "'site': is here in every row",
        "'nothing': is empty",
        "'note': holds 200 different texts",
        "'mixed': mixes numbers with 4 cells of text ('?')",
        "'huge': holds infinite numbers",
        "column 'same' is as good as 'age' itself",
    ):
        assert words in odd, odd


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["b", "a", "ü"], ["a", "b", "ü"]),
        ([1, 2, 3], ["1", "2", "3"]),
        ([10, 9, 0], ["0", "9", "10"]),
        ([True, False], ["False", "True"]),
        ([1.0, 2.0], ["1", "2"]),
    ],
)
def test_labels_of_every_kind_become_the_classes_that_they_name(tmp_path, labels, classes):
    cells = [labels[i % len(labels)] for i in range(ROWS)]
    trees().drop(columns="age").assign(what=cells).to_csv(tmp_path / "trees.csv", index=False)
    _, data, _ = written(tmp_path, "trees.csv")
    spec, rows = read_spec(data), load(data, "all")
    assert list(spec.classes) == classes
    assert [classes[i] for i in rows.labels.tolist()] == [str(one).removesuffix(".0") for one in cells]


def test_a_saved_data_set_of_pictures_and_one_of_rows_are_read_back(tmp_path):
    rng = np.random.default_rng(0)
    pictures = [draw(rng, i % 2) for i in range(60)]
    features = datasets.Features({"photo": datasets.Image(), "what": datasets.ClassLabel(names=["red", "green"])})
    table = datasets.Dataset.from_dict({"photo": pictures, "what": [i % 2 for i in range(60)]}, features=features)
    table.save_to_disk(tmp_path / "single")
    datasets.DatasetDict({"train": table, "test": table.select(range(10))}).save_to_disk(tmp_path / "double")
    table.to_parquet(tmp_path / "pictures.parquet")
    datasets.Dataset.from_pandas(trees(), preserve_index=False).save_to_disk(tmp_path / "rows")
    for name, count in (("single", 60), ("double", 60), ("pictures.parquet", 60), ("rows", ROWS)):
        _, data, _ = written(tmp_path, name)
        spec = read_spec(data)
        assert len(load(data, next(iter(spec.splits)))) == count, name
    assert "are in two splits" in odd_of(tmp_path / "double")


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("nowhere", lambda path: None, "is not there"),
        ("a.txt", lambda path: path.write_text("x"), "name a folder of pictures"),
        ("empty", lambda path: path.mkdir(), "no pictures there"),
        (
            "bytes",
            lambda path: (folder_of(path) / "red" / os.fsdecode(b"\xff.png")).write_bytes(b""),
            "is not UTF-8: rename",
        ),
        ("one", lambda path: folder_of(path, ("red",), 40), "one class ('red'): at least two are needed"),
        ("few", lambda path: folder_of(path, count=3), "9 examples to train on: at least 30 are needed"),
        ("flat", lambda path: folder_of(path.parent / "flat", ("flat",)) and None, "CLASS/PICTURE"),
        ("parted.csv", lambda path: trees().to_csv(path, sep=";", index=False), "parted by ';'"),
        ("twice.csv", lambda path: path.write_text("a,a,b\n1,2,3\n"), "column 'a' is there 2 times"),
        ("bytes.csv", lambda path: path.write_bytes(b"a,b\n\xff,1\n"), "could not be read as csv"),
        ("gaps.csv", lambda path: trees().assign(age=np.nan).to_csv(path, index=False), "'age' is empty in 200 of 200"),
        ("same.csv", lambda path: trees().assign(age=1).to_csv(path, index=False), "in every row: nothing to predict"),
    ],
)
def test_what_cannot_be_learned_from_is_one_line(tmp_path, name, make, words):
    make(tmp_path / name)
    if name == "flat":
        name = "flat/flat"
    done = ivi("init", name, cwd=tmp_path, code=2)
    assert words in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not list(tmp_path.glob("*.toml"))


def test_files_that_are_there_are_kept(tmp_path):
    trees().to_csv(tmp_path / "trees.csv", index=False)
    written(tmp_path, "trees.csv")
    assert "--force writes over it" in ivi("init", "trees.csv", cwd=tmp_path, code=2).stderr
    written(tmp_path, "trees.csv", "--force")


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.one_of(
    texts, st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False)
)
lists = st.lists(st.one_of(scalars), max_size=30)
tables = st.dictionaries(
    texts, st.one_of(scalars, lists, st.dictionaries(texts, scalars, min_size=1, max_size=3)), max_size=4
)


@given(st.dictionaries(texts, st.one_of(scalars, lists, tables.filter(bool)), max_size=5))
def test_what_is_written_as_toml_is_read_back(table):
    assert tomllib.loads(dumps(table)) == table
