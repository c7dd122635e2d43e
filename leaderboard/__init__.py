"""Results as they lie in a folder: `load` reads them for Python, without torch; the parts below it make them.

>>> import leaderboard
>>> loaded = leaderboard.load("leaderboard/records/fashion-rules-1")
>>> loaded.runs, loaded.rows, loaded.differences("nll", against="map")  # tables of pandas
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leaderboard.reading import Loaded

__all__ = ["load"]


def load(folder: str | Path, suite: str | None = None) -> Loaded:
    """What lies in a folder of records; see `leaderboard.reading.Loaded`.

    Args:
        folder: of records, as `ivi run` makes them.
        suite: the name of a suite that was run into it: its plan then says which rows and seeds there should be, as
            for `ivi table SUITE`. None: everything in the folder.

    Raises:
        ValueError: there are no records, or no plan of that suite.
    """
    from leaderboard.reading import read  # here, since whoever imports a part of this package must not wait for it

    return read(Path(folder), suite)
