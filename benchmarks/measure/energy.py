"""Energy that a GPU has used, as its driver counts it (NVML, part of NVIDIA's driver)."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable

LIBRARY = "libnvidia-ml.so.1"


def energy_counter(device: str) -> Callable[[], float] | None:
    """`counter_of` the GPU that torch calls ``device`` (``cuda``, ``cuda:1`` ...); None on a CPU.

    It is found by its UUID: ``CUDA_VISIBLE_DEVICES`` renumbers the GPUs of torch, not those of the driver.
    """
    if not device.startswith("cuda"):
        return None
    import torch  # here: without a GPU nobody needs it

    return counter_of(str(torch.cuda.get_device_properties(device).uuid))


def counter_of(uuid: str) -> Callable[[], float] | None:
    """A function that gives the joules which a GPU has used since its driver was loaded; NaN if the driver fails.

    The counter is that of the whole GPU, whoever uses it, at rest too. It moves every 20 to 100 ms.

    Args:
        uuid: of the GPU, with or without ``GPU-`` in front.

    Returns:
        None where there is no driver, where it does not know the GPU (a part of one: MIG), or does not count energy
        (before Volta).

    Source: nvmlDeviceGetTotalEnergyConsumption, NVIDIA Management Library (NVML) API reference.
    """
    device, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
    name = f"GPU-{uuid.removeprefix('GPU-')}".encode()
    try:
        nvml = ctypes.CDLL(LIBRARY)
        if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetHandleByUUID(name, ctypes.byref(device)):
            return None
        count = nvml.nvmlDeviceGetTotalEnergyConsumption
    except (OSError, AttributeError):  # no driver, or one too old to have the function
        return None

    def joules() -> float:
        return math.nan if count(device, ctypes.byref(millijoules)) else millijoules.value / 1000

    return None if math.isnan(joules()) else joules
