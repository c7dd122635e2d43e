"""Of rows that differ in one hyperparameter, the one that the validation set chooses: a grid in one row per method."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from leaderboard.columns import Column
from leaderboard.marks import mean_of
from leaderboard.rows import Group


class Choice(NamedTuple):
    """How rows are chosen.

    Attributes:
        hyperparameter: in which the rows of a family differ, and in nothing else.
        by: the column whose mean over seeds decides, of the validation set: a choice on the test set is none.
    """

    hyperparameter: str
    by: Column

    def of(self, groups: Sequence[Group]) -> list[Group]:
        """The rows with one left of each family, which says what it was chosen from; rows of no family stay.

        A member that is not ranked, or whose ``by`` is not finite, cannot be chosen: a rate at which a seed diverged is
        no rate to use. Where no member is ranked, and all that have their seeds are not for one reason (a method from a
        file), these are chosen among, and the row stays unranked. A family without a member to choose stays whole.
        """
        families: dict[str, list[Group]] = {}
        for group in groups:
            families.setdefault(self._family(group), []).append(group)
        return [one for family in families.values() for one in self._chosen(family)]

    def _family(self, group: Group) -> str:
        name, source, parameters = _method(group)
        rest = {key: one for key, one in parameters.items() if key != self.hyperparameter}
        alone = group.name if self.hyperparameter not in parameters else ""
        return json.dumps([group.task, name, source, rest, alone], sort_keys=True, default=str)

    def _chosen(self, family: Sequence[Group]) -> list[Group]:
        means = {id(group): self._mean(group) for group in family}
        whole = [group for group in family if group.state != "seeds"]
        is_of_one_kind = len({group.reason for group in whole}) == 1
        usable = whole if is_of_one_kind else [group for group in whole if not group.reason]
        fit = [group for group in usable if math.isfinite(means[id(group)])]
        if len(family) < 2 or not fit:
            return list(family)
        sign = -1 if self.by.better == "higher" else 1
        best = min(fit, key=lambda group: sign * means[id(group)])
        return [replace(best, notes=(*best.notes, self._note(best, family)))]

    def _mean(self, group: Group) -> float:
        values = {seed: value for seed, one in group.ok.items() if (value := self.by.value(one)) is not None}
        return mean_of(values)

    def _note(self, best: Group, family: Sequence[Group]) -> str:
        values = [_method(group)[2][self.hyperparameter] for group in family]
        tried, one = sorted(values, key=_order), _method(best)[2][self.hyperparameter]
        edge = ", the edge of the grid" if len(tried) > 2 and one in (tried[0], tried[-1]) else ""
        shown = ", ".join(map(str, tried))
        by = f"by the mean of {self.by.key} over {len(best.ok)} seeds"
        return f"{self.hyperparameter} {one}{edge}: chosen of {shown} {by}"


def _method(group: Group) -> tuple[str, str, Mapping[str, Any]]:
    name, source, parameters = group.one.method if group.one else (group.label, "", {})
    return str(name), str(source), parameters if isinstance(parameters, Mapping) else {}


def _order(value: object) -> tuple[bool, float, str]:
    """Numbers by size, words after them."""
    is_number = isinstance(value, int | float)
    return not is_number, float(value) if isinstance(value, int | float) else 0.0, str(value)
