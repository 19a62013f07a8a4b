"""The device watch: memory is freed and the call repeated once, a lost device is told once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from lsm_perception.device_memory import give_back_memory
from lsm_perception.device_watch import DeviceWatch, one_line

from lsm_core.errors import DeviceError, InputError


class Told:
    """Remembers what a watch told."""

    def __init__(self) -> None:
        self.freed: list[str] = []
        self.lost: list[str] = []
        self.watch = DeviceWatch(self._free, self.lost.append)

    def _free(self, reason: str) -> str:
        self.freed.append(reason)
        return "keeps less"


def failing(*errors: Exception) -> Callable[[], str]:
    """Return a call that raises these in turn, then answers."""
    left = list(errors)

    def call() -> str:
        if left:
            raise left.pop(0)
        return "answer"

    return call


def oom() -> Exception:
    return torch.OutOfMemoryError("CUDA out of memory.\nA page of advice.")


def lost() -> Exception:
    return torch.AcceleratorError("CUDA error: an illegal memory access was encountered")


def test_a_call_that_works_is_left_alone() -> None:
    told = Told()
    assert told.watch.run(failing()) == "answer"
    assert told.freed == [] and told.watch.degraded == "" and told.watch.fault == ""


def test_memory_is_freed_and_the_call_repeated() -> None:
    told = Told()
    assert told.watch.run(failing(oom())) == "answer"
    assert told.freed == ["OutOfMemoryError: CUDA out of memory"] and told.watch.out_of_memory == 1
    assert "keeps less" in told.watch.degraded and told.lost == []


def test_memory_that_runs_out_twice_is_a_typed_error() -> None:
    told = Told()
    with pytest.raises(DeviceError, match="twice"):
        told.watch.run(failing(oom(), MemoryError()))
    assert len(told.freed) == 1
    assert told.watch.run(failing()) == "answer"


@pytest.mark.parametrize("before", [[], [oom()]], ids=["at once", "in the repetition"])
def test_a_lost_device_is_told_once_and_not_called_again(before: list[Exception]) -> None:
    told = Told()
    with pytest.raises(DeviceError, match="lost"):
        told.watch.run(failing(*before, lost()))
    for _ in range(2):
        with pytest.raises(DeviceError, match="lost"):
            told.watch.run(failing())
    assert len(told.lost) == 1 and "illegal memory access" in told.watch.fault


def test_other_errors_pass_unchanged() -> None:
    told = Told()
    with pytest.raises(InputError):
        told.watch.run(failing(InputError("bad")))
    assert told.freed == told.lost == [] and not told.watch.notice(KeyError("x"))


def test_errors_from_elsewhere_can_be_shown_to_it() -> None:
    told = Told()
    assert told.watch.notice(oom()) and told.watch.notice(lost()) and told.watch.notice(lost())
    assert len(told.freed) == 1 and len(told.lost) == 1


def test_what_a_failed_call_held_is_free_before_the_repetition() -> None:
    class Big:
        alive = 0

        def __init__(self) -> None:
            Big.alive += 1

        def __del__(self) -> None:
            Big.alive -= 1

    seen: list[int] = []

    def call() -> None:
        seen.append(Big.alive)
        big = Big()
        if len(seen) == 1:
            raise MemoryError(str(big))

    DeviceWatch(lambda _reason: give_back_memory() or "", lambda _reason: None).run(call)
    assert seen == [0, 0]


def test_a_line_is_one_line() -> None:
    assert one_line(oom()) == "OutOfMemoryError: CUDA out of memory" and one_line(MemoryError()) == "MemoryError"


@pytest.mark.gpu
def test_memory_of_the_gpu_is_given_back() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    give_back_memory()
    before = torch.cuda.memory_reserved()
    ring: list[object] = [torch.empty(64 * 2**20, dtype=torch.uint8, device="cuda")]
    ring.append(ring)  # only the collector frees it
    assert torch.cuda.memory_reserved() > before
    del ring
    give_back_memory()
    assert torch.cuda.memory_reserved() <= before
