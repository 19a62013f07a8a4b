"""Which errors are the device's, and of which kind."""

from __future__ import annotations

import pytest
import torch

from lsm_core.device_faults import DeviceFault, device_fault
from lsm_core.errors import DeviceError, WeightsError

MEMORY: list[Exception] = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    MemoryError(),
    RuntimeError("CUDA error: out of memory"),
    torch.AcceleratorError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]
LOST: list[Exception] = [
    torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("CUDA error: device-side assert triggered"),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
]
OTHER: list[Exception] = [
    RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"),
    ValueError("CUDA error: said by something that is not torch"),
    DeviceError("CUDA was asked for, but this PyTorch sees no GPU."),
    WeightsError("There is no weights file."),
]


@pytest.mark.parametrize("error", MEMORY, ids=str)
def test_failed_allocations_are_of_memory(error: Exception) -> None:
    assert device_fault(error) is DeviceFault.MEMORY


@pytest.mark.parametrize("error", LOST, ids=str)
def test_errors_that_the_context_keeps_are_of_a_lost_device(error: Exception) -> None:
    assert device_fault(error) is DeviceFault.LOST


@pytest.mark.parametrize("error", OTHER, ids=str)
def test_other_errors_are_not_the_devices(error: Exception) -> None:
    assert device_fault(error) is None


def test_the_allocator_of_the_cpu_is_known() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**58)
    assert device_fault(raised.value) is DeviceFault.MEMORY


def test_the_cause_of_an_error_counts() -> None:
    outer = DeviceError("The model failed.")
    outer.__cause__ = torch.OutOfMemoryError("CUDA out of memory.")
    assert device_fault(outer) is DeviceFault.MEMORY


@pytest.mark.gpu
def test_a_real_allocation_that_is_too_large_is_of_memory() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**50, dtype=torch.uint8, device="cuda")
    assert device_fault(raised.value) is DeviceFault.MEMORY
