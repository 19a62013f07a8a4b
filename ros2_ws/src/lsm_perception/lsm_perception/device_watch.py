"""What becomes of the device's errors: memory is freed and the call repeated once, a lost device is reported."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NoReturn, TypeVar

from lsm_core.device_faults import DeviceFault, device_fault
from lsm_core.errors import DeviceError

T = TypeVar("T")


class DeviceWatch:
    """Runs calls that need the device; safe to use from several threads."""

    def __init__(self, relieve: Callable[[str], str], lost: Callable[[str], None]) -> None:
        """Watch over a device that is fine.

        Args:
            relieve: frees memory because of the error given, and returns what the node does without from now on.
            lost: told once when the device will not work any more, with the error.
        """
        self._relieve = relieve
        self._lost = lost
        self._lock = threading.Lock()
        self._degraded = ""
        self._out_of_memory = 0
        self._fault = ""

    @property
    def degraded(self) -> str:
        """What the node does without since memory ran out, "" when it never did."""
        with self._lock:
            return self._degraded

    @property
    def out_of_memory(self) -> int:
        """How often memory ran out."""
        with self._lock:
            return self._out_of_memory

    @property
    def fault(self) -> str:
        """Why the device will not work any more, "" when it does."""
        with self._lock:
            return self._fault

    def run(self, call: Callable[[], T]) -> T:
        """Return what the call returns; when memory runs out, free some and call once more.

        Raises:
            DeviceError: the device is lost, or memory ran out twice.
            Exception: what the call raises for other reasons.
        """
        if self.fault:
            raise lost_error(self.fault)
        try:
            return call()
        except Exception as error:
            if device_fault(error) is not DeviceFault.MEMORY:
                self._raise(error)
            reason = one_line(error)
        # Outside of the except block: the error's traceback holds on to what the call had allocated.
        self._free(reason)
        try:
            return call()
        except Exception as error:
            self._raise(error)

    def notice(self, error: BaseException) -> bool:
        """Look at an error from outside of `run`; whether it was the device's."""
        fault = device_fault(error)
        if fault is DeviceFault.MEMORY:
            self._free(one_line(error))
        elif fault is DeviceFault.LOST:
            self._lose(one_line(error))
        return fault is not None

    def _raise(self, error: Exception) -> NoReturn:
        """Raise an error that nothing repeats any more, the device's as DeviceError."""
        fault = device_fault(error)
        if fault is DeviceFault.MEMORY:
            raise DeviceError(
                f"Memory ran out twice: {one_line(error)}.", "Use a smaller model or another device."
            ) from error
        if fault is DeviceFault.LOST:
            self._lose(one_line(error))
            raise lost_error(self.fault) from error
        raise error

    def _lose(self, reason: str) -> None:
        with self._lock:
            first = not self._fault
            self._fault = self._fault or reason
        if first:
            self._lost(reason)

    def _free(self, reason: str) -> None:
        without = self._relieve(reason)
        with self._lock:
            self._out_of_memory += 1
            self._degraded = f"ran out of memory {self._out_of_memory} time(s), {without}; last: {reason}"


def lost_error(reason: str) -> DeviceError:
    """Return the error of a call that a lost device cannot answer."""
    return DeviceError(f"The device is lost: {reason}.", "Start the node anew.")


def one_line(error: BaseException) -> str:
    """Return an error's kind and first line; torch's go on for a page."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0][:200].rstrip('.')}" if lines else type(error).__name__
