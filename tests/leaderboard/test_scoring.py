"""A run's numbers are those of the single metrics, under the right names."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp

from leaderboard import metrics
from leaderboard.calibration import fit_temperature, fit_variance_factor, scale
from leaderboard.metrics import METRICS, registry, regression
from leaderboard.metrics.registry import RECALIBRATIONS
from leaderboard.predictions import Gaussian, Predictions
from leaderboard.scoring import LABELLED, better, labelled, limits, ood_scores, per_item, score, title, unit

OOD_METRICS = ("auroc", "aupr_in", "aupr_out", "fpr95")


def predictions(
    seed: int, n: int = 200, sharpness: float = 3.0, members: int = 4, labelled: bool = True
) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, n)
    logits = rng.normal(size=(members, n, 5)) * sharpness
    if labelled:
        logits[:, np.arange(n), labels] += 2.0
    each = log_softmax(logits, axis=2)
    return Predictions(
        log_probs=(logsumexp(each, axis=0) - math.log(members)).astype(np.float32),
        expected_entropy=-np.sum(np.exp(each) * each, axis=2).mean(axis=0).astype(np.float32),
        energy=-logsumexp(logits, axis=2).mean(axis=0).astype(np.float32),
        labels=labels if labelled else None,
    )


@pytest.fixture(scope="module")
def sets() -> dict[str, Predictions]:
    labelled = ["validation", "test", "shift/fog/1", "shift/fog/5", "shift/blur/1", "shift/blur/5"]
    foreign = ["ood_near/glyphs", "ood_near/letters", "ood_far/faces"]
    made = {name: predictions(i) for i, name in enumerate(labelled)}
    return made | {name: predictions(9 + i, labelled=False, sharpness=1.0) for i, name in enumerate(foreign)}


@pytest.fixture(scope="module")
def result(sets) -> dict[str, dict[str, float]]:
    return score(sets)


def test_there_is_an_entry_for_each_set_and_each_group(sets, result):
    assert sorted(result) == sorted([*sets, "ood_near", "ood_far", "shift/1", "shift/5"])


def test_labelled_entries_are_the_single_metrics(sets, result):
    for name in ("validation", "test", "shift/fog/5"):
        log_probs, labels = sets[name].log_probs, sets[name].labels
        scaled = scale(log_probs, fit_temperature(sets["validation"].log_probs, sets["validation"].labels))
        for metric in ("accuracy", "nll", "brier", "ece", "ece_equal_mass", "ece_debiased", "aurc"):
            function = getattr(metrics, metric)
            assert result[name][metric] == pytest.approx(function(log_probs, labels), rel=1e-9)
            if metric != "accuracy":
                assert result[name][f"{metric}_scaled"] == pytest.approx(function(scaled, labels), rel=1e-9)
        assert result[name]["entropy"] == pytest.approx(metrics.entropy(log_probs).mean(), rel=1e-9)


def test_ood_entries_compare_with_the_test_set(sets, result):
    inside, outside = ood_scores(sets["test"]), ood_scores(sets["ood_far/faces"])
    assert sorted(inside) == ["energy", "entropy", "max_probability", "mutual_information"]
    for key in inside:
        for metric in OOD_METRICS:
            value = getattr(metrics, metric)(inside[key], outside[key])
            assert result["ood_far/faces"][f"{metric}_{key}"] == pytest.approx(value, rel=1e-9)
    assert result["ood_far"] == result["ood_far/faces"]


def test_the_max_probability_score_orders_as_the_probability_does(sets):
    test, far = sets["test"], sets["ood_far/faces"]
    value = metrics.auroc(1 - np.exp(test.log_probs).max(axis=1), 1 - np.exp(far.log_probs).max(axis=1))
    assert score(sets)["ood_far/faces"]["auroc_max_probability"] == pytest.approx(value, abs=1e-6)


def test_groups_are_means_over_their_sets(result):
    for key, value in result["ood_near"].items():
        pair = [result["ood_near/glyphs"][key], result["ood_near/letters"][key]]
        assert value == pytest.approx(np.mean(pair), rel=1e-9)
    for key, value in result["shift/5"].items():
        assert value == pytest.approx(np.mean([result["shift/fog/5"][key], result["shift/blur/5"][key]]), rel=1e-9)


def test_without_validation_nothing_is_scaled(sets):
    result = score({name: sets[name] for name in ("test", "ood_far/faces")})
    plain = {entry.name for entry in METRICS["categorical"].values()}
    assert set(result["test"]) == plain
    assert not any("scaled" in key for key in result["ood_far/faces"])


def test_where_no_temperature_exists_what_needs_one_is_nan_and_nothing_else(sets):
    log_probs, labels = sets["validation"].log_probs.copy(), sets["validation"].labels
    log_probs[0] = -np.inf
    log_probs[0, (labels[0] + 1) % 5] = 0.0
    broken = replace(sets["validation"], log_probs=log_probs, expected_entropy=metrics.entropy(log_probs))
    result = score(sets | {"validation": broken})
    assert result["validation"]["nll"] == math.inf
    for row in result.values():
        for key, value in row.items():
            needs = key == "temperature" or key.endswith(("_scaled", "_vector", "_matrix"))
            assert math.isnan(value) == needs, key


def test_scoring_twice_gives_the_same_digits_in_whatever_order_the_sets_come(sets, result):
    assert score(dict(reversed(sets.items()))) == result


def test_numbers_have_ten_digits(result):
    assert all(float(f"{value:.10g}") == value for row in result.values() for value in row.values())


@pytest.mark.parametrize("name", ["train", "ood_near", "shift/fog", "shift/fog/x", "ood_middle/a", "test/a"])
def test_an_unknown_evaluation_set_is_refused(sets, name):
    with pytest.raises(ValueError, match="unknown evaluation set"):
        score({"test": sets["test"], name: sets["test"]})


def test_refusals_name_the_set(sets):
    with pytest.raises(ValueError, match="ood_far/faces: .*'test'"):
        score({"ood_far/faces": sets["ood_far/faces"]})
    with pytest.raises(ValueError, match="shift/fog/1: has no labels"):
        score({"test": sets["test"], "shift/fog/1": replace(sets["test"], labels=None)})
    with pytest.raises(ValueError, match="test: log_probs holds NaN"):
        score({"test": replace(sets["test"], log_probs=sets["test"].log_probs * np.nan)})
    with pytest.raises(ValueError, match="ood_far/faces: energy holds NaN or infinity in 200 of 200 rows"):
        faces = replace(sets["ood_far/faces"], energy=sets["ood_far/faces"].energy * np.nan)
        score({"test": sets["test"], "ood_far/faces": faces})


def test_each_number_knows_which_way_is_better_and_its_unit():
    higher = ("accuracy", "auroc_energy", "aupr_in_mutual_information", "aupr_out_entropy_scaled")
    lower = ("nll", "brier_scaled", "ece", "ece_equal_mass", "ece_debiased_scaled", "aurc", "fpr95_entropy", "crps")
    assert {better(key) for key in higher} == {"higher"} and {better(key) for key in lower} == {"lower"}
    assert better("entropy") == better("temperature") == better("mutual_information") == ""
    assert unit("nll_scaled") == unit("entropy") == "nats"
    assert unit("auroc_entropy") == unit("ece") == ""


def test_the_mean_over_images_is_the_metric(sets, result):
    for metric in ("accuracy", "nll", "brier"):
        assert per_item(metric, sets["test"]).mean() == pytest.approx(result["test"][metric], rel=1e-9)
    with pytest.raises(ValueError, match="not a mean over images"):
        per_item("ece", sets["test"])
    with pytest.raises(ValueError, match="no labels"):
        per_item("nll", sets["ood_far/faces"])


def numbers(seed: int, n: int = 200, labelled: bool = True, spread: float = 2.0) -> Gaussian:
    rng = np.random.default_rng(seed)
    members = rng.normal(size=(4, n)) * (1.0 if labelled else 2.0)
    noise = np.exp(rng.normal(size=(4, n)))
    mean, expected = members.mean(axis=0), noise.mean(axis=0)
    variance = expected + members.var(axis=0)
    labels = (mean + spread * np.sqrt(variance) * rng.normal(size=n)).astype(np.float32) if labelled else None
    return Gaussian(mean.astype(np.float32), variance.astype(np.float32), expected.astype(np.float32), labels)


@pytest.fixture(scope="module")
def number_sets() -> dict[str, Gaussian]:
    labelled = ["validation", "test", "shift/drift/1", "shift/noise/1"]
    made = {name: numbers(i) for i, name in enumerate(labelled)}
    return made | {"ood_far/moon": numbers(9, labelled=False)}


def test_predictions_of_numbers_are_scored_by_the_metrics_of_numbers(number_sets):
    result = score(number_sets)
    assert sorted(result) == sorted([*number_sets, "ood_far", "shift/1"])
    assert tuple(result["test"]) == labelled("gaussian")
    factor = fit_variance_factor(*(getattr(number_sets["validation"], f) for f in ("mean", "variance", "labels")))
    assert result["test"]["variance_factor"] == factor == pytest.approx(4.0, rel=0.2)
    test = number_sets["test"]
    for variance, end in ((test.variance, ""), (test.variance.astype(float) * factor, "_scaled")):
        for metric in (regression.nll, regression.crps, regression.coverage_95, regression.quantile_calibration_error):
            value = metric(test.mean, variance, test.labels)
            assert result["test"][f"{metric.__name__}{end}"] == pytest.approx(value, rel=1e-9)
        assert result["test"][f"sharpness{end}"] == pytest.approx(np.sqrt(variance.astype(float)).mean(), rel=1e-9)
    assert result["test"]["rmse"] == pytest.approx(regression.rmse(test.mean, test.labels), rel=1e-9)
    assert result["shift/1"]["mae"] == pytest.approx(
        np.mean([result[f"shift/{name}/1"]["mae"] for name in ("drift", "noise")]), rel=1e-9
    )


def test_numbers_far_off_are_told_by_the_variance_between_members(number_sets):
    row = score(number_sets)["ood_far/moon"]
    inside, outside = ood_scores(number_sets["test"]), ood_scores(number_sets["ood_far/moon"])
    assert sorted(inside) == ["epistemic_variance", "expected_variance", "variance"]
    assert sorted(row) == sorted(f"{metric}_{key}" for metric in OOD_METRICS for key in inside)
    for key in inside:
        assert row[f"auroc_{key}"] == pytest.approx(metrics.auroc(inside[key], outside[key]), rel=1e-9)
    assert row["auroc_epistemic_variance"] > 0.8 > 0.6 > row["auroc_expected_variance"]


def test_sets_of_two_kinds_are_not_scored_together(sets, number_sets):
    with pytest.raises(ValueError, match=r"predictions are .*categorical.* and gaussian .*: need one kind"):
        score({"test": sets["test"], "validation": number_sets["validation"]})


def test_refusals_of_numbers_name_the_set(number_sets):
    with pytest.raises(ValueError, match="validation: variance is 0 in row 0"):
        zero = np.zeros_like(number_sets["test"].variance)
        score({"test": number_sets["test"], "validation": replace(number_sets["test"], variance=zero)})
    with pytest.raises(ValueError, match="test: has no labels"):
        score({"test": number_sets["ood_far/moon"]})


@pytest.mark.parametrize("kind", ["categorical", "gaussian"])
def test_every_key_of_scores_lies_in_its_limits_and_has_a_title_of_its_own(sets, number_sets, kind):
    result = score(sets if kind == "categorical" else number_sets)
    assert tuple(result["test"]) == labelled(kind)
    keys = {key for row in result.values() for key in row}
    for row in result.values():
        for key, value in row.items():
            low, high = limits(key, kind)
            assert low <= value <= high, key
    assert len({title(key) for key in keys}) == len(keys)
    assert limits("auroc_energy", kind) == (0, 1) and limits("temperature", kind) == (-math.inf, math.inf)


def test_the_columns_of_classes_keep_their_order():
    first = ["accuracy", "nll", "brier", "ece", "ece_equal_mass", "ece_debiased", "ece_classwise", "aurc", "augrc"]
    assert list(LABELLED[:12]) == [*first, "entropy", "mutual_information", "temperature"]
    assert list(LABELLED[12:20]) == [f"{name}_scaled" for name in first[1:]]
    again, forms = ("accuracy", "nll", "brier", "ece", "ece_classwise"), RECALIBRATIONS["categorical"]
    assert list(LABELLED[20:]) == [f"{name}_{form}" for form in forms for name in again]


def test_metrics_after_a_recalibration_are_those_of_what_it_makes_of_the_predictions(sets, result):
    validation = sets["validation"]
    for name, entry in RECALIBRATIONS["categorical"].items():
        calibrate = entry.function(validation.log_probs, validation.labels)
        for one in ("validation", "test", "shift/fog/5"):
            for metric in ("accuracy", "nll", "brier", "ece"):
                value = getattr(metrics, metric)(calibrate(sets[one].log_probs), sets[one].labels)
                assert result[one][f"{metric}_{name}"] == pytest.approx(value, rel=1e-9)
    assert title("nll_structured_matrix") == "NLL, structured matrix scaled" and better("accuracy_matrix") == "higher"
    assert unit("nll_isotonic") == "nats" and limits("ece_vector", "categorical") == (0, 1)


def test_recalibrations_can_be_left_out_and_change_nothing_else(sets, result):
    short = score(sets, recalibrated=False)
    for name, row in short.items():
        assert row == {key: result[name][key] for key in row}
        left = result[name].keys() - row.keys()
        assert all(key.endswith(tuple(RECALIBRATIONS["categorical"])) for key in left)
        assert bool(left) == (not name.startswith("ood"))


def test_a_metric_that_is_entered_beside_its_function_is_everywhere(sets, monkeypatch):
    monkeypatch.setitem(METRICS, "categorical", dict(METRICS["categorical"]))

    def errors_squared(log_probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return (np.argmax(log_probs, axis=1) != labels) ** 2.0

    says = {"better": "lower", "range": (0, 1), "unit": "nats", "per_item": "itself", "scaled": True}
    registry.metric("categorical", "error", **says)(errors_squared)
    row = score(sets)["test"]
    assert row["errors_squared"] == row["errors_squared_scaled"] == pytest.approx(1 - row["accuracy"])
    assert {"errors_squared", "errors_squared_scaled"} <= set(labelled("categorical"))
    assert better("errors_squared_scaled") == "lower" and unit("errors_squared") == "nats"
    assert title("errors_squared_scaled") == "error, scaled"
    assert per_item("errors_squared", sets["test"]).mean() == row["errors_squared"]


def test_a_name_that_is_taken_by_another_meaning_is_refused():
    def nll(mean: np.ndarray) -> float:
        return float(np.mean(mean))

    for kind, direction in (("categorical", "lower"), ("gaussian", "lower"), ("ood", "higher")):
        with pytest.raises(ValueError, match="the name nll is taken by a (categorical|gaussian) metric"):
            registry.metric(kind, "NLL", better=direction, range=(0, 1), unit="nats")(nll)
