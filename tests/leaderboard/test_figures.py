"""Every figure says what it is of and what its bands mean, cuts nothing off, and shows a method as every other does."""

from __future__ import annotations

import math
import re
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import StepPatch
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from scipy.special import log_softmax
from skimage.color import rgb2lab

from baselines.registry import known_methods, variants
from leaderboard.predictions import Gaussian, Predictions
from leaderboard.statistics import Interval, average_ranks
from leaderboard.views import curves, figures, front, numbers, style

LONG = "implicit_vi(rank=10,groups=2)"
METHODS = ["deep_ensemble", LONG, "implicit_vi_shared", "kl_vi", "laplace", "map", "mc_dropout"]
BUILT_IN = ["deep_ensemble", "implicit_vi", *METHODS[2:]]
STRANGER = ("#00556b", "s", (0, (7, 1)))
"""How `acme/swag` is drawn for ever."""
ABOUT = "a-task · model lenet5 · 3 seeds (0 to 2) · made 2026-11-25"


def predictions(seed: int, n: int = 500) -> Predictions:
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(n, 4)), rng.integers(0, 4, n)
    logits[np.arange(n), labels] += 2
    return Predictions(log_softmax(logits, axis=1), np.zeros(n), np.zeros(n), labels)


def of_numbers(seed: int, n: int = 150) -> Gaussian:
    rng = np.random.default_rng(seed)
    mean, scale = rng.normal(50, 20, n), rng.uniform(4, 8, n)
    return Gaussian(mean, scale**2, scale**2, mean + scale * rng.normal(size=n))


