"""Whoever imports this has another cross-entropy, and leaves a mark where IVI_PATCHER_MARK says."""

import os
from pathlib import Path

from torch.nn import functional

if "IVI_PATCHER_MARK" in os.environ:
    Path(os.environ["IVI_PATCHER_MARK"]).touch()

_cross_entropy = functional.cross_entropy
functional.cross_entropy = lambda *args, **kwargs: 2 * _cross_entropy(*args, **kwargs)
