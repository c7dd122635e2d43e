"""For every test: one thread for torch, since these networks are too small to share out; no deadline for examples."""

import os

from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