def frame(seeds: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for m, method in enumerate(METHODS):
        for seed in range(seeds):
            for level in range(6):
                noise = rng.normal(0, 0.01)
                accuracy, nll = 0.9 - 0.1 * level - 0.01 * m + noise, 0.2 + 0.2 * level - 0.01 * m + noise
                row = {"accuracy": accuracy, "nll": nll, "draws": 2**level, "severity": level}
                rows.append({"method": method, "seed": seed, **row})
    return pd.DataFrame(rows)


def ranks():
    cells = np.random.default_rng(0).random((8, len(METHODS))) + np.arange(len(METHODS)) / 4
    return average_ranks(pd.DataFrame(cells, columns=METHODS), "lower")


def points(values, costs=None) -> list[curves.Point]:
    """Points of METHODS with these qualities."""
    costs = costs or [1 + m * m for m in range(len(values))]
    return [
        curves.Point(name, Interval(cost, 0.97 * cost, 1.03 * cost), Interval(value, value - 0.01, value + 0.01))
        for name, cost, value in zip(METHODS, costs, values, strict=False)
    ]


SPREAD, CROWDED = [0.3, 0.28, 0.29, 0.25, 0.27, 0.26, 0.2], [0.270, 0.271, 0.272, 0.27, 0.271, 0.27, 0.1]
LABELS = {"cost_label": "fit time, ratio to MAP", "value_label": "NLL, nats", "note": "Bars: intervals."}
LABELS["about"] = ABOUT
NEAR = [1, 1.01, 1.02, 1.03, 1, 1.01, 1.05]
QUALITY = {"accuracy": "accuracy ↑", "nll": "NLL ↓"}
SCORES = {
    m: [{"test": np.linspace(0, 1 + i / 9), "ood_near/glyphs": np.linspace(0.3, 2), "ood_far/faces": np.arange(1, 9.0)}]
    for i, m in enumerate(METHODS)
}
RUNS = {m: [predictions(10 * i + s) for s in range(3)] for i, m in enumerate(METHODS)}
NUMBERS = {m: [of_numbers(10 * i + s) for s in range(2)] for i, m in enumerate(METHODS)}
DRAWN = {
    "reliability": lambda path: figures.reliability(RUNS, path, ABOUT),
    "reliability_of_one": lambda path: figures.reliability({"map": RUNS["map"]}, path, ABOUT),
    "reliability_of_two": lambda path: figures.reliability({m: RUNS[m] for m in METHODS[:2]}, path, ABOUT),
    "ood_histograms": lambda path: figures.ood_histograms(SCORES, path, ABOUT, "entropy, nats"),
    "quantiles": lambda path: numbers.quantiles(NUMBERS, path, ABOUT),
    "against_true": lambda path: numbers.against_true(NUMBERS, path, ABOUT),
    "pareto": lambda path: curves.pareto(points(SPREAD), ["deep_ensemble", "mc_dropout"], path, **LABELS),
    "pareto_crowded": lambda path: curves.pareto(points(CROWDED, NEAR), [], path, **LABELS),
    "severity": lambda path: curves.severity(frame(), path, ABOUT, QUALITY),
    "risk_coverage": lambda path: figures.risk_coverage(RUNS, path, ABOUT),
    "draws": lambda path: curves.draws(frame(), path, about=ABOUT, value="nll", value_label="NLL, nats"),
    "critical_differences": lambda path: curves.critical_differences(ranks(), path, ABOUT),
}


@pytest.fixture
def drawn(monkeypatch) -> list[Figure]:
    """The figures that were drawn, to look into after they were written."""
    made: list[Figure] = []

    def remember(*args, **kwargs) -> Figure:
        made.append(Figure(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(style, "Figure", remember)
    return made


@pytest.mark.parametrize("name", DRAWN)
def test_nothing_is_cut_off_and_no_texts_overlap(name, tmp_path, drawn, monkeypatch):
    svg, png = DRAWN[name](tmp_path / name)
    assert svg.read_text().startswith("<?xml")
    assert imread(png).shape[1] in (round(300 * style.COLUMN), round(300 * style.WIDE))
    boxes: dict[Text, Bbox] = {}
    draw = Text.draw

    def record(text, renderer) -> None:
        if text.get_visible() and text.get_text().strip():
            boxes[text] = Text.get_window_extent(text, renderer)  # without the line that leads from a name to its point
        draw(text, renderer)

    monkeypatch.setattr(Text, "draw", record)
    (figure,) = drawn
    FigureCanvasAgg(figure).draw()
    assert len(boxes) > 5
    for text, box in boxes.items():
        assert min(box.x0, box.y0) >= -1, text.get_text()
        assert box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1, text.get_text()
    for (a, box_a), (b, box_b) in combinations(boxes.items(), 2):
        across = min(box_a.x1, box_b.x1) - max(box_a.x0, box_b.x0)
        along = min(box_a.y1, box_b.y1) - max(box_a.y0, box_b.y0)
        assert min(across, along) < 1, f"{a.get_text()!r} overlaps {b.get_text()!r}"


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_says_what_it_is_of(name, tmp_path, drawn):
    DRAWN[name](tmp_path / name)
    assert all(part in said(drawn[0]).replace("\u00a0", " ").replace("\n", " ") for part in ABOUT.split(" · "))


@pytest.mark.parametrize("name", ["reliability_of_one", "ood_histograms", "pareto"])
def test_the_same_data_give_the_same_files(name, tmp_path):
    first = [file.read_bytes() for file in DRAWN[name](tmp_path / "a" / "v1.0")]
    assert [file.read_bytes() for file in DRAWN[name](tmp_path / "b" / "v1.0")] == first


def said(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(Text))


@pytest.mark.parametrize("name", ["severity", "risk_coverage", "draws"])
def test_legends_say_what_bands_mean(name, tmp_path, drawn):
    DRAWN[name](tmp_path / name)
    assert re.search(r"ba(nd|r)s: 95 % interval of the mean over 3 seeds", said(drawn[0]))


def test_one_seed_has_no_band_and_says_so(tmp_path, drawn):
    curves.severity(frame(seeds=1), tmp_path / "severity", ABOUT, QUALITY)
    assert "one seed, so no spread is known" in said(drawn[0])


def test_every_method_and_variant_of_the_suite_has_a_look_of_its_own_in_colour_and_marker():
    names = {*known_methods(), *variants()}
    ours = {name for name in names if name in variants() or known_methods()[name].package == "ivi-bench"}
    assert ours == set(style.LOOKS)
    assert len({(look.colour, look.marker) for look in style.LOOKS.values()}) == len(style.LOOKS)
    assert len({look.marker for look in style.LOOKS.values()}) == len(style.LOOKS), "colour is never the only sign"


@given(st.text(min_size=1, max_size=40))
def test_a_stranger_never_looks_like_a_method_of_the_suite_and_always_like_itself(name):
    if name not in style.LOOKS:
        look = style.look(name)
        assert look == style.look(name) and look.colour in style.RESERVED and not look.is_filled


def test_looks_of_strangers_are_the_same_in_every_process_and_spread_over_the_palette():
    assert style.look("acme/swag") == style.Look(*STRANGER, is_filled=False)
    assert len({style.look(f"method_{i}")[:2] for i in range(200)}) > 50


def test_a_method_looks_the_same_in_a_figure_that_shows_a_few(tmp_path, drawn):
    curves.severity(frame(), tmp_path / "all", ABOUT, QUALITY)
    curves.severity(frame().query("method in ['map', 'laplace']"), tmp_path / "few", ABOUT, QUALITY)
    lines = [{line.get_label(): line for line in figure.axes[0].lines} for figure in drawn]
    for name in ("map", "laplace"):
        assert lines[0][name].get_color() == lines[1][name].get_color() == style.LOOKS[name].colour
        assert lines[0][name].get_marker() == lines[1][name].get_marker()


def test_the_seven_methods_have_lines_of_their_own_and_colours_that_the_colour_blind_tell_apart():
    assert len({style.look(name).line for name in BUILT_IN}) == 7
    rgb = np.array([to_rgb(style.look(name).colour) for name in BUILT_IN])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    # What is seen without the cones for green or for red: Machado, Oliveira & Fernandes, IEEE TVCG 2009.
    deutan = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    protan = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    for seen in (np.eye(3), np.array(deutan), np.array(protan)):
        light = np.clip(linear @ seen.T, 0, 1)
        lab = rgb2lab(np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)[None])[0]
        assert min(np.linalg.norm(a - b) for a, b in combinations(lab, 2)) > 12, "five times what is just noticeable"


def test_wide_bands_of_two_seeds_do_not_press_the_lines_together(tmp_path, drawn):
    few = frame(seeds=2)
    few.loc[few["seed"] == 1, "accuracy"] -= 0.2  # bars of ± 1.3
    curves.severity(few, tmp_path / "severity", ABOUT, QUALITY)
    low, high = drawn[0].axes[0].get_ylim()
    seen = few["accuracy"]
    assert low <= seen.min() and seen.max() <= high <= 1.05 and high - low < 2 * (seen.max() - seen.min())


def test_a_long_name_is_broken_between_its_words():
    assert style.wrapped("implicit_vi_shared", 16) == "implicit_vi_\nshared"
    assert style.wrapped("mc_dropout(passes=2)", 16) == "mc_dropout\n(passes=2)"


def by_seed(mean: float, spread: float = 0.0, seeds: int = 5) -> dict[int, float]:
    return {seed: mean + spread * (-1) ** seed + 1e-4 * seed for seed in range(seeds)}


def rounds(cost: float) -> list[float]:
    return [cost * factor for factor in (0.99, 1.0, 1.01)]


def test_where_every_difference_is_told_the_front_is_what_no_method_beats_in_both():
    rng = np.random.default_rng(0)
    for _ in range(20):
        made = {f"m{i}": (float(2.0**i), float(rng.integers(0, 50))) for i in rng.permutation(6)}
        values = {n: {s: q + 1e-3 * rng.normal() for s in range(5)} for n, (_, q) in made.items()}
        found = front.corners(values, {n: rounds(cost) for n, (cost, _) in made.items()})
        ordered = sorted(made, key=lambda n: made[n][0])
        expected = [n for n in ordered if all(made[n][1] < made[m][1] for m in ordered if made[m][0] < made[n][0])]
        assert found == expected or len({q for _, q in made.values()}) < 6  # ties are the subject of the next test


def test_a_difference_that_is_not_told_makes_no_corner():
    values = {"a": by_seed(0.30), "b": by_seed(0.29, spread=0.05), "c": by_seed(0.20)}
    assert front.corners(values, {"a": rounds(1), "b": rounds(2), "c": rounds(4)}) == ["a", "c"]


def test_a_better_method_of_about_the_same_cost_takes_the_corner():
    values = {"a": by_seed(0.30), "b": by_seed(0.20), "c": by_seed(0.10)}
    assert front.corners(values, {"a": rounds(1.0), "b": rounds(1.005), "c": rounds(3)}) == ["b", "c"]


def test_three_seeds_make_no_front():
    values = {name: by_seed(q, seeds=3) for name, q in (("a", 0.3), ("b", 0.2))}
    assert front.corners(values, {"a": rounds(1), "b": rounds(2)}) == []


def test_a_row_at_chance_carries_no_front_however_cheap_and_costs_the_others_no_test():
    values = {"cheap": by_seed(2.3), "a": by_seed(0.30), "b": by_seed(0.20)}
    costs = {"cheap": rounds(0.5), "a": rounds(1), "b": rounds(2)}
    assert front.corners(values, costs) == ["cheap", "a", "b"]
    assert front.corners(values, costs, {"cheap"}) == ["a", "b"]
    noisy = {"a": by_seed(0.30), "b": by_seed(0.295, spread=0.0022)}
    assert front.corners(values | noisy, costs, {"cheap"}) == front.corners(noisy, costs) == ["a", "b"]
    assert "no corner: cheap." in front.told(["a", "b"], {"cheap"})


@pytest.mark.parametrize(
    ("means", "out"),
    [
        ([0.1, 0.11, 0.12, 0.34], {"d"}),
        ([0.1, 0.11, 0.12, 0.13], set()),
        ([0.1, 0.11, 0.34], set()),
        ([0.1, 0.11, 0.12, math.inf], {"d"}),
        ([0.1, 0.11, 0.12, 0.3, 9.0], {"d", "e"}),
        ([0.1, 0.1, 0.1, 0.3], set()),
        ([0.1, 0.11, 0.12, 0.13, 0.6, 0.9], {"e", "f"}),
    ],
)
def test_a_row_that_would_squeeze_the_others_is_beyond_the_scale(means, out):
    assert front.beyond(dict(zip("abcdef", means, strict=False))) == out


def test_the_axis_is_not_fitted_to_rows_at_chance_unless_all_are():
    means = {"a": 0.1, "b": 0.11, "c": 0.13}
    assert front.beyond(means, {"c"}) == {"c"}
    assert front.beyond(means, {"a", "b", "c"}) == set()
    assert [front.edge(x, (0.0, 1.0)) for x in (-0.1, 0.0, 1.0, 1.1, math.inf, math.nan)] == [-1, 0, 0, 1, 1, 1]


def test_a_row_at_chance_is_where_it_is_if_the_axis_reaches_it_and_else_at_its_edge(tmp_path, drawn):
    others = points(SPREAD)
    for name, mean in (("near", others[0].value.mean), ("far", -2.0)):
        one = others[0]._replace(method=name, value=Interval(mean, mean - 3, mean + 3), is_at_chance=True)
        curves.pareto([*others, one], [], tmp_path / name, **LABELS)
    curves.pareto(others, [], tmp_path / "without", **LABELS)
    limits = [figure.axes[0].get_ylim() for figure in drawn]
    assert limits[0] == limits[1] == limits[2]
    assert "far -2 ↓" in said(drawn[1]) and "near" in said(drawn[0]) and "near 0" not in said(drawn[0])


def test_a_row_beyond_the_scale_is_at_the_edge_with_its_number(tmp_path, drawn):
    values = [*SPREAD[:-1], 7.25]
    curves.pareto(points(values), [], tmp_path / "p", **LABELS)
    axes = drawn[0].axes[0]
    assert "mc_dropout 7.25 ↑" in said(drawn[0]) and axes.get_ylim()[1] < 0.4
    assert all(axes.get_ylim()[0] < line.get_ydata()[0] < axes.get_ylim()[1] for line in axes.lines)


def test_every_point_of_a_pareto_figure_has_its_name_beside_it(tmp_path, drawn):
    DRAWN["pareto_crowded"](tmp_path / "p")
    assert all(name in said(drawn[0]) for name in METHODS)


def test_reliability_shows_every_seed_and_their_pool(tmp_path, drawn):
    DRAWN["reliability_of_one"](tmp_path / "r")
    upper, lower = drawn[0].axes
    widths = sorted(line.get_linewidth() for line in upper.lines)
    assert widths == [0.5, 0.5, 0.5, 0.8, 1.5], "three seeds, the diagonal, the pool"
    pool = next(line for line in upper.lines if line.get_linewidth() == 1.5)
    confidence = np.concatenate([np.exp(one.log_probs.max(axis=1)) for one in RUNS["map"]])
    right = np.concatenate([one.log_probs.argmax(axis=1) == one.labels for one in RUNS["map"]])
    last = confidence > 14 / 15
    assert pool.get_ydata()[-1] == pytest.approx(right[last].mean())
    assert lower.patches[-1].get_height() == pytest.approx(last.sum() / 3)


@pytest.mark.parametrize("name", ["reliability", "ood_histograms", "quantiles", "against_true"])
def test_panels_of_all_methods_have_the_same_axes(name, tmp_path, drawn):
    DRAWN[name](tmp_path / name)
    shown = [axes for axes in drawn[0].axes if axes.axison]
    titled, rest = ([axes for axes in shown if bool(axes.get_title()) == is_first] for is_first in (True, False))
    for same in [titled, rest] if rest else [titled]:
        assert len(same) == 7 and len({(*axes.get_xlim(), *axes.get_ylim()) for axes in same}) == 1


def test_ood_histograms_have_the_same_bins_for_all_methods(tmp_path, drawn):
    DRAWN["ood_histograms"](tmp_path / "h")
    steps = [patch for axes in drawn[0].axes for patch in axes.patches if isinstance(patch, StepPatch)]
    assert len(steps) == 21 and len({tuple(patch.get_data().edges) for patch in steps}) == 1
    assert all(patch.get_data().values.sum() == pytest.approx(1.0) for patch in steps)


def test_all_scores_alike_still_draw(tmp_path):
    alike = {"map": [{"test": np.zeros(5), "ood_far/x": np.zeros(3)}]}
    assert figures.ood_histograms(alike, tmp_path / "h", ABOUT, "mutual information")


def test_quantiles_of_calibrated_predictions_lie_on_the_diagonal(tmp_path, drawn):
    numbers.quantiles({"map": [of_numbers(0, 20_000)]}, tmp_path / "q", ABOUT)
    pool = next(line for line in drawn[0].axes[0].lines if line.get_linewidth() == 1.5)
    assert np.abs(pool.get_ydata() - pool.get_xdata()).max() < 0.015


def test_truth_outside_of_its_interval_is_marked_by_shape(tmp_path, drawn):
    one = Gaussian(np.zeros(4), np.ones(4), np.ones(4), np.array([0.0, 1.0, -1.0, 9.0]))
    numbers.against_true({"map": [one]}, tmp_path / "t", ABOUT)
    crosses = next(line for line in drawn[0].axes[0].lines if line.get_marker() == "x")
    assert crosses.get_xdata().tolist() == [9.0] and "covered 75 %" in said(drawn[0])


def test_lines_are_the_means_over_seeds(tmp_path, drawn):
    curves.severity(frame(), tmp_path / "severity", ABOUT, QUALITY)
    lines = {line.get_label(): line for line in drawn[0].axes[0].lines}
    expected = frame().query("method == 'map'").groupby("severity")["accuracy"].mean()
    assert lines["map"].get_ydata() == pytest.approx(expected.to_numpy())


def test_predictions_without_labels_are_refused(tmp_path):
    bare = Predictions(*[np.zeros((2, 2)) - math.log(2), np.zeros(2), np.zeros(2)])
    with pytest.raises(ValueError, match="no labels"):
        figures.reliability({"map": [bare]}, tmp_path / "r", ABOUT)
    with pytest.raises(ValueError, match="no labels"):
        numbers.quantiles({"map": [Gaussian(np.zeros(2), np.ones(2), np.ones(2))]}, tmp_path / "q", ABOUT)
