"""The real node process around a backend that misbehaves on demand.

`python stub_node.py CONTROL VIEWS STEP_M --ros-args ...`:
CONTROL is a JSON file, read again before each use of the backend:
`delay_s` (sleep per prediction), `fail` (a key of FAILURES), `fail_in` (load, encode, predict or query), `times`
(how often it fails, always by default), `load_s` and `close_s` (how long loading and closing take), `note` (a
stage that prints "STAGE begins"),
`poison` (a part of `poison.PARTS`, or "encoded") with `poison_value` ("nan", "inf", "-inf"), `bad_pose`,
`validity`. Missing keys mean good behaviour; so does a missing file.
VIEWS and STEP_M are of the walk whose images the backend knows.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import torch
from fake_backend import FakeBackend
from lsm_perception.node import exit_now, main
from rig_views import standing
from synthetic_world import View, walk

from lsm_core.backends.base import Backend
from lsm_core.errors import DeviceError, WeightsError

FAILURES: dict[str, Any] = {
    "oom": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "sticky": lambda: torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
    "device": lambda: DeviceError("The device is gone.", "Plug it in."),
    "runtime": lambda: RuntimeError("something inside the model broke"),
    "memory": lambda: MemoryError("no memory for it"),
    "weights": lambda: WeightsError("Weights are missing.", "Bring them."),
}


@cache
def known_views(count: int, step_m: float) -> list[View]:
    """Return the views that the backend knows; rendered once, however often it is loaded."""
    return walk(count, step_m)


class StubBackend(FakeBackend):
    """A FakeBackend that reads its behaviour from a file."""

    def __init__(self, control: Path, views: Sequence[View]) -> None:
        super().__init__(views)
        self._control = control
        self._control_lock = threading.Lock()
        self._told: dict[str, Any] = {}
        self._failures = 0
        self.obey("load")
        time.sleep(self._told.get("load_s", 0.0))

    def obey(self, stage: str) -> None:
        """Read the file, take over its settings, and raise what it asks for at this stage."""
        with self._control_lock:
            try:
                told = json.loads(self._control.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                told = {}
            self.delay_s = float(told.get("delay_s", 0.0))
            self.poison = str(told.get("poison", ""))
            self.poison_value = float(told.get("poison_value", "nan"))
            self.bad_pose = bool(told.get("bad_pose", False))
            self.validity = float(told.get("validity", 1.0))
            if told != self._told:
                self._told, self._failures = told, 0
            if told.get("note") == stage:
                print(f"{stage} begins", flush=True)
            fails = bool(told.get("fail")) and told.get("fail_in", "predict") == stage
            if not fails or self._failures >= told.get("times", sys.maxsize):
                return
            self._failures += 1
        raise FAILURES[told["fail"]]()

    def encode(self, *args: Any, **kwargs: Any) -> Any:
        self.obey("encode")
        return super().encode(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        self.obey("predict")
        return super().predict(*args, **kwargs)

    def close(self) -> None:
        self.obey("close")
        time.sleep(self._told.get("close_s", 0.0))

    def encode_texts(self, texts: Sequence[str]) -> Any:
        self.obey("query")
        return super().encode_texts(texts)


def start(arguments: list[str]) -> int:
    """Run the node with the stub; the first arguments are the stub's own."""
    control, count, step_m = Path(arguments[0]), int(arguments[1]), float(arguments[2])
    rig: list[View] = []
    if 'pairing:="rig"' in arguments:
        left, right = standing(count)
        rig = [*left, *right]

    def load(name: str, device: str, weights: Path | None) -> Backend:
        return StubBackend(control, [*known_views(count, step_m), *rig])

    return main(arguments[3:], load)


if __name__ == "__main__":
    exit_now(start(sys.argv[1:]))
