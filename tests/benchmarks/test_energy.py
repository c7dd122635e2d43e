"""Energy is read from the GPU that torch means, in joules, whole; without a driver everything stays as it is.

The driver's library is stood in for by a small one of the same interface, compiled here: what is tested is the way
through ctypes, which a GPU would test no better.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from builders import made
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from baselines.spec import parse
from benchmarks.commands.cost import _show
from benchmarks.commands.options import console
from benchmarks.measure.cost import costs_of
from benchmarks.measure.energy import LIBRARY, counter_of, energy_counter
from benchmarks.prepare import prepare
from benchmarks.suite import load_task
from leaderboard.columns import DEFAULT, columns
from leaderboard.cost import ratios
from leaderboard.identity import Identity
from leaderboard.results import result_of
from leaderboard.scores import Scores
from leaderboard.table import fold
from leaderboard.views.markdown import as_markdown

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
FIRST, SECOND = "11111111-2222-3333-4444-555555555555", "99999999-8888-7777-6666-555555555555"
DRIVER = f"""
#include <string.h>
struct gpu {{ const char *uuid; unsigned long long millijoules; }};
static struct gpu gpus[] = {{{{"GPU-{FIRST}", 1}}, {{"GPU-{SECOND}", 9007199254740000ULL}}}};
static int ready;
int nvmlInit_v2(void) {{ ready = 1; return 0; }}
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {{
    for (int i = 0; i < 2; i++)
        if (ready && !strcmp(uuid, gpus[i].uuid)) {{ *device = &gpus[i]; return 0; }}
    return ready ? 6 : 1; /* not found; uninitialized */
}}
#ifdef COUNTS
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *energy) {{
    struct gpu *gpu = device;
    static int left = COUNTS;
    if (left-- <= 0) return 15; /* the GPU is lost */
    *energy = gpu->millijoules += 1500;
    return 0;
}}
#endif
"""


def read(folder, uuid, times, *flags):
    """What `counter_of` reads, so many times, in a process that finds the stand-in, compiled with ``flags``."""
    if COMPILER is None:
        pytest.skip("no C compiler here")
    source = folder / "driver.c"
    source.write_text(DRIVER)
    subprocess.run([COMPILER, "-shared", "-fPIC", *flags, "-o", folder / LIBRARY, source], check=True)
    code = (
        "import sys; from benchmarks.measure.energy import counter_of; count = counter_of(sys.argv[1]); "
        "print(count and [count() for _ in range(int(sys.argv[2]))])"
    )
    environment = os.environ | {"LD_LIBRARY_PATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", code, uuid, str(times)], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("prefix", ["", "GPU-"])
def test_joules_are_those_of_the_gpu_with_this_uuid(tmp_path, prefix):
    assert read(tmp_path, prefix + FIRST, 2, "-DCOUNTS=9") == "[3.001, 4.501]"
    assert read(tmp_path, prefix + SECOND, 1, "-DCOUNTS=9") == "[9007199254743.0]", "64 bits, whichever GPU comes first"


def test_a_driver_that_fails_later_gives_nan_and_no_number(tmp_path):
    assert read(tmp_path, FIRST, 2, "-DCOUNTS=2") == "[3.001, nan]"


@pytest.mark.parametrize(
    ("uuid", "flags"),
    [(FIRST.replace("1", "2"), ["-DCOUNTS=9"]), (FIRST, ["-DCOUNTS=0"]), (FIRST, [])],
    ids=["unknown GPU", "GPU that does not count", "old driver"],
)
def test_where_the_driver_has_no_number_there_is_no_counter(tmp_path, uuid, flags):
    assert read(tmp_path, uuid, 1, *flags) == "None"


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="there is a driver here")
def test_without_a_driver_there_is_no_counter():
    assert counter_of(FIRST) is None and energy_counter("cpu") is None


@pytest.fixture(scope="module")
def metered():
    """MAP and an ensemble of two on a device that uses 3 joules for each image that a network is given."""
    used = 0.0

    def note(module, inputs):
        nonlocal used
        used += 3.0 * len(inputs[0]) * (isinstance(module, nn.Linear) and module.out_features == 10)

    names = [parse("map"), parse("deep_ensemble(members=2)")]
    hook = register_module_forward_pre_hook(note)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.measure.cost.SHORTEST_METERED", 0.05)  # this counter never stands still
        task = load_task("digits-mlp")
        record = costs_of(task, prepare(task), names, "cpu", 1, 1, 60, lambda *at: None, lambda: used)
    hook.remove()
    return record


def test_joules_are_those_of_the_whole_recipe_and_of_one_image(metered):
    base, ensemble = metered.methods
    images = metered.recipe_steps * load_task("digits-mlp").recipe.batch_size
    assert metered.steps < metered.recipe_steps, "drawn out from two shorter fits"
    assert base.fit_j == base.map_fit_j == ensemble.map_fit_j == pytest.approx([3.0 * images], rel=0.03)
    assert base.predict_j == base.map_predict_j == ensemble.map_predict_j == [3.0]
    assert ratios(ensemble, base, "energy") == {0: 2.0} == ratios(ensemble, base, "predict_energy")


def test_energy_is_shown_as_a_ratio_where_it_was_read(metered, monkeypatch):
    monkeypatch.setattr(console, "width", 200)
    with console.capture() as seen:
        _show(metered)
    assert "Energy: of the whole GPU" in seen.get() and seen.get().split().count("energy") == 2
    plain = [one.model_copy(update={"fit_j": [], "map_fit_j": []}) for one in metered.methods]
    with console.capture() as seen:
        _show(metered.model_copy(update={"methods": plain}))
    assert "nergy" not in seen.get()


def results_like(record):
    """A result of each method that was measured, as a run of the same identity and stack leaves it."""
    found = []
    for one in record.methods:
        who = Identity(task=record.task, method=one.method, seed=0, device=record.device)
        run = made(run_id=who.run_id, identity=who, label=one.label).model_copy(
            update={"environment": record.environment}
        )
        sets = {"test": {"nll": 0.1, "accuracy": 0.9}}
        found.append(
            result_of(Path("results"), run, Scores(kind="categorical", predictions=run.predictions.sha256, sets=sets))
        )
    return found


def test_the_table_has_a_column_of_energy_for_those_who_ask(metered):
    results, chosen = results_like(metered), columns(["energy"], [])
    assert "energy" not in DEFAULT and [column.title for column in chosen] == ["fit energy ×MAP ↓"]
    rows = {row.method.partition(" (")[0]: row for row in fold(results, None, chosen, costs=[metered]).rows}
    assert {name: row.metrics["energy"].mean for name, row in rows.items()} == {
        "map": 1.0,
        "deep_ensemble(members=2)": 2.0,
    }
    assert "| 2.00±0.00 |" in as_markdown(fold(results, None, chosen, costs=[metered]))
    assert all(row.metrics["energy"] is None for row in fold(results, None, chosen).rows)


def test_a_round_in_which_the_counter_stood_still_has_no_ratio(metered):
    counts = {"fit_j": [2.0, 0.0, 3.0, 8.0], "map_fit_j": [1.0, 1.0, 0.0, 2.0]}
    one = metered.methods[0].model_copy(update=counts)
    assert ratios(one, one, "energy") == {0: 2.0, 3: 4.0}
