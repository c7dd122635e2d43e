"""What was changed after a run is named: a byte, a digit, a label, a class, a seed that was taken away or copied."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import kept, made, plan_of, predictions, set_info, sha, task_identity

from leaderboard.history import OldRecord
from leaderboard.identity import DataIdentity, content_of
from leaderboard.plan import write_plan
from leaderboard.predictions import Categorical, save_predictions
from leaderboard.record import Audit, PredictionsInfo
from leaderboard.scores import read_scores, score_file, write_scores
from leaderboard.scoring import score
from leaderboard.shelf import Finding
from leaderboard.store import PREDICTIONS, SCORES, beside, keep, path_of, read, read_all
from leaderboard.verify import LEFT_OUT, verify

OLD = Path(__file__).parent.parent / "old_records"


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("records")
    paths = [kept(folder, "map", seed, sets=sets(seed)) for seed in range(3)]
    records = [read(path) for path in paths]
    failed = made("map", 3, "failed", task=records[0].identity.task)
    keep(folder, failed, None)
    write_plan(folder, plan_of(*records, failed))
    return folder


@pytest.fixture
def folder(original, tmp_path) -> Path:
    return shutil.copytree(original, tmp_path / "records")


def sets(seed: int):
    """Predictions of three sets; only the labelled ones have labels."""
    return {
        "validation": predictions(seed), "test": predictions(seed + 50), "ood_near/x": predictions(seed + 99, False),
    }  # fmt: skip


def paths_of(folder: Path) -> list[Path]:
    return [path for path in read_all(folder).paths if beside(path, PREDICTIONS).exists()]


def edited(path: Path, change) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def only(folder: Path) -> Finding:
    (finding,) = verify(folder).findings
    assert "\n" not in str(finding)
    return finding


def forged(path: Path, change, **record_changes) -> None:
    """Put changed predictions in place of a record's, with everything that follows from them made consistent."""
    record = read(path)
    file = beside(path, PREDICTIONS)
    changed = change(dict(load(file)))
    digest = save_predictions(file, changed)
    info = PredictionsInfo(sha256=digest, bytes=file.stat().st_size)
    path.write_text(record.model_copy(update={"predictions": info, **record_changes}).model_dump_json(indent=1))
    write_scores(path, score_file(file))


def load(file: Path):
    from leaderboard.predictions import load_predictions

    return load_predictions(file)


def test_what_was_not_touched_agrees(folder):
    report = verify(folder)
    assert report.findings == [] and (report.records, report.recomputed, report.plans) == (4, 3, 1)
    assert "4 records, 3 recomputed from their predictions: every number agrees" in report.lines()[0]
    assert verify(folder / "task" / "map").findings == []


def test_the_numbers_agree_on_a_processor_without_the_newer_instructions(folder):
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])  # type: ignore[index]
    if not found:
        pytest.skip("numpy has no newer instructions to leave out on this processor")
    code = "import sys, pathlib, leaderboard.verify as v; sys.exit(len(v.verify(pathlib.Path(sys.argv[1])).findings))"
    env = os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(found)}
    assert subprocess.run([sys.executable, "-c", code, str(folder)], env=env).returncode == 0


@pytest.mark.parametrize("at", [0.0, 0.02, 0.5, 0.999])
def test_one_changed_byte_of_a_predictions_file_is_named(folder, at):
    file = beside(paths_of(folder)[0], PREDICTIONS)
    data = bytearray(file.read_bytes())
    data[int(at * len(data))] ^= 1
    file.write_bytes(data)
    finding = only(folder)
    assert (finding.path, finding.kind) == (file, "damaged")


