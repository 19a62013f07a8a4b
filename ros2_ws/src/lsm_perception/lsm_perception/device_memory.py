"""Giving memory back: Python's unreachable objects, then what torch keeps of the GPU, then what glibc keeps."""

from __future__ import annotations

import gc
import logging

import torch

from lsm_perception.process_memory import return_free_memory
from lsm_perception.symptoms import Symptom, see

logger = logging.getLogger(__name__)


def give_back_memory() -> None:
    """Collect what nobody refers to any more and return torch's cached device memory; never raises.

    The parts of a configured node refer to each other, so only the collector frees the model, and only then has
    torch something to return.
    """
    gc.collect()
    try:
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            torch.cuda.empty_cache()
    except RuntimeError as error:  # a lost device
        logger.warning(
            see("Device memory could not be given back: %s. Fix: start the process anew.", Symptom.DEVICE_LOST),
            error,
        )
    return_free_memory()
