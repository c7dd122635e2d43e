"""A package that is broken, odd or hostile is listed with its reason, and takes nothing else down."""

import os
import py_compile
import re
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES

import pytest
from packages import GROUP, install

from baselines.names import UserError
from baselines.registry import find, known_methods, unavailable
from baselines.spec import parse

METHOD = "@dataclass\nclass M:\n    rate: float = 0.1\n"
HERE = {"pkg/__init__.py": ""}


def body(field):
    return {**HERE, "pkg/m.py": f"@dataclass\nclass M:\n    {field}\n"}


def module(text):
    return {**HERE, "pkg/m.py": text}


CASES = {
    "a module that is gone": ("pkg.gone:M", HERE, "there is no module pkg.gone"),
    "a package that is gone": ("nowhere.m:M", HERE, "there is no module nowhere.m"),
    "a module of its neighbour in the same folder": ("fine.m:M", HERE, "there is no module fine.m"),
    "a module of another package": ("rich.text:Text", HERE, "there is no module rich.text"),
    "a class that is gone": ("pkg.m:Gone", module(METHOD), "unknown class in .*'Gone'"),
    "a syntax error": ("pkg.m:M", module("class M(:\n"), r"m.py:1: "),
    "Python 2": ("pkg.m:M", module("print 'x'\n"), r"m.py:1: "),
    "Latin-1": ("pkg.m:M", module(METHOD.replace("0.1", "'é'").encode("latin-1")), "m.py.*(utf-8|codec)"),
    "UTF-16": ("pkg.m:M", module(METHOD.encode("utf-16")), "m.py"),
    "an unknown encoding": ("pkg.m:M", module("# coding: klingon\n" + METHOD), "unknown encoding"),
    "an encoding that is none of text": ("pkg.m:M", module("# coding: zlib\n" + METHOD), "m.py"),
    "zero bytes": ("pkg.m:M", module("\0" + METHOD), "null bytes"),
    "an empty file": ("pkg.m:M", module(""), "unknown class in"),
    "200,000 unary minuses": ("pkg.m:M", body("x: int = " + "-" * 200_000 + "1"), "cannot be parsed"),
    "5,000 unary minuses": ("pkg.m:M", body("x: int = " + "-" * 5_000 + "1"), "m.py"),
    "10,000 parentheses": ("pkg.m:M", body("x: int = " + "(" * 10_000 + "1" + ")" * 10_000), "m.py"),
    "10,000 attributes": ("pkg.m:M", module(f"class M(a{'.a' * 10_000}): pass\n"), "m.py"),
    "10,000 branches": ("pkg.m:M", module("if a: pass\n" + "elif a: pass\n" * 10_000), "."),
    "a number of 5,000 digits": ("pkg.m:M", body("x: int = " + "9" * 5_000), "m.py"),
    "a file of 2 MiB": ("pkg.m:M", module("#" * 2**21), "bytes; a method's file has"),
    "a default that is computed": ("pkg.m:M", body("x: float = compute()"), "m.py:3: .*plain number"),
    "no default": ("pkg.m:M", body("x: float"), "plain number"),
    "a field without default": ("pkg.m:M", body("x: float = field(repr=False)"), "plain number"),
    "a factory that is a function": ("pkg.m:M", body("x: list = field(default_factory=make)"), "plain number"),
    "a default of bytes": ("pkg.m:M", body("x: bytes = b'a'"), "plain number"),
    "a default that is a dict": ("pkg.m:M", body("x: dict = {'a': 1}"), "plain number"),
    "a default that is infinite": ("pkg.m:M", body("x: float = 1e999"), "plain number"),
    "a default with a lone surrogate": ("pkg.m:M", body(r"x: str = '\ud800'"), "plain number"),
    "a default with a line end": ("pkg.m:M", body(r"x: str = 'a\nb'"), "plain number"),
    "a default of the wrong type": ("pkg.m:M", body("x: int = 'two'"), "the default of x"),
    "a default that is no choice": ("pkg.m:M", body("x: Literal['a', 'b'] = 'c'"), "the default of x"),
    "a default out of its bounds": ("pkg.m:M", body("x: Annotated[int, Ge(1)] = 0"), "the default of x"),
    "bounds on a word": ("pkg.m:M", body("x: Annotated[str, Ge(1)] = 'a'"), "of x"),
    "a field under a condition": ("pkg.m:M", body("if A:\n        x: int = 1"), "under a condition"),
    "an InitVar": ("pkg.m:M", body("x: InitVar[int] = 1"), "InitVar"),
    "fields without a dataclass": ("pkg.m:M", module("class M:\n    x: int = 1\n"), "no dataclass"),
    "a function": ("pkg.m:M", module("def M(): pass\n"), "is a function"),
    "a class that an expression makes": ("pkg.m:M", module("M = make_dataclass('M', [])\n"), "made by an expression"),
    "a class in two branches": (
        "pkg.m:M",
        module("if A:\n    class M: pass\nelse:\n    class M: pass\n"),
        "binds M 2 times",
    ),
    "a class in a function": ("pkg.m:M", module("def f():\n    class M: pass\n"), "unknown class"),
    "a class that a function __getattr__ gives": (
        "pkg:M",
        {"pkg/__init__.py": "def __getattr__(name): ...\n"},
        "unknown class in",
    ),
    "a circle of imports": (
        "pkg:M",
        {"pkg/__init__.py": "from .a import M\n", "pkg/a.py": "from .b import M\n", "pkg/b.py": "from .a import M\n"},
        "in a circle",
    ),
    "an import of itself": ("pkg:M", {"pkg/__init__.py": "from pkg import M\n"}, "in a circle"),
    "a circle of stars": (
        "pkg:M",
        {"pkg/__init__.py": "from .a import *\n", "pkg/a.py": "from . import *\n"},
        "unknown class|in a circle",
    ),
    "an import from above the top": ("pkg:M", {"pkg/__init__.py": "from ....x import M\n"}, "there is no module"),
    "a class of torch": ("pkg.m:M", module("from torch.nn import Linear as M\n"), "there is no module torch.nn"),
    "a base of torch": (
        "pkg.m:M",
        module("from torch import nn\nclass M(nn.Module): pass\n"),
        "inherits from nn.Module",
    ),
    "a base that is called": ("pkg.m:M", module("class M(make()): pass\n"), "base make.. is no name"),
    "a base that is nowhere": ("pkg.m:M", module("class M(Gone): pass\n"), "inherits from Gone"),
    "a class that is its own base": ("pkg.m:M", module("class M(M): pass\n"), "inherits from itself"),
    "bases in no order": (
        "pkg.m:M",
        module("class A: pass\nclass B(A): pass\nclass M(A, B): pass\n"),
        "method resolution|MRO",
    ),
    "a class that is ours": ("baselines.map:MAP", HERE, "is ivi-bench's"),
    "a class that is ours, imported": ("pkg.m:M", module("from baselines.map import MAP as M\n"), "is ivi-bench's"),
    "a module": ("pkg:m", module(METHOD), "is a module, not a class"),
    "no colon": ("pkg.m", module(METHOD), "is written module:Class"),
    "nothing": ("", HERE, "is written module:Class"),
    "two colons": ("pkg:m:M", module(METHOD), "is written module:Class"),
    "a path": ("../../etc/passwd:M", HERE, "is written module:Class"),
    "a path of dots": ("..pkg.m:M", module(METHOD), "is written module:Class"),
    "a call": ("pkg.m:M()", module(METHOD), "is written module:Class"),
    "a number for a class": ("pkg.m:1", module(METHOD), "unknown class"),
    "a nested class that is gone": ("pkg.m:M.Inner", module(METHOD), "no class Inner inside"),
    "markup for a reason": ("pkg.m:M", module("class \x1b[31m:\n"), "m.py:1"),
}


