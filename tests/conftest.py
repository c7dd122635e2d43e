"""One thread for torch in every test: these networks are too small to share out over cores."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
