"""Forged bundles, each consistent in itself: refused, or claimed with the reason named; none accepted, no crash."""

import hashlib
import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from forging import METHOD, Forger

from benchmarks.submission.reviewing import RECORDS, reviewed
from leaderboard.identity import array_sha256, content_of
from leaderboard.predictions import load_predictions
from leaderboard.record import Record, SetInfo
from leaderboard.shelf import PREDICTIONS, SCORES, beside, read_all
from leaderboard.submission.manifest import read_manifest
from leaderboard.submission.rivals import Published

FORGERIES = {}


def forgery(*checks):
    """Register a forgery, and the checks of which one must name it."""

    def register(function):
        FORGERIES[function.__name__] = (function, checks)
        return function

    return register


def every(forger, change):
    for path in forger.paths():
        forger.predictions(path, change)


def probabilities(one, probs):
    """The set with other probabilities, whose members all agree."""
    probs = np.maximum(probs, 1e-6)
    log_probs = np.log(probs / probs.sum(1, keepdims=True)).astype(np.float16).astype(np.float32)
    log_probs -= np.log(np.exp(log_probs.astype(np.float64)).sum(1, keepdims=True)).astype(np.float32)
    entropy = -(np.exp(log_probs) * log_probs).sum(1)
    return replace(one, log_probs=log_probs, expected_entropy=(0.9 * entropy).astype(np.float32))


@forgery("too good")
def one_nat_more_on_the_true_class(forger):
    def change(sets):
        for name in ("validation", "test"):
            one = sets[name]
            probs = np.exp(one.log_probs)
            probs[np.arange(len(probs)), one.labels] *= np.e**2
            sets[name] = probabilities(one, probs)
        return sets

    every(forger, change)


@forgery("too good")
def one_hot_on_the_test_set_and_uniform_elsewhere(forger):
    def change(sets):
        for name, one in sets.items():
            n, classes = one.log_probs.shape
            uniform = np.full((n, classes), 1 / classes)
            sets[name] = probabilities(one, uniform if one.labels is None else np.eye(classes)[one.labels])
        return sets

    every(forger, change)


@forgery("copied")
def predictions_of_another_method(forger):
    ours = {one.identity.seed: path for path, one in published("deep_ensemble")}
    for seed, path in enumerate(forger.paths()):
        forger.bytes(path, beside(ours[seed], PREDICTIONS).read_bytes())


@forgery("copied")
def predictions_of_another_method_with_a_grain_of_noise(forger):
    ours = {one.identity.seed: path for path, one in published("deep_ensemble")}

    def noisy(sets):
        return {name: probabilities(one, np.exp(one.log_probs) + 1e-5) for name, one in sets.items()}

    for seed, path in enumerate(forger.paths()):
        forger.bytes(path, beside(ours[seed], PREDICTIONS).read_bytes())
        forger.predictions(forger.path(seed=seed), noisy)


@forgery("like map")
def predictions_of_map_beside_it(forger):
    for seed, path in enumerate(forger.paths()):
        forger.bytes(path, beside(forger.path(seed=seed, label="map"), PREDICTIONS).read_bytes())


@forgery("copied")
def predictions_of_map_of_another_seed(forger):
    forger.bytes(forger.path(), beside(forger.path(seed=1, label="map"), PREDICTIONS).read_bytes())


def published(label):
    shelf = read_all(RECORDS / "smoke")
    pairs = zip(shelf.paths, shelf.records, strict=True)
    return [(path, one) for path, one in pairs if one.label == label and one.identity.task.name == "digits-mlp"]


@forgery("copied")
def one_seed_is_a_copy_of_the_other(forger):
    first, second = forger.paths()
    forger.bytes(second, beside(first, PREDICTIONS).read_bytes())


@forgery("record", "plan")
def invented_run_ids(forger):
    for path in forger.paths():
        forger.edit(path, lambda data: data.update(run_id="0123456789ab"))


@forgery("source")
def hyperparameters_that_the_label_does_not_name(forger):
    for path, one in forger.records.items():
        if one.label == METHOD:
            forger.record(path, identity=with_method(one.identity, resolved={"heads": 999}))


@forgery("source")
def a_source_hash_of_zeros(forger):
    for path, one in forger.records.items():
        if one.label == METHOD:
            forger.record(path, identity=with_method(one.identity, source="0" * 64))


