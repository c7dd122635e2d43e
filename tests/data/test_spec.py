"""Specs: every one that comes along is sound, and whatever is wrong in one is said in one line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.data.spec import DataError, Hub, names, read_spec

LOCAL = """
    [[sources]]
    kind = "local"
    format = "parquet"
    path = "."
    """


@pytest.mark.parametrize("name", names())
def test_every_spec_that_comes_along_is_sound(name):
    spec = read_spec(name)
    assert spec.name == name
    assert not spec.classes or len(spec.classes) == spec.num_classes
    assert all(other in names() for other in (*spec.near, *spec.far))
    assert getattr(spec, "published_corruptions", None) in (None, *names())


def test_reading_specs_imports_no_torch():
    code = (
        "import sys, benchmarks.data.spec as s; [s.read_spec(n) for n in s.names()]; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_data_set_names_the_nearest():
    assert one_line(lambda: read_spec("fashion_mnst")) == "no data set 'fashion_mnst'; did you mean 'fashion_mnist'?"


def test_an_unknown_split_names_those_there_are():
    assert one_line(lambda: read_spec("cifar10").split("val")) == "cifar10 has no split 'val'; it has 'train', 'test'"
    assert "fog/3" in one_line(lambda: read_spec("cifar10c").split("test"))
    assert read_spec("cifar10c").split("fog/3").examples == 10_000


@pytest.mark.parametrize(
    ("sources", "changes", "said"),
    [
        (LOCAL, {"licnce": '"MIT"'}, "unknown key 'licnce'; did you mean 'licence'?"),
        (LOCAL.replace("path", "pth"), {}, "did you mean 'path'?"),
        (LOCAL.replace("local", "lokal"), {}, "unknown source 'lokal' in sources.0; did you mean 'local'?"),
        (LOCAL.replace("local", "ftp"), {}, "unknown source 'ftp' in sources.0; there are builtin, idx, hub, local"),
        (LOCAL, {"num_classes": "9"}, "10 classes are named, num_classes is 9"),
        (LOCAL, {"mean": "[0.5]"}, "mean and std need 3 numbers each"),
        (LOCAL, {"evaluation": '"val"'}, "evaluation split 'val' is not among the splits train, test"),
        (LOCAL, {"splits": "{ test = { examples = 0 } }"}, "splits.test.examples"),
        (LOCAL, {"splits": '{ test = { examples = 1, fingerprint = "abc" } }'}, "splits.test.fingerprint"),
        ("[[", {}, "not a TOML file"),
        (LOCAL, {"shape": "[3, -32, 32]"}, "shape.1: Input should be greater than 0"),
        (LOCAL, {"shape": "[4, 32, 32]"}, "shape.0: Input should be 1 or 3"),
        (LOCAL, {"std": "[0.5, 0.0, 0.5]"}, "std.1: Input should be greater than 0"),
        (LOCAL, {"num_classes": "2", "classes": '["cat", "cat"]'}, "class 'cat' is named twice"),
        (LOCAL.replace('kind = "local"', ""), {}, "sources.0: kind is missing; there are builtin, idx, hub, local"),
    ],
)
def test_a_faulty_spec_is_refused_in_one_line(write_spec, sources, changes, said):
    path = write_spec(sources, **changes)
    message = one_line(lambda: read_spec(path))
    assert message.startswith(path) and said in message


def test_a_copy_of_ones_own_is_tried_first(tmp_path, monkeypatch):
    (tmp_path / "cifar100").mkdir()
    (tmp_path / "cifar100" / "train.parquet").touch()
    monkeypatch.setenv("IVI_DATA", str(tmp_path))
    own, hub = read_spec("cifar100").sources
    assert own.kind == "local" and own.format == "parquet" and own.label == "fine_label"
    assert isinstance(hub, Hub)


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_of_own_copies_that_is_none_is_refused(tmp_path, monkeypatch, exists):
    if exists:
        (tmp_path / "place").write_text("a file")
    monkeypatch.setenv("IVI_DATA", str(tmp_path / "place"))
    message = one_line(lambda: read_spec("cifar10"))
    assert message == f"$IVI_DATA is {tmp_path}/place, which is not a folder: make it, or unset the variable"


def one_line(action) -> str:
    with pytest.raises(DataError) as caught:
        action()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message
