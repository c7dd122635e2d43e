"""How every run computes: what decides the last digits, and may not depend on how many cores there are."""

from __future__ import annotations

import torch
from threadpoolctl import threadpool_limits


def settle(threads: int) -> None:
    """Have this process compute as every run does: so many threads, algorithms that repeat, whole single precision.

    Threads are those of torch and of the BLAS of numpy and scipy, which would take as many as there are cores: sums
    are cut by threads. On a GPU torch would make convolutions in TF32, with 10 bits of 23: a recipe in single precision
    means single precision, and one that may be faster says bfloat16.
    """
    torch.set_num_threads(threads)
    threadpool_limits(threads, user_api="blas")
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
