"""A class is found wherever an installer may have put its file, through whatever imports it is handed on."""

import sys

import pytest
from packages import editable_install, install

from baselines.names import UserError
from baselines.registry import find, unavailable
from baselines.spec import parse

METHOD = "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass M:\n    rate: float = 0.1\n"
NESTED = (
    "from dataclasses import dataclass\nclass Outer:\n    @dataclass\n    class Inner:\n        rate: float = 0.1\n"
)
OURS = "from baselines.map import MAP\nclass M(MAP): pass\n"

HANDED_ON = {
    "its own module": ("pkg.m:M", {"pkg/__init__.py": "", "pkg/m.py": METHOD}),
    "a package without __init__": ("space.pkg.m:M", {"space/pkg/m.py": METHOD}),
    "a module alone": ("single:M", {"single.py": METHOD}),
    "a relative import": ("pkg:M", {"pkg/__init__.py": "from .m import M\n", "pkg/m.py": METHOD}),
    "an absolute import": ("pkg:M", {"pkg/__init__.py": "from pkg.m import M\n", "pkg/m.py": METHOD}),
    "an import under another name": ("pkg:N", {"pkg/__init__.py": "from .m import M as N\n", "pkg/m.py": METHOD}),
    "three hops": (
        "pkg:N",
        {
            "pkg/__init__.py": "from .a import N\n",
            "pkg/a/__init__.py": "from ..b import O as N\n",
            "pkg/b.py": "from pkg.c.d import M as O\n",
            "pkg/c/d.py": METHOD,
        },
    ),
    "a star": ("pkg:M", {"pkg/__init__.py": "from .m import *\n", "pkg/m.py": METHOD}),
    "a star with __all__": (
        "pkg:M",
        {
            "pkg/__init__.py": "from .m import *\nfrom .n import *\n",
            "pkg/m.py": METHOD + "__all__ = ['M']\n",
            "pkg/n.py": METHOD.replace("0.1", "9.9") + "__all__ = []\n",
        },
    ),
    "another name": ("pkg.m:N", {"pkg/m.py": METHOD + "N = M\n"}),
    "a name of a module": ("pkg:N", {"pkg/__init__.py": "from . import m\nN = m.M\n", "pkg/m.py": METHOD}),
    "a module under a name": ("pkg:N", {"pkg/__init__.py": "import pkg.m as x\nN = x.M\n", "pkg/m.py": METHOD}),
    "a module written out": ("pkg:N", {"pkg/__init__.py": "import pkg.m\nN = pkg.m.M\n", "pkg/m.py": METHOD}),
    "a name like its module's": (
        "pkg:m.M",
        {"pkg/__init__.py": "from . import m\n", "pkg/m.py": METHOD},
    ),
    "inside of a class": ("pkg.m:Outer.Inner", {"pkg/m.py": NESTED}),
    "extras": ("pkg.m:M [fast,gpu]", {"pkg/m.py": METHOD}),
    "spaces": ("pkg.m : M", {"pkg/m.py": METHOD}),
    "a try": ("pkg.m:M", {"pkg/m.py": "try:\n    import fast\nexcept ImportError:\n    fast = None\n" + METHOD}),
    "under a condition": ("pkg.m:M", {"pkg/m.py": "if True:\n    " + METHOD.replace("\n", "\n    ") + "\n"}),
    "defined anew": ("pkg.m:M", {"pkg/m.py": METHOD.replace("0.1", "9.9") + METHOD}),
    "for type checkers too": (
        "pkg.m:M",
        {"pkg/m.py": "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from x import M\n" + METHOD},
    ),
    "a file with a byte order mark": ("pkg.m:M", {"pkg/m.py": b"\xef\xbb\xbf" + METHOD.encode()}),
    "a file in Latin-1 that says so": ("pkg.m:M", {"pkg/m.py": b"# coding: latin-1\n# \xe9\n" + METHOD.encode()}),
    "a generic class": (
        "pkg.m:M",
        {"pkg/m.py": METHOD.replace("class M", "class M(Base[int])") + "from typing import Generic as Base\n"},
    ),
}


def clean():
    """Forget modules of a test's package, which the next test has too."""
    for module in [
        one for one in sys.modules if one.partition(".")[0] in ("pkg", "space", "single", "flat", "src_one")
    ]:
        del sys.modules[module]


@pytest.mark.parametrize(("value", "files"), HANDED_ON.values(), ids=HANDED_ON)
def test_a_class_is_found_through_whatever_hands_it_on(site, value, files):
    install(site, "theirs", f"theirs = {value}", files)
    clean()
    spec = parse("theirs(rate=0.5)")
    assert not {"pkg", "space", "single"} & set(sys.modules), "finding it has imported it"
    assert spec.cls.defaults == {"rate": 0.1} and spec.cls.source.is_relative_to(site)
    if "generic" not in value and "Base" not in str(files):
        assert spec.create().rate == 0.5
        clean()


PROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"
[project]
name = "theirs"
version = "1.0"
[project.entry-points."ivi.baselines"]
theirs = "{}"
"""
LAYOUTS = {
    "src": ("src_one:M", {"src/src_one/__init__.py": "from .m import M\n", "src/src_one/m.py": METHOD}, ""),
    "flat": ("flat.m:M", {"flat/__init__.py": "", "flat/m.py": METHOD}, ""),
    "a module alone": ("single:M", {"single.py": METHOD}, '[tool.setuptools]\npy-modules = ["single"]\n'),
    "a namespace": (
        "space.pkg.m:M",
        {"lib/space/pkg/__init__.py": "", "lib/space/pkg/m.py": METHOD},
        '[tool.setuptools.packages.find]\nwhere = ["lib"]\ninclude = ["space*"]\n',
    ),
    "a folder of another name": (
        "flat.m:M",
        {"code/__init__.py": "", "code/m.py": METHOD},
        '[tool.setuptools]\npackages = ["flat"]\npackage-dir = {flat = "code"}\n',
    ),
}


@pytest.mark.parametrize("mode", ["lenient", "strict"])
@pytest.mark.parametrize(("value", "files", "settings"), LAYOUTS.values(), ids=LAYOUTS)
def test_an_editable_install_is_read_where_it_is_edited(site, tmp_path, value, files, settings, mode):
    project = tmp_path / "project"
    for name, content in {**files, "pyproject.toml": PROJECT.format(value) + settings}.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(content)
    editable_install(site, project, editable_mode=mode)
    method = find("theirs")
    assert method.defaults == {"rate": 0.1}, unavailable()
    assert method.source.resolve().is_relative_to(project)


def test_an_editable_install_of_another_builder_is_found_by_its_address(site, tmp_path):
    info = install(site, "theirs", "theirs = pkg.m:M", {})
    project = tmp_path / "a project"
    (project / "src/pkg").mkdir(parents=True)
    (project / "src/pkg/m.py").write_text(METHOD)
    address = project.as_uri()
    (info / "direct_url.json").write_text(f'{{"url": "{address}", "dir_info": {{"editable": true}}}}')
    assert find("theirs").source == project / "src/pkg/m.py"


def test_a_package_that_lists_no_files_is_read_where_it_lies(site):
    info = install(site, "theirs", "theirs = pkg.m:M", {"pkg/m.py": METHOD})
    (info / "RECORD").unlink()
    assert find("theirs").source == site / "pkg/m.py"


def test_a_method_may_inherit_from_one_of_ours_and_from_files_of_its_own(site):
    base = "from dataclasses import dataclass\n@dataclass\nclass Base:\n    draws: int = 8\n    rate: float = 1.0\n"
    files = {"pkg/base.py": base, "pkg/m.py": METHOD.replace("class M:", "class M(Base):") + "from .base import Base\n"}
    install(site, "theirs", "theirs = pkg.m:M\nlike_ours = pkg.n:M", {**files, "pkg/n.py": OURS})
    method = find("theirs")
    assert method.defaults == {"draws": 8, "rate": 0.1} and list(method.defaults) == ["draws", "rate"]
    assert find("like_ours").defaults == find("map").defaults
    (site / "pkg/base.py").write_text(base + "# edited\n")
    from baselines import registry

    registry.forget()
    assert find("theirs").source_sha256 != method.source_sha256, "an edit of a base makes another method"


def test_a_class_that_python_finds_elsewhere_is_not_made(site, tmp_path, monkeypatch):
    install(site, "theirs", "theirs = pkg.m:M", {"pkg/__init__.py": "", "pkg/m.py": METHOD})
    other = tmp_path / "other"
    (other / "pkg").mkdir(parents=True)
    (other / "pkg/__init__.py").touch()
    (other / "pkg/m.py").write_text(METHOD)
    spec = parse("theirs")
    monkeypatch.syspath_prepend(other)
    clean()
    with pytest.raises(UserError, match="two packages have a module pkg.m"):
        spec.create()
    clean()


def test_an_edit_between_plan_and_run_is_noticed(site):
    install(site, "theirs", "theirs = pkg.m:M", {"pkg/__init__.py": "", "pkg/m.py": METHOD})
    before = parse("theirs")
    (site / "pkg/m.py").write_text(METHOD + "# edited\n")
    with pytest.raises(UserError, match="has changed since the run was planned"):
        before.create()
    assert parse("theirs") != before and parse("theirs").label == before.label
