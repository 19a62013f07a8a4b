"""In which precision, and with which kernels, a network works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Literal

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from lsm_core.errors import InputError
from lsm_core.nn.precision import strict_float32

Precision = Literal["float32", "bfloat16", "float16"]
PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


def half_dtype(precision: Precision, reference: bool) -> torch.dtype | None:
    """Return the dtype of the dense part, None for float32.

    Raises:
        InputError: there is no such precision, or the twin is asked for in half.
    """
    if precision not in PRECISIONS:
        raise InputError(f"There is no precision '{precision}'.", f"Choose {', '.join(PRECISIONS)}.")
    half = PRECISIONS[precision]
    if reference and half is not None:
        raise InputError("The reference twin works in float32.", "Leave out reference or precision.")
    return half


@contextmanager
def dense_numerics(device: torch.device, half: torch.dtype | None, reference: bool) -> Iterator[None]:
    """Work as the dense part does: autocast, or float32 without TF32; attention written out for the twin."""
    with ExitStack() as stack:
        if half is not None:
            # Weights are stored in half: there is nothing to cache, and a graph can be captured.
            stack.enter_context(torch.autocast(device.type, half, cache_enabled=False))
        else:
            stack.enter_context(strict_float32())
        stack.enter_context(attention_kernels(reference))
        yield


def attention_kernels(reference: bool) -> AbstractContextManager[object]:
    """Return the context of all attention: written out for the twin, fused where torch can else."""
    return sdpa_kernel(SDPBackend.MATH) if reference else nullcontext()
