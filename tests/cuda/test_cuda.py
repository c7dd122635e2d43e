"""What holds on a GPU; skipped where torch sees none. The conformance checks run there with IVI_TEST_DEVICE=cuda."""

import copy

import problems
import pytest
import torch
from commands import ivi, ivi_apart, records, shas
from problems import problem

from baselines.registry import known_methods, variants
from baselines.spec import parse
from benchmarks.measure.clock import Clock
from benchmarks.measure.energy import energy_counter
from benchmarks.measure.probe import peak_bytes
from ivi import kl, prior, variationalize, wasserstein2
from leaderboard.cost import quartiles, ratios, read_costs

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
CUDA = torch.device("cuda")
SMALL = "map,deep_ensemble(members=2),mc_dropout,laplace,implicit_vi"


@pytest.fixture(autouse=True)
def on_the_gpu(monkeypatch):
    monkeypatch.setattr(problems, "DEVICE", CUDA)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of small runs, each in processes of its own."""
    folder = tmp_path_factory.mktemp("made")
    ivi_apart("run", "smoke", "-m", SMALL, "-s", "2", "--device", "cuda", "--out", folder / "results", cwd=folder)
    return folder / "results"


def fitted(name, network, **recipe):
    method = parse(name).create()
    given = problem("categorical", network, method, max_steps=6, **recipe)
    return method.fit(given), given


@pytest.mark.parametrize("name", [*sorted(known_methods()), *sorted(variants()), "laplace(predictive=nn)"])
def test_every_method_fits_and_predicts_there_and_its_state_is_all_of_it(name):
    # The library of Laplace has Kronecker factors for layers without normalization alone.
    predictor, given = fitted(name, "plain" if name == "laplace_all" else "conv")
    x, _ = next(iter(given.validation.ordered(32)))
    with torch.inference_mode():
        outputs = predictor.outputs(x)
    assert outputs.device.type == "cuda" and outputs.isfinite().all()
    fresh = parse(name).create().predictor(given)
    fresh.load_state_dict({key: value.cpu() for key, value in predictor.state_dict().items()})
    with torch.inference_mode():
        torch.testing.assert_close(fresh.outputs(x), outputs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("network", ["dense", "conv", "conv_bn", "vit"])
@pytest.mark.parametrize("name", ["map", "implicit_vi", "kl_vi", "mc_dropout"])
def test_a_fit_repeats_to_the_last_bit(name, network, precision):
    first, second = (fitted(name, network, precision=precision)[0].state_dict() for _ in range(2))
    assert all(torch.equal(value, second[key]) for key, value in first.items())


@pytest.mark.parametrize("name", ["map", "implicit_vi", "kl_vi", "mc_dropout", "swag(epochs=2)", "vbll"])
def test_a_network_in_bfloat16_is_trained_and_its_state_is_in_single_precision(name):
    predictor, _ = fitted(name, "vit", precision="bfloat16")
    kinds = {value.dtype for value in predictor.state_dict().values() if value.is_floating_point()}
    assert kinds == {torch.float32}


def test_divergences_under_autocast_are_those_of_the_cpu():
    here = variationalize(problems.Conv(4), example=torch.zeros(1, 1, 8, 8))
    there = copy.deepcopy(here).to(CUDA)
    start, start_there = prior(here, 0.3), prior(there, 0.3)
    with torch.autocast("cuda", torch.bfloat16):
        found = [kl(there, start_there).item(), wasserstein2(there, start_there).item()]
    assert found == pytest.approx([kl(here, start).item(), wasserstein2(here, start).item()], rel=1e-4)


def test_the_clock_waits_for_the_device():
    a = torch.randn(8192, 8192, device=CUDA)
    clock = Clock(CUDA)
    a @ a
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start = clock.now()
    begin.record()
    for _ in range(20):
        a @ a
    end.record()
    assert clock.now() - start >= begin.elapsed_time(end) / 1000 > 0.02


def test_memory_is_that_of_tensors_at_the_peak_and_repeats():
    def work():
        first = torch.zeros(1_000_000, device=CUDA)
        second = first + 1
        del first, second
        return torch.zeros(500_000, device=CUDA)

    first, second = (peak_bytes(CUDA, work) for _ in range(2))
    assert first == second and 8_000_000 <= first < 8_100_000


def test_work_costs_energy():
    joules = energy_counter("cuda")
    assert joules is not None
    a, clock = torch.randn(8192, 8192, device=CUDA), Clock(CUDA)
    start, before = clock.now(), joules()
    while clock.now() - start < 1:
        a @ a
    used = joules() - before
    assert 20 < used < 2000  # watts of any card


def test_runs_are_made_on_it_and_say_which_and_are_never_repeated(made):
    found = records(made).values()
    assert len(found) == 20 and {one["status"] for one in found} == {"ok"}
    assert {one["environment"]["device_index"] for one in found} == {0}
    assert {one["environment"]["device_name"] for one in found} == {torch.cuda.get_device_name()}
    before = shas(made)
    ivi("run", "smoke", "-m", SMALL, "-s", "2", "--device", "cuda", "--out", made)
    assert shas(made) == before


def test_runs_repeat_to_the_last_bit_and_verify_says_so(made, tmp_path):
    ivi_apart("run", "smoke", "-m", SMALL, "-s", "2", "--device", "cuda", "--out", tmp_path / "again", cwd=tmp_path)
    assert shas(tmp_path / "again") == shas(made)
    ivi("verify", tmp_path / "again", "--against", made)


def test_costs_are_measured_with_energy(tmp_path):
    long_enough = ("--rounds", 2, "--steps", 400)  # the counter moves every 20 to 100 ms
    ivi("cost", "mnist5k-lenet5", "-m", "implicit_vi(draws=4)", *long_enough, "--device", "cuda", "--out", tmp_path)
    (record,) = read_costs(tmp_path).records
    base, method = record.methods
    assert record.device == "cuda" and not method.error
    for kind in ("fit", "predict", "memory", "energy", "predict_energy"):
        assert 0.2 < quartiles(ratios(method, base, kind).values()).median < 100, kind


def test_the_checks_of_a_method_hold_there():
    assert (
        "every check holds" in ivi("check", "implicit_vi(draws=4)", "--task", "digits-cnn", "--device", "cuda").stdout
    )