def test_each_changed_score_is_named_down_to_the_ninth_digit(folder):
    path = paths_of(folder)[0]
    for name, row in read_scores(path).sets.items():
        for key, value in list(row.items())[:6]:
            if value in (0.0, 1.0):
                continue
            digits = f"{value:.9e}"
            changed = float(digits[:-6] + str((int(digits[-6]) + 1) % 10) + digits[-5:])  # the ninth of ten
            edited(beside(path, SCORES), lambda data, n=name, k=key, v=changed: data["sets"][n].update({k: v}))
            finding = only(folder / "task")
            assert finding.kind == "metric"
            assert f"{name} {key} is stored as {changed!r}, the predictions give {value!r}" in str(finding)
            edited(beside(path, SCORES), lambda data, n=name, k=key, v=value: data["sets"][n].update({k: v}))


def test_scores_that_lack_a_number_are_named_unless_they_are_of_older_metrics(folder):
    scores = beside(paths_of(folder)[0], SCORES)
    edited(scores, lambda data: data["sets"]["test"].pop("nll"))
    assert "test nll is not stored" in str(only(folder))
    edited(scores, lambda data: data.update(metrics_version=1))
    assert verify(folder).findings == []
    scores.unlink()
    assert verify(folder).findings == [], "scores can be made at any time"


def test_scores_of_other_predictions_are_named(folder):
    mine, other = paths_of(folder)[:2]
    shutil.copy(beside(other, SCORES), beside(mine, SCORES))
    assert only(folder).kind == "foreign"


def test_the_predictions_of_another_run_are_named_as_such(folder):
    mine, other = paths_of(folder)[:2]
    shutil.copy(beside(other, PREDICTIONS), beside(mine, PREDICTIONS))
    finding = only(folder)
    assert finding.kind == "foreign" and "holds the predictions of task map seed 1" in finding.problem


def test_the_record_of_another_run_is_named_as_such(folder):
    mine, other = paths_of(folder)[:2]
    shutil.copy(other, mine)
    kinds = {finding.kind for finding in verify(folder).findings}
    assert {"misplaced", "plan"} <= kinds


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["identity"].update(seed=7),
        lambda data: data["identity"]["method"]["resolved"].update(rank=999),
        lambda data: data["identity"]["method"].update(source="0" * 64),
        lambda data: data["identity"]["task"].update(version=77),
        lambda data: data["identity"].update(rules=0),
        lambda data: data.update(run_id="0" * 12),
        lambda data: data.update(attempt=-5),
        lambda data: data["cost"].update(fit_s=-1.0),
        lambda data: data["cost"].update(fit_s="NaN"),
        lambda data: data.update(predictions=None),
        lambda data: data.update(schema_version=3),
    ],
)
def test_a_record_that_was_edited_no_longer_gives_its_run_id_or_is_none(folder, change):
    edited(paths_of(folder)[0], change)
    assert "unreadable" in {finding.kind for finding in verify(folder).findings}


def relabelled(one: Categorical, labels) -> Categorical:
    return Categorical(one.log_probs, one.expected_entropy, one.energy, labels)


def subset(one: Categorical, keep) -> Categorical:
    return Categorical(*(None if array is None else array[keep] for array in vars(one).values()))


def right(one: Categorical) -> np.ndarray:
    return one.log_probs.argmax(axis=1) == one.labels


