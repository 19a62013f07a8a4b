"""Which errors are the device's: memory that ran out, and a device that will not work any more."""

from __future__ import annotations

from enum import Enum

import torch

_MEMORY_TEXTS = ("out of memory", "can't allocate memory", "_STATUS_ALLOC_FAILED")
_LOST_TEXTS = (
    "CUDA error",
    "HIP error",
    "CUBLAS_STATUS_EXECUTION_FAILED",
    "CUBLAS_STATUS_INTERNAL_ERROR",
    "CUDNN_STATUS_EXECUTION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR",
)


class DeviceFault(Enum):
    """What is wrong with the device.

    Attributes:
        MEMORY: an allocation failed; the same call may work once memory is given back.
        LOST: the process has lost the device (a CUDA error is kept by the context): every later call fails.
    """

    MEMORY = "memory"
    LOST = "lost"


def device_fault(error: BaseException) -> DeviceFault | None:
    """Return the fault of the device behind an error, looking through the causes it was raised from.

    Returns:
        None when the error is not the device's.
    """
    link: BaseException | None = error
    while link is not None:
        fault = _fault_of(link)
        if fault is not None:
            return fault
        link = link.__cause__
    return None


def _fault_of(error: BaseException) -> DeviceFault | None:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return DeviceFault.MEMORY
    if not isinstance(error, RuntimeError):  # torch's own errors are all of this kind
        return None
    text = str(error)
    if any(part in text for part in _MEMORY_TEXTS):
        return DeviceFault.MEMORY
    if isinstance(error, torch.AcceleratorError) or any(part in text for part in _LOST_TEXTS):
        return DeviceFault.LOST
    return None
