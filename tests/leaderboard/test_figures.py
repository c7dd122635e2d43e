"""Every figure is written as SVG and PNG at the width of a column, says what its bands mean, and cuts nothing off."""

from __future__ import annotations

import math
import re
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from scipy.special import log_softmax
from skimage.color import rgb2lab

from leaderboard.predictions import Predictions
from leaderboard.statistics import average_ranks
from leaderboard.views import curves, figures, style

LONG = "implicit_vi(rank=10,groups=2)"
METHODS = ["deep_ensemble", LONG, "implicit_vi_shared", "kl_vi", "laplace", "map", "mc_dropout"]


def predictions(seed: int, n: int = 500) -> Predictions:
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(n, 4)), rng.integers(0, 4, n)
    logits[np.arange(n), labels] += 2
    return Predictions(log_softmax(logits, axis=1), np.zeros(n), np.zeros(n), labels)


def frame(seeds: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for m, method in enumerate(METHODS):
        for seed in range(seeds):
            for level in range(6):
                noise, fit = rng.normal(0, 0.01), 1.0 + m * m
                accuracy, nll = 0.9 - 0.1 * level - 0.01 * m + noise, 0.2 + 0.2 * level - 0.01 * m + noise
                row = {"accuracy": accuracy, "nll": nll, "fit": fit, "draws": 2**level, "severity": level}
                rows.append({"method": method, "seed": seed, **row})
    return pd.DataFrame(rows)


def ranks():
    cells = np.random.default_rng(0).random((8, len(METHODS))) + np.arange(len(METHODS)) / 4
    return average_ranks(pd.DataFrame(cells, columns=METHODS), "lower")


LABELS = {"cost": "fit", "value": "nll", "cost_label": "fit time, ratio to MAP", "value_label": "NLL, nats"}
OOD = {"ood_near/glyphs": np.linspace(0.3, 2, 99), "ood_far/faces": np.linspace(1, 9, 70)}
DRAWN = {
    "reliability": lambda path: figures.reliability({m: predictions(i) for i, m in enumerate(METHODS)}, path),
    "reliability_of_one": lambda path: figures.reliability({"map": predictions(0)}, path),
    "reliability_of_three": lambda path: figures.reliability({m: predictions(0) for m in METHODS[:3]}, path),
    "ood_histograms": lambda path: figures.ood_histograms(np.linspace(0, 1, 100), OOD, "entropy, nats", path),
    "pareto": lambda path: curves.pareto(frame(), path, **LABELS),
    "severity": lambda path: curves.severity(frame(), path),
    "risk_coverage": lambda path: figures.risk_coverage({m: [predictions(s) for s in range(3)] for m in METHODS}, path),
    "draws": lambda path: curves.draws(frame(), path, value="nll", value_label="NLL, nats"),
    "critical_differences": lambda path: curves.critical_differences(ranks(), path),
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
    assert imread(png).shape[1] == round(300 * style.COLUMN)
    boxes: dict[Text, Bbox] = {}
    draw = Text.draw

    def record(text, renderer) -> None:
        if text.get_visible() and text.get_text().strip():
            boxes[text] = text.get_window_extent(renderer)
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


@pytest.mark.parametrize("name", ["reliability_of_one", "ood_histograms", "pareto"])
def test_the_same_data_give_the_same_files(name, tmp_path):
    first = [file.read_bytes() for file in DRAWN[name](tmp_path / "a" / "v1.0")]
    assert [file.read_bytes() for file in DRAWN[name](tmp_path / "b" / "v1.0")] == first


def said(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(Text))


@pytest.mark.parametrize("name", ["pareto", "severity", "risk_coverage", "draws"])
def test_legends_say_what_bands_mean(name, tmp_path, drawn):
    DRAWN[name](tmp_path / name)
    assert re.search(r"ba(nd|r)s: 95 % interval of the mean over 3 seeds", said(drawn[0]))


def test_one_seed_has_no_band_and_says_so(tmp_path, drawn):
    curves.severity(frame(seeds=1), tmp_path / "severity")
    curves.pareto(frame(seeds=1).query("severity == 0"), tmp_path / "pareto", **LABELS)
    assert all("one seed, so no spread is known" in said(figure) for figure in drawn)


def test_a_method_looks_the_same_in_a_figure_that_shows_a_few(tmp_path, drawn):
    few = frame().query("method in ['map', 'laplace']")
    curves.severity(frame(), tmp_path / "all", METHODS)
    curves.severity(few, tmp_path / "few", METHODS)
    lines = [{line.get_label(): line for line in figure.axes[0].lines} for figure in drawn]
    for name in ("map", "laplace"):
        assert lines[0][name].get_color() == lines[1][name].get_color()
        assert lines[0][name].get_marker() == lines[1][name].get_marker()


def test_the_first_ten_methods_differ_in_colour_and_in_marker():
    chosen = style.looks([str(i) for i in range(10)]).values()
    assert len({look.colour for look in chosen}) == len({look.marker for look in chosen}) == 10


def test_the_first_seven_methods_have_lines_of_their_own_and_colours_that_the_colour_blind_tell_apart():
    assert len({look.line for look in style.looks(METHODS).values()}) == 7
    rgb = np.array([look.colour for look in style.looks(METHODS).values()])
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
    few.loc[few["seed"] == 1, "accuracy"] -= 0.2  # bands of ± 1.3
    curves.severity(few, tmp_path / "severity")
    low, high = drawn[0].axes[0].get_ylim()
    seen = few["accuracy"]
    assert low <= seen.min() and seen.max() <= high <= 1.05 and high - low < 2 * (seen.max() - seen.min())


def test_a_long_name_is_broken_between_its_words():
    assert style.wrapped("implicit_vi_shared", 16) == "implicit_vi_\nshared"
    assert style.wrapped("mc_dropout(passes=2)", 16) == "mc_dropout\n(passes=2)"


def test_the_front_is_what_no_point_beats_in_both():
    points = np.random.default_rng(0).random((50, 2)).round(1).tolist()
    unbeaten = {(x, y) for x, y in points if not any((a <= x and b <= y) and (a, b) != (x, y) for a, b in points)}
    assert set(curves._front([(x, y) for x, y in points])) == unbeaten


def test_all_scores_alike_still_draw(tmp_path):
    assert figures.ood_histograms(np.zeros(5), {"ood_far/x": np.zeros(3)}, "mutual information", tmp_path / "h")


def test_bands_are_the_t_interval_of_seed_means(tmp_path, drawn):
    curves.severity(frame(), tmp_path / "severity")
    lines = {line.get_label(): line for line in drawn[0].axes[0].lines}
    expected = frame().query("method == 'map'").groupby("severity")["accuracy"].mean()
    assert lines["map"].get_ydata() == pytest.approx(expected.to_numpy())


def test_predictions_without_labels_are_refused(tmp_path):
    bare = Predictions(*[np.zeros((2, 2)) - math.log(2), np.zeros(2), np.zeros(2)])
    with pytest.raises(ValueError, match="no labels"):
        figures.reliability({"map": bare}, tmp_path / "r")