@pytest.mark.parametrize(("value", "files", "reason"), CASES.values(), ids=CASES)
def test_a_bad_package_is_named_and_harms_nobody(site, value, files, reason):
    install(site, "bad", f"bad = {value}", files)
    install(site, "good", "good = fine.m:M", {"fine/m.py": METHOD})
    check_bad("bad", reason)


def check_bad(name, reason):
    methods = known_methods()
    assert {"map", "implicit_vi", "good"} <= set(methods) and name not in methods
    told = unavailable()[name]
    assert re.search(reason, told), told
    assert told.isprintable() and len(told) < 700
    with pytest.raises(UserError) as error:
        find(name)
    assert str(error.value) == f"method '{name}' is unavailable: {told}"
    assert parse("good(rate=0.5)").label == "good(rate=0.5)"


def make_fifo(path):
    os.mkfifo(path)


def make_folder(path):
    path.mkdir()


def make_circle(path):
    path.symlink_to(path)


def make_broken_link(path):
    path.symlink_to(path.parent / "gone.py")


def make_endless(path):
    path.symlink_to("/dev/zero")


def make_unreadable_name(path):
    path.symlink_to("x" * 250)


@pytest.mark.parametrize(
    "make", [make_fifo, make_folder, make_circle, make_broken_link, make_endless, make_unreadable_name]
)
def test_a_source_that_is_no_file_is_never_waited_for(site, make):
    install(site, "bad", "bad = pkg.m:M", module(METHOD))
    install(site, "good", "good = fine.m:M", {"fine/m.py": METHOD})
    (site / "pkg/m.py").unlink()
    make(site / "pkg/m.py")
    check_bad("bad", "no regular file|cannot be read")


