"""Which method a name means: built-in names are ours, a name that several packages have is nobody's."""

import subprocess
import sys
import time

import pytest
from packages import install

from baselines.names import UserError
from baselines.registry import find, known_methods, snake_case, unavailable, variants
from baselines.spec import parse

METHOD = "@dataclass\nclass M:\n    '''Does {}.'''\n    rate: float = 0.1\n"


def test_methods_are_listed_without_torch_and_in_a_moment():
    code = (
        "import sys, time; from baselines.registry import known_methods; began = time.process_time();"
        "methods = known_methods(); spent = time.process_time() - began;"
        "assert 'map' in methods and not {'torch', 'baselines.map'} & set(sys.modules); print(spent)"
    )
    done = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    assert min(float(one.stdout) for one in done) < 0.1


def test_two_hundred_more_packages_are_no_burden(site):
    for number in range(200):
        install(site, f"other-{number}", "", {}) if number % 10 else install(
            site, f"method-{number}", f"m{number} = m{number}:M", {f"m{number}.py": METHOD}
        )
    began = time.process_time()
    methods = known_methods()
    assert len([name for name in methods if name.startswith("m") and name[1:].isdigit()]) == 20
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("name", ["map", "implicit_vi", "implicit_vi_shared"])
def test_a_built_in_name_cannot_be_taken(site, name):
    ours = parse(name)
    install(site, "Zz_Thief", f"{name} = thief:M", {"thief.py": METHOD})
    assert parse(name) == ours and parse(name).package == "ivi-bench"
    theirs = parse(f"zz-thief/{name}")
    assert (theirs.name, theirs.package, theirs.label) == (f"zz-thief/{name}", "zz-thief", f"zz-thief/{name}")


def test_a_package_that_takes_our_name_brings_nothing(site):
    install(site, "ivi-bench", "map = thief:M\nthieving = thief:M", {"thief.py": METHOD})
    assert find("map").target == "baselines.map:MAP"
    assert "there is no module thief" in unavailable()["thieving"]


def test_a_name_that_two_packages_have_is_the_name_of_neither(site):
    install(site, "one", "wolf = one:M", {"one.py": METHOD.format("one")})
    assert find("wolf").package == find("one/wolf").package == "one" and parse("one/wolf").name == "wolf"
    install(site, "two", "wolf = two:M", {"two.py": METHOD.format("two")})
    assert {"one/wolf", "two/wolf"} <= set(known_methods()) and "wolf" not in known_methods()
    assert [find(name).summary for name in ("one/wolf", "two/wolf")] == ["Does one.", "Does two."]
    with pytest.raises(UserError, match="several packages have a method 'wolf': write one/wolf or two/wolf"):
        find("wolf")


def test_a_name_stays_taken_when_one_of_two_packages_breaks(site):
    install(site, "one", "wolf = one:M", {"one.py": METHOD})
    install(site, "two", "wolf = two:M", {"two.py": "class M(:"})
    with pytest.raises(UserError, match="several packages"):
        find("wolf")
    assert "two/wolf" in unavailable() and find("one/wolf").package == "one"


def test_a_name_that_one_package_declares_twice_is_unavailable(site):
    install(site, "one", "wolf = one:M\nwolf = one:N", {"one.py": METHOD})
    install(site, "two", "same = two:M\nsame = two:M", {"two.py": METHOD})
    assert "declares it 2 times" in unavailable()["wolf"] and "same" in known_methods()


def test_of_two_distributions_with_one_name_the_first_on_the_path_counts(site, tmp_path, monkeypatch):
    install(site, "one", "wolf = one:M", {"one.py": METHOD.format("old")})
    newer = tmp_path / "newer"
    newer.mkdir()
    install(newer, "One", "wolf = one:M", {"one.py": METHOD.format("new")}, version="2.0")
    monkeypatch.syspath_prepend(newer)
    method = find("wolf")
    assert (method.summary, method.package_version) == ("Does new.", "2.0")


def test_names_of_classes_become_names_of_methods():
    names = {"LastLayerEnsemble": "last_layer_ensemble", "MCDropout": "mc_dropout", "KLVI": "klvi", "_Mine": "mine"}
    names |= {"SWAG": "swag", "Rank2VI": "rank2_vi", "ImplicitVI": "implicit_vi", "mine": "mine"}
    assert {name: snake_case(name) for name in names} == names


def test_a_file_may_not_bring_a_built_in_name(tmp_path):
    (tmp_path / "mine.py").write_text(METHOD.replace("class M", "class ImplicitVI"))
    with pytest.raises(UserError, match="'implicit_vi', which is a built-in name: rename the class"):
        find(f"{tmp_path}/mine.py:ImplicitVI")


def test_a_class_of_a_file_needs_a_name_that_prints(tmp_path):
    (tmp_path / "mine.py").write_text(METHOD.replace("class M", "class Мар"), encoding="utf-8")  # noqa: RUF001
    with pytest.raises(UserError, match="a method cannot be called"):
        find(f"{tmp_path}/mine.py:Мар")  # noqa: RUF001


def test_every_variant_means_a_method_of_ours():
    assert {parse(text).package for text in variants().values()} == {"ivi-bench"}