FORGERIES = {
    "labels := argmax": lambda s: s | {"test": relabelled(s["test"], s["test"].log_probs.argmax(axis=1))},
    "only what is right": lambda s: s | {"test": subset(s["test"], right(s["test"]))},
    "one item": lambda s: s | {"test": subset(s["test"], np.arange(1))},
    "items twice": lambda s: s | {"test": subset(s["test"], np.repeat(np.arange(200), 2))},
    "easy items in place of hard ones": lambda s: s | {"test": subset(s["test"], np.arange(200) // 2)},
    "no validation set": lambda s: {name: one for name, one in s.items() if name != "validation"},
    "no OOD set": lambda s: {name: one for name, one in s.items() if not name.startswith("ood")},
    "labels of an OOD set": lambda s: s | {"ood_near/x": relabelled(s["ood_near/x"], np.zeros(200, np.int64))},
    "another set": lambda s: s | {"ood_far/easy": s["ood_near/x"]},
    "two classes": lambda s: {
        name: Categorical(np.full((200, 2), np.log(0.5), np.float32), np.full(200, 0.6, np.float32), one.energy, None
                          if one.labels is None else one.labels % 2) for name, one in s.items()
    },
}  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES)
def test_predictions_of_other_items_labels_or_classes_are_named(folder, forgery):
    forged(paths_of(folder)[0], FORGERIES[forgery])
    assert {finding.kind for finding in verify(folder).findings} == {"labels"}


def test_sets_that_were_forged_with_the_labels_do_not_give_the_content_of_the_data(folder):
    path = paths_of(folder)[0]
    record = read(path)
    cheat = FORGERIES["labels := argmax"](dict(load(beside(path, PREDICTIONS))))
    infos = {name: set_info(name, one) for name, one in cheat.items()} | {"train": record.sets["train"]}
    forged(path, lambda _: cheat, sets=infos)
    assert "not those that the identity's data content names" in str(only(folder))


def test_a_deleted_seed_is_missed_by_the_plan(folder):
    path = paths_of(folder)[1]
    for suffix in (".json", PREDICTIONS, SCORES):
        beside(path, suffix).unlink()
    finding = only(folder)
    assert finding.kind == "plan" and "task map seed 1" in finding.problem and "has no record" in finding.problem


def test_a_deleted_attempt_is_missed(folder):
    first = read(paths_of(folder)[0])
    failed = made("map", 5, "failed", task=first.identity.task)
    keep(folder, failed, None)
    kept(folder, "map", 5, sets=sets(5), attempt=2)
    assert verify(folder).findings == []
    path_of(folder, failed).unlink()
    assert "attempt 1 of this run is missing" in str(only(folder))


@pytest.mark.parametrize(("method", "seed"), [("map", 7), ("laplace", 0)])
def test_copied_predictions_are_named_whether_of_a_seed_or_of_a_method(folder, method, seed):
    kept(folder, method, seed, sets=sets(0))
    finding = only(folder)
    assert finding.kind == "copied" and "are those of task" in finding.problem


def test_predictions_of_a_fit_that_was_taken_over_are_no_copy(tmp_path):
    state = sha("a state")
    kept(tmp_path, "map", 0, sets=sets(0), audit=Audit(state=state))
    kept(tmp_path, "deep_ensemble", 0, sets=sets(0), audit=Audit(shared={"map": state}))
    assert verify(tmp_path).findings == []


def test_another_seed_takes_over_no_fit(tmp_path):
    state = sha("a state")
    for seed in range(2):
        kept(tmp_path, "map", seed, sets=sets(0), audit=Audit(state=state))
    assert only(tmp_path).kind == "copied"


def test_predictions_that_are_elsewhere_are_counted_and_lost_ones_named(folder, tmp_path):
    beside(paths_of(folder)[0], PREDICTIONS).unlink()
    assert only(folder).kind == "missing"
    path = kept(tmp_path / "other", "map", 0, sets=sets(0))
    record = read(path)
    info = record.predictions.model_copy(update={"url": "https://example.org/predictions.safetensors"})
    path.write_text(record.model_copy(update={"predictions": info}).model_dump_json())
    beside(path, PREDICTIONS).unlink()
    report = verify(tmp_path / "other")
    assert report.findings == [] and report.elsewhere == 1 and "not recomputed" in " ".join(report.lines())


def test_a_link_is_no_predictions_file(folder, tmp_path):
    file = beside(paths_of(folder)[0], PREDICTIONS)
    shutil.move(file, tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert only(folder).kind == "missing"


def test_bad_files_are_named_and_the_others_are_still_checked(folder):
    paths_of(folder)[0].write_text("{")
    (folder / "broken.plan.json").write_text("{")
    (folder / "task" / "x.cost.json").write_text('{"schema_version": 3}')
    beside(paths_of(folder)[0], PREDICTIONS).unlink()
    kinds = sorted(finding.kind for finding in verify(folder).findings)
    assert kinds == ["missing", "plan", "plan", "unreadable", "unreadable"], "also the run whose record is lost"


def test_a_file_that_is_no_predictions_is_named(folder):
    path = paths_of(folder)[0]
    beside(path, PREDICTIONS).write_bytes(b"not safetensors")
    digest = hashlib.sha256(b"not safetensors").hexdigest()
    edited(path, lambda data: data["predictions"].update(sha256=digest))
    assert "damaged" in {finding.kind for finding in verify(folder).findings}


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        verify(tmp_path / "nowhere")


def old(folder: Path, seed: int = 0) -> Path:
    """A record of the first edition with predictions beside it."""
    record = OldRecord.model_validate_json((OLD / "schema1.json").read_bytes())
    path = folder / record.task.name / record.method.label / f"{record.seed}-{record.run_id}.{record.attempt}.json"
    path.parent.mkdir(parents=True)
    file = beside(path, PREDICTIONS)
    digest = save_predictions(file, sets(seed))
    newer = ("augrc", "ece_classwise")
    metrics = {
        name: {key: value for key, value in row.items() if key.removesuffix("_scaled") not in newer}
        for name, row in score(sets(seed), recalibrated=False).items()
    }
    info = {"sha256": digest, "sets": sorted(sets(seed))}
    data = json.loads(record.model_dump_json()) | {
        "metrics": metrics,
        "predictions": info,
        "status": "ok",
        "error": None,
    }
    path.write_text(json.dumps(data))
    return path


def test_records_of_the_first_edition_are_recomputed_without_the_newer_metrics(tmp_path):
    path = old(tmp_path)
    report = verify(tmp_path)
    assert report.findings == [] and (report.history, report.recomputed) == (1, 1)
    edited(path, lambda data: data["metrics"]["test"].update(nll=0.5))
    assert only(tmp_path).kind == "metric"
    edited(path, lambda data: data["metrics"]["test"].pop("nll"))
    assert "test nll is not stored" in str(only(tmp_path))


def test_old_predictions_may_be_left_out_by_name_and_new_ones_may_not(tmp_path, folder):
    path = old(tmp_path / "old")
    beside(path, PREDICTIONS).unlink()
    assert only(tmp_path / "old").kind == "missing"
    (tmp_path / "old" / LEFT_OUT).write_text("*\n")
    assert verify(tmp_path / "old").findings == [] and verify(path.parent).findings == []
    (folder / LEFT_OUT).write_text("*\n")
    beside(paths_of(folder)[0], PREDICTIONS).unlink()
    assert only(folder).kind == "missing"


def test_the_content_of_the_builders_data_is_that_of_their_sets(folder):
    record = read(paths_of(folder)[0])
    assert record.identity.task.data == DataIdentity(name="digits", spec=sha("spec"), content=content_of(record.sets))
    assert task_identity().data.content != content_of(record.sets)


def test_several_processes_find_what_one_finds_in_the_same_order(tmp_path):
    paths = [kept(tmp_path, "map", seed, sets={"test": predictions(min(seed, 15))}) for seed in range(18)]
    beside(paths[3], PREDICTIONS).write_bytes(b"damaged")
    alone, together = verify(tmp_path), verify(tmp_path, jobs=2)
    assert together == alone and together.recomputed == 17
    assert [finding.kind for finding in together.findings] == ["copied", "copied", "damaged"]


def test_a_method_from_a_file_may_give_the_same_whatever_the_seed(tmp_path):
    for seed in range(2):
        kept(tmp_path, "boosting", seed, sets={"test": predictions(0)}, method_info={"package": None})
    assert verify(tmp_path).findings == []
    kept(tmp_path, "map", 2, sets={"test": predictions(0)})
    assert [finding.kind for finding in verify(tmp_path).findings] == ["copied"]