@pytest.mark.parametrize("suffix", [EXTENSION_SUFFIXES[0], ".pyc"])
def test_a_method_without_source_is_unavailable(site, suffix):
    install(site, "bad", "bad = pkg.m:M", {**HERE, f"pkg/m{suffix}": b""})
    install(site, "good", "good = fine.m:M", {"fine/m.py": METHOD})
    check_bad("bad", "compiled only")


def test_a_method_whose_source_was_removed_after_compiling_is_unavailable(site):
    install(site, "bad", "bad = pkg.m:M", module(METHOD))
    install(site, "good", "good = fine.m:M", {"fine/m.py": METHOD})
    py_compile.compile(str(site / "pkg/m.py"))
    (site / "pkg/m.py").unlink()
    check_bad("bad", "compiled only")


def test_a_package_in_an_archive_is_unavailable(site, monkeypatch):
    install(site, "good", "good = fine.m:M", {"fine/m.py": METHOD})
    egg = site / "bad-1.0-py3.egg"
    with zipfile.ZipFile(egg, "w") as archive:
        archive.writestr("pkg/m.py", METHOD)
        archive.writestr("EGG-INFO/PKG-INFO", "Metadata-Version: 2.1\nName: bad\nVersion: 1.0\n")
        archive.writestr("EGG-INFO/entry_points.txt", f"[{GROUP}]\nbad = pkg.m:M\n")
    monkeypatch.syspath_prepend(egg)
    check_bad("bad", "lies in an archive")


METADATA = {
    "no name": ("METADATA", b"Version: 1.0\n"),
    "no metadata": ("METADATA", None),
    "metadata that is no text": ("METADATA", b"\xff\xfe\x00"),
    "a record that is no text": ("RECORD", b"\xff\xfe\x00"),
    "a record of quotes": ("RECORD", b'"' * 999),
    "a record of zero bytes": ("RECORD", b"\0,\0,\n"),
    "an origin that is no JSON": ("direct_url.json", b"{"),
    "an origin that is a list": ("direct_url.json", b"[1]"),
    "an origin without address": ("direct_url.json", b'{"dir_info": {"editable": true}}'),
    "entry points that are no text": ("entry_points.txt", b"\xff\xfe[ivi.baselines]\n"),
    "entry points without form": ("entry_points.txt", b"[ivi.baselines]\nbad\n= x\n[\n]]\n===\n"),
    "a finder that is none": ("../__editable___x_finder.py", b"MAPPING: dict = oops\n"),
}


@pytest.mark.parametrize(("file", "content"), METADATA.values(), ids=METADATA)
def test_metadata_that_cannot_be_read_harms_nobody(site, file, content):
    info = install(site, "bad", "bad = pkg.m:M", module(METHOD))
    install(site, "good", "good = fine.m:M", {"fine/m.py": METHOD})
    (info / "RECORD").write_text((info / "RECORD").read_text() + "__editable___x_finder.py,,\n")
    (info / file).unlink(missing_ok=True)
    if content is not None:
        (info / file).write_bytes(content)
    assert {"map", "good"} <= set(known_methods())
    assert all(reason.isprintable() for reason in unavailable().values())
    assert parse("good").resolved == {"rate": 0.1}


def test_a_bad_line_harms_no_other_line(site):
    entries = "no assignment\n= nothing\n# comment\nfine = pkg.m:M\nSWAG = pkg.m:M\nx y = pkg.m:M\n\u202emap = pkg.m:M"
    install(site, "mixed", entries, module(METHOD))
    assert "fine" in known_methods()
    told = unavailable()
    assert {"SWAG", "x y", "\\u202emap"} <= set(told) and "cannot be called 'SWAG'" in told["SWAG"]
