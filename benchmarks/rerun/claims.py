"""What a bundle claims: the method's records and predictions and those of its author's MAP. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from leaderboard.plan import is_base
from leaderboard.predictions import AnyPredictions, parse_predictions, read_bytes
from leaderboard.record import Record
from leaderboard.scoring import score
from leaderboard.shelf import PREDICTIONS, beside, latest, read_all
from leaderboard.submission.manifest import RECORDS, Manifest

COLUMNS = {
    "categorical": (
        ("test", "nll"),
        ("test", "accuracy"),
        ("ood_near", "auroc_max_probability"),
        ("ood_far", "auroc_max_probability"),
    ),
    "gaussian": (("test", "nll"), ("test", "rmse")),
}
"""What fresh seeds are compared by: (set or group of sets, metric)."""


@dataclass(frozen=True)
class Claimed:
    """One ok run of a bundle.

    Attributes:
        record: as it was submitted.
        data: bytes of its predictions.
    """

    record: Record
    data: bytes = field(repr=False)

    @cached_property
    def sets(self) -> dict[str, AnyPredictions]:
        """Its predictions by evaluation set."""
        return parse_predictions(self.data, self.record.run_id)

    @cached_property
    def values(self) -> dict[tuple[str, str], float]:
        """Its columns, computed here."""
        return columns_of(self.sets)


@dataclass(frozen=True)
class Claim:
    """What a bundle claims on one task: ok runs by seed, of the method and of MAP."""

    task: str
    method: dict[int, Claimed]
    base: dict[int, Claimed]

    def seeds(self) -> list[int]:
        """Those of the method, in order."""
        return sorted(self.method)


def claims_of(bundle: Path, manifest: Manifest) -> list[Claim]:
    """The claims of a bundle, a task each; runs that are not ok claim nothing."""
    shelf = read_all(bundle / RECORDS)
    places = {id(record): path for record, path in zip(shelf.records, shelf.paths, strict=True)}
    found: dict[str, Claim] = {}
    for record in latest(shelf.records).values():
        if record.status != "ok":
            continue
        method = record.identity.method
        of_method = (method.name, method.package) == (manifest.method.name, manifest.method.package)
        if not of_method and not is_base(method, record.label == "map"):
            continue
        if of_method and record.label != manifest.method.label:
            continue
        claim = found.setdefault(record.identity.task.name, Claim(record.identity.task.name, {}, {}))
        own = claim.method if of_method else claim.base
        own[record.identity.seed] = Claimed(record, read_bytes(beside(places[id(record)], PREDICTIONS)))
    return [claim for claim in found.values() if claim.method]


def columns_of(sets: Mapping[str, AnyPredictions]) -> dict[tuple[str, str], float]:
    """The values of `COLUMNS` that these predictions have."""
    wanted = {name: one for name, one in sets.items() if not name.startswith("shift/")}
    scores = score(wanted)
    kind = next(iter(sets.values())).kind
    return {key: scores[key[0]][key[1]] for key in COLUMNS[kind] if key[1] in scores.get(key[0], {})}
