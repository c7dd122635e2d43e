"""Code that was changed where numbers are decided, and gives the same: its records stand beside the older code's."""

import hashlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_info

import baselines
from baselines import registry
from benchmarks.measure import environment
from benchmarks.measure.arithmetic import settle
from benchmarks.measure.environment import SAME_NUMBERS, code_hash, own_hash

HASH = re.compile("[0-9a-f]{64}")


METHODS = Path(baselines.__file__).parent / "same_numbers.toml"


@pytest.mark.parametrize(("file", "kind"), [(SAME_NUMBERS, "code"), (METHODS, "method")])
def test_every_declaration_names_two_codes_and_what_showed_it(file, kind):
    declared = tomllib.loads(file.read_text())
    assert set(declared) == {kind}
    for one in declared[kind]:
        assert HASH.fullmatch(one["now"]) and HASH.fullmatch(one["as"]) and one["now"] != one["as"]
        assert len(one["changed"]) > 20 and len(one["shown"]) > 20
    now, older = ([one[key] for one in declared[kind]] for key in ("now", "as"))
    assert len(set(now)) == len(now)
    assert not set(now) & set(older), "a chain: name the first"


def test_the_declared_file_of_a_method_is_the_one_that_is_here():
    """An edit after the declaration makes another method, and the declaration is of nothing any more."""
    for one in tomllib.loads(METHODS.read_text())["method"]:
        method = registry.known_methods()[one["name"]]
        assert hashlib.sha256(method.source.read_bytes()).hexdigest() == one["now"]
        assert method.source_sha256 == one["as"]


def test_a_code_that_gives_the_numbers_of_another_is_called_by_its_name(tmp_path, monkeypatch):
    file, other = tmp_path / "same.toml", "0" * 64
    file.write_text(f'[[code]]\nnow = "{own_hash()}"\nas = "{other}"\n')
    monkeypatch.setattr(environment, "SAME_NUMBERS", file)
    environment._same_numbers.cache_clear()
    try:
        assert code_hash() == other
        file.write_text("")
        environment._same_numbers.cache_clear()
        assert code_hash() == own_hash()
    finally:
        environment._same_numbers.cache_clear()


SETTLED = """
import scipy.linalg, torch
from threadpoolctl import threadpool_info
from benchmarks.measure.arithmetic import settle
settle(1)
assert torch.get_num_threads() == 1
print(*{one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"})
"""


def test_every_library_of_a_run_has_the_threads_of_the_run():
    done = subprocess.run([sys.executable, "-c", SETTLED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1"]


def test_single_precision_is_whole_wherever_it_is_computed():
    threads = torch.get_num_threads()
    settle(threads)
    assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cudnn.deterministic and torch.get_num_threads() == threads
    assert threadpool_info()