@forgery("source")
def a_source_that_did_not_make_the_records(forger):
    file = forger.bundle / "source" / f"{METHOD}.py"
    file.write_text(file.read_text() + "\n# another file\n")
    forger.edit(forger.bundle / "manifest.json", lambda data: resealed_source(data, file))


def resealed_source(data, file):
    data["source"]["files"][file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    text = json.dumps(data["source"]["files"], sort_keys=True, separators=(",", ":"))
    data["source"]["sha256"] = hashlib.sha256(text.encode()).hexdigest()


def with_method(identity, **changes):
    return identity.model_copy(update={"method": identity.method.model_copy(update=changes)})


def with_task(identity, **changes):
    return identity.model_copy(update={"task": identity.task.model_copy(update=changes)})


@forgery("recipe")
def a_hundred_times_the_steps(forger):
    costs(forger, METHOD, lambda cost: {"steps": cost.steps * 100, "fit_s": cost.fit_s * 100})


@forgery("sets", "code")
def no_hashes_of_sets_and_no_word_of_the_code(forger):
    for path, one in forger.records.items():
        environment = one.environment.model_copy(update={"dirty": None, "code": "0" * 64})
        forger.record(path, sets={"test": one.sets["test"]}, environment=environment)


@forgery("code")
def code_that_nobody_knows(forger):
    for path, one in forger.records.items():
        environment = one.environment.model_copy(update={"dirty": None, "code": "0" * 64, "commit": None})
        forger.record(path, environment=environment)


@forgery("code")
def uncommitted_changes(forger):
    for path, one in forger.records.items():
        forger.record(path, environment=one.environment.model_copy(update={"dirty": True}))


@forgery("identity")
def another_version_of_the_task(forger):
    for path, one in forger.records.items():
        forger.record(path, identity=with_task(one.identity, version=77))


@forgery("identity")
def a_recipe_of_the_forgers_own(forger):
    for path, one in forger.records.items():
        recipe = one.identity.task.recipe | {"epochs": 800 if one.label == METHOD else 8}
        forger.record(path, identity=with_task(one.identity, recipe=recipe))


@forgery("record")
def rules_of_no_edition(forger):
    for path, one in forger.records.items():
        forger.record(path, identity=one.identity.model_copy(update={"rules": 0}))


@forgery("record")
def rules_of_the_future(forger):
    for path, one in forger.records.items():
        forger.record(path, identity=one.identity.model_copy(update={"rules": 3}))


@forgery("record")
def a_schema_of_the_future(forger):
    forger.edit(forger.path(), lambda data: data.update(schema_version=99))


def costs(forger, label, change, task="digits-mlp"):
    for path in forger.paths(task, label):
        cost = forger.records[path].cost
        forger.record(path, cost=cost.model_copy(update=change(cost)))


@forgery("cost")
def costs_of_a_nanosecond(forger):
    costs(forger, METHOD, lambda cost: {"fit_s": 1e-9, "predict_s": 1e-9, "shared_s": 0.0})


@forgery("cost")
def costs_of_nothing(forger):
    costs(forger, METHOD, lambda cost: {"fit_s": 0.0, "shared_s": 0.0})


@forgery("record")
def negative_costs(forger):
    forger.edit(forger.path(), lambda data: data["cost"].update(fit_s=-3.0))


@forgery("record")
def costs_that_are_no_number(forger):
    forger.edit(forger.path(), lambda data: data["cost"].update(fit_s="NaN", predict_s="-Infinity"))


@forgery("pace")
def maps_costs_times_ten(forger):
    costs(forger, "map", lambda cost: {"fit_s": cost.fit_s * 10, "predict_s": cost.predict_s * 10})


@forgery("cost")
def one_cost_for_all_seeds(forger):
    costs(forger, METHOD, lambda cost: {"fit_s": 3.0, "shared_s": 0.0})


@forgery("cost")
def no_cost_record(forger):
    for path in (forger.bundle / "cost").rglob("*.json"):
        path.unlink()


@forgery("cost")
def an_invented_cost_record(forger):
    for path in (forger.bundle / "cost").rglob("*.json"):

        def change(data):
            for row in data["methods"]:
                row["fit_s"] = [1e-3 * second for second in row["fit_s"]]

        forger.edit(path, change)


@forgery("cost")
def a_cost_record_of_another_machine(forger):
    for path in (forger.bundle / "cost").rglob("*.json"):
        forger.edit(path, lambda data: data["environment"].update(device_name="a faster one"))


@forgery("labels", "sets")
def labels_that_were_predicted(forger):
    def change(sets):
        return sets | {"test": replace(sets["test"], labels=sets["test"].log_probs.argmax(1))}

    every(forger, change)


@forgery("sets")
def labels_that_were_predicted_with_hashes_to_match(forger):
    for path in forger.paths():
        sets = load_predictions(beside(path, PREDICTIONS))
        sets["test"] = replace(sets["test"], labels=sets["test"].log_probs.argmax(1))
        consistent(forger, path, sets)


def consistent(forger, path, sets):
    """Predictions, sets, data content and run id that agree with each other, and with no task of ours."""
    record = forger.records[path]
    infos = {"train": record.sets["train"]}
    for name, one in sets.items():
        labels = None if one.labels is None else array_sha256(one.labels)
        inputs = record.sets[name].inputs if name in record.sets else "0" * 64
        infos[name] = SetInfo(n=len(one.energy), inputs=inputs, labels=labels)
    data = record.identity.task.data.model_copy(update={"content": content_of(infos)})
    identity = with_task(record.identity, data=data, outputs=next(iter(sets.values())).log_probs.shape[1])
    forger.predictions(path, lambda _: sets, sets=infos, identity=identity)


def cut(one, places):
    parts = {key: value[places] for key, value in vars(one).items() if value is not None}
    return type(one)(**parts)


def subset(pick):
    """A forgery that keeps some items of the test set."""

    def change(forger):
        for path in forger.paths():
            sets = load_predictions(beside(path, PREDICTIONS))
            sets["test"] = cut(sets["test"], pick(sets["test"]))
            consistent(forger, path, sets)

    return change


FORGERIES["only the items that are right"] = (
    subset(lambda one: np.flatnonzero(one.log_probs.argmax(1) == one.labels)),
    ("sets",),
)
FORGERIES["duplicate items"] = (subset(lambda one: np.zeros(len(one.labels), dtype=int)), ("sets",))
FORGERIES["one item"] = (subset(lambda one: np.array([0])), ("sets",))


@forgery("predictions")
def only_the_items_that_are_right_under_the_tasks_name(forger):
    every(forger, lambda sets: sets | {"test": cut(sets["test"], slice(0, 100))})


def without(prefix):
    """A forgery that leaves sets out."""

    def change(forger):
        every(forger, lambda sets: {name: one for name, one in sets.items() if not name.startswith(prefix)})

    return change


FORGERIES["no far sets"] = (without("ood_far"), ("predictions",))
FORGERIES["no validation set"] = (without("validation"), ("predictions",))


@forgery("sets")
def no_far_sets_and_a_record_that_agrees(forger):
    for path in forger.paths():
        sets = load_predictions(beside(path, PREDICTIONS))
        consistent(forger, path, {name: one for name, one in sets.items() if not name.startswith("ood_far")})


@forgery("predictions", "metrics")
def two_classes_in_place_of_ten(forger):
    def change(sets):
        for name, one in sets.items():
            probs = np.exp(one.log_probs)
            two = np.stack([probs[:, :5].sum(1), probs[:, 5:].sum(1)], axis=1)
            labels = None if one.labels is None else one.labels // 5
            sets[name] = replace(probabilities(one, two), labels=labels)
        return sets

    every(forger, change)


@forgery("predictions", "metrics")
def energies_of_three_rows(forger):
    every(forger, lambda sets: sets | {"test": replace(sets["test"], energy=sets["test"].energy[:3])})


@forgery("predictions")
def infinite_energies(forger):
    def change(sets):
        energy = sets["test"].energy.copy()
        energy[0] = -np.inf
        return sets | {"test": replace(sets["test"], energy=energy)}

    every(forger, change)


@forgery("predictions")
def more_mutual_information_than_there_can_be(forger):
    def change(sets):
        one = sets["test"]
        return sets | {"test": replace(one, expected_entropy=one.expected_entropy - 5.0)}

    every(forger, change)


@forgery("predictions")
def entropy_of_members_above_that_of_their_mean(forger):
    def change(sets):
        return sets | {"test": replace(sets["test"], expected_entropy=sets["test"].expected_entropy + 3.0)}

    every(forger, change)


@forgery("metrics", "predictions")
def an_infinite_nll(forger):
    def change(sets):
        one = sets["test"]
        log_probs = one.log_probs.copy()
        log_probs[0] = -np.inf
        log_probs[0, (one.labels[0] + 1) % 10] = 0.0
        expected = one.expected_entropy.copy()
        expected[0] = 0.0
        return sets | {"test": replace(one, log_probs=log_probs, expected_entropy=expected)}

    every(forger, change)


@forgery("predictions")
def probabilities_that_sum_to_two(forger):
    def change(sets):
        return sets | {"test": replace(sets["test"], log_probs=sets["test"].log_probs + np.float32(np.log(2)))}

    every(forger, change)


@forgery("shape")
def a_list_of_what_is_left_out(forger):
    (forger.bundle / "records" / "left_out.txt").write_text("*\n")
    for path in forger.paths():
        forger.edit(beside(path, SCORES), lambda data: data["sets"]["test"].update(accuracy=1.0))


@forgery("metrics")
def edited_metrics(forger):
    for path in forger.paths():
        forger.edit(beside(path, SCORES), lambda data: data["sets"]["test"].update(accuracy=1.0))


@forgery("metrics")
def no_metrics(forger):
    for path in forger.paths():
        beside(path, SCORES).unlink()


@forgery("predictions")
def no_predictions(forger):
    for path in forger.paths():
        beside(path, PREDICTIONS).unlink()


@forgery("record")
def ok_without_predictions(forger):
    for path in forger.paths():
        forger.edit(path, lambda data: data.update(predictions=None))


@forgery("predictions", "record")
def predictions_behind_a_url(forger):
    for path in forger.paths():
        info = forger.records[path].predictions.model_copy(update={"url": "https://example.org/x.safetensors"})
        forger.record(path, predictions=info)
        beside(path, PREDICTIONS).unlink()


@forgery("plan", "predictions")
def a_map_run_called_diverged(forger):
    path = forger.path(label="map")
    beside(path, PREDICTIONS).unlink()
    beside(path, SCORES).unlink()
    forger.edit(path, lambda data: data.update(status="diverged", predictions=None, error={"reason": "diverged"}))


@forgery("identity")
def a_rivals_record_called_diverged(forger):
    (path, record), *_ = published("deep_ensemble")
    target = forger.bundle / "records" / "digits-mlp" / "deep_ensemble" / path.name
    target.parent.mkdir()
    target.write_text(record.model_dump_json())
    forger.edit(target, lambda data: data.update(status="diverged", predictions=None, error={"reason": "diverged"}))


@forgery("attempts")
def a_second_ok_attempt_in_place_of_the_first(forger):
    path = forger.path()
    again = forger.record(path, attempt=2)
    first = again.with_name(again.name.replace(".2.json", ".1.json"))
    other = forger.path(seed=1)
    first.write_text(again.read_text().replace('"attempt": 2', '"attempt": 1').replace('"attempt":2', '"attempt":1'))
    beside(first, PREDICTIONS).write_bytes(beside(other, PREDICTIONS).read_bytes())
    beside(first, SCORES).write_bytes(beside(other, SCORES).read_bytes())
    forger.bytes(first, beside(other, PREDICTIONS).read_bytes())


@forgery("attempts")
def a_failed_first_attempt_that_nobody_is_told_of(forger):
    forger.record(forger.path(), attempt=2)


@forgery("record")
def attempt_minus_five(forger):
    forger.edit(forger.path(), lambda data: data.update(attempt=-5))


@forgery("identity")
def the_method_relabelled_map(forger):
    for path, one in forger.records.items():
        if one.label == METHOD:
            forger.record(path, label="map")


@forgery("identity", "attempts", "plan", "record")
def the_method_in_maps_place(forger):
    for path, one in forger.records.items():
        if one.label == "map":
            for file in (path, beside(path, PREDICTIONS), beside(path, SCORES)):
                file.unlink()
    for path, one in forger.records.items():
        identity = with_method(one.identity, name="map", package="ivi-bench", package_version="0.2.0", resolved={})
        forger.record(path, identity=identity, label="map")


@forgery("seeds", "plan")
def seeds_that_were_chosen(forger):
    for path, one in forger.records.items():
        if one.identity.seed == 1:
            forger.record(path, identity=one.identity.model_copy(update={"seed": 7}))


@forgery("plan")
def a_seed_that_was_left_out(forger):
    path = forger.path(seed=1)
    for file in (path, beside(path, PREDICTIONS), beside(path, SCORES)):
        file.unlink()


@forgery("plan", "map")
def no_map(forger):
    for path, one in forger.records.items():
        if one.label == "map":
            for file in (path, beside(path, PREDICTIONS), beside(path, SCORES)):
                file.unlink()


@forgery("map", "copied")
def a_map_that_is_worse_than_ours(forger):
    def blurred(sets):
        return {name: probabilities(one, np.exp(one.log_probs) + 0.3) for name, one in sets.items()}

    for path in forger.paths(label="map"):
        forger.predictions(path, blurred)


@forgery("record")
def a_state_that_it_gives_itself(forger):
    for path, one in forger.records.items():
        forger.record(path, origin=one.origin.model_copy(update={"state": "rerun"}))


@forgery("shape")
def a_review_that_it_brings(forger):
    (forger.bundle / "reviews").mkdir()
    (forger.bundle / "reviews" / "0001.json").write_text("{}")


@forgery("machine")
def runs_of_two_machines(forger):
    path = forger.path()
    environment = forger.records[path].environment.model_copy(update={"threads": 64})
    forger.record(path, environment=environment)


@forgery("record", "code")
def runs_of_the_future(forger):
    path = forger.path()
    environment = forger.records[path].environment.model_copy(update={"started": "2999-01-01T00:00:00+00:00"})
    forger.record(path, environment=environment)


@forgery("suite")
def a_suite_of_the_forgers_own(forger):
    forger.edit(forger.bundle / "manifest.json", lambda data: data.update(suite="mine"))


@forgery("plan", "identity")
def a_suite_that_the_records_are_not_of(forger):
    forger.edit(forger.bundle / "manifest.json", lambda data: data.update(suite="quick"))


@pytest.mark.parametrize("name", FORGERIES)
def test_a_consistent_forgery_is_named(name, forger, board):
    change, checks = FORGERIES[name]
    change(forger)
    verdict = reviewed(forger.done(), board)
    assert verdict.state in ("refused", "claimed")
    serious = {one.check for one in verdict.findings if one.level != "note"}
    assert serious & set(checks), [str(one) for one in verdict.findings]
    assert "review" not in serious  # a check that raised is no reason
    assert all(one.mend and "\n" not in str(one) for one in verdict.findings)


def test_there_are_as_many_forgeries_as_were_tried_before():
    assert len(FORGERIES) >= 45


def test_the_good_bundle_is_recomputed_and_nothing_is_found(forger, board):
    verdict = reviewed(forger.done(), board)
    assert (verdict.state, verdict.findings) == ("recomputed", ())
    assert read_manifest(forger.bundle).method.name == METHOD
    assert all(isinstance(one, Record) for one in forger.records.values())


def test_maps_of_other_submissions_are_no_maps_of_the_board(forger):
    alone = Published.of(forger.bundle / "none", [forger.bundle / "records"])
    assert alone.map_sources == alone.codes == frozenset() and list(alone.everybodys("digits-mlp"))
    verdict = reviewed(forger.bundle, alone)
    assert verdict.state == "claimed" and "map" in {one.check for one in verdict.findings}


def test_maps_are_not_accused_where_another_submission_came_near_map(tmp_path, board):
    other, mine = Forger(tmp_path / "other"), Forger(tmp_path / "mine")
    predictions_of_map_beside_it(other)
    held = Published(board.shelf, Published.of(tmp_path / "none", [other.done() / "records"]).strangers)
    verdict = reviewed(mine.done(), held)
    assert (verdict.state, verdict.findings) == ("recomputed", ())


def test_runs_that_it_could_not_be_held_against_are_counted(tmp_path, forger):
    shutil.copytree(RECORDS / "smoke", tmp_path / "board", ignore=shutil.ignore_patterns(f"*{PREDICTIONS}"))
    verdict = reviewed(forger.done(), Published.of(tmp_path / "board"))
    assert verdict.state == "recomputed" and len(verdict.findings) == 2, "a line for each task"
    for note in verdict.findings:
        assert (note.check, note.level) == ("copied", "note") and "git fetch --unshallow" in note.mend
        assert "copies of those were not looked for" in note.what


def test_what_was_not_sealed_anew_is_refused(forger, board):
    forger.edit(forger.path(), lambda data: data["environment"].update(commit="1" * 40))
    verdict = reviewed(forger.bundle, board)
    assert verdict.state == "refused" and verdict.findings[0].check == "manifest"


def test_a_link_in_place_of_a_file_is_refused(forger, board):
    path = forger.path()
    path.unlink()
    os.symlink("/dev/zero", path)
    assert reviewed(forger.bundle, board).findings[0].what == "is a link"
