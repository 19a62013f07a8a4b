"""The node as a process of its own, with its log; the stub backend obeys a file beside the log."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from waiting import wait_until

STUB = Path(__file__).parent / "stub_node.py"
ACTIVE = "Active; listening to"


class NodeProcess:
    """One node process whose log is read as it comes."""

    def __init__(
        self,
        log: Path,
        *arguments: str,
        command: list[str] | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        """Start it.

        Args:
            log: file that gets stdout and stderr.
            arguments: of the command line.
            command: instead of `python -m lsm_perception.node`.
            environment: variables added to this process's.
        """
        self._log = log
        everything = os.environ | {"LSM_PYTHON": sys.executable, "OMP_NUM_THREADS": "1"} | (environment or {})
        with log.open("w") as out:
            self.process = subprocess.Popen(
                [*(command or [sys.executable, "-m", "lsm_perception.node"]), *arguments],
                stdout=out,
                stderr=subprocess.STDOUT,
                env=everything,
            )

    @property
    def text(self) -> str:
        """The log so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def wait_for(self, text: str, timeout_s: float = 120.0, count: int = 1) -> None:
        """Wait until the log holds a text (so often)."""
        assert wait_until(lambda: self.text.count(text) >= count or not self.alive, timeout_s), self.text
        assert self.text.count(text) >= count, self.text

    def stop(self, number: int = signal.SIGINT) -> float:
        """Send a signal and return how long the process took to end with code 0 and without a traceback."""
        started = time.monotonic()
        self.process.send_signal(number)
        assert self.process.wait(30) == 0, self.text
        assert "Traceback" not in self.text, self.text
        return time.monotonic() - started

    def end(self, patience_s: float = 10.0) -> None:
        """End it, whatever it does; politely where it listens.

        Others take a killed node for alive for 20 s more, so that a wait for the next node's topics ends before it
        is there. Fast DDS also leaves its shared memory behind (eProsima/Fast-DDS issues 2790, 4728 and 5053).
        """
        if self.alive:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience_s)
                return
        self.kill()

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()

    def resident_mib(self) -> float:
        """Return its resident memory, MiB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * 4096 / 1024**2

    def thread_count(self) -> int:
        """Return the number of its threads."""
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def descriptor_count(self) -> int:
        """Return the number of its open file descriptors."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


class StubProcess(NodeProcess):
    """The node process with the stub backend, see stub_node.py for what it obeys."""

    def __init__(
        self,
        folder: Path,
        parameters: dict[str, Any] | None = None,
        namespace: str = "",
        remaps: Sequence[str] = (),
        behaviour: dict[str, Any] | None = None,
        views: int = 40,
        step_m: float = 0.12,
    ) -> None:
        """Start it.

        Args:
            folder: for its log and the control file.
            parameters: YAML values by name.
            namespace: of the node.
            remaps: such as "image:=left/image".
            behaviour: of the backend from the start, as `behave` takes it.
            views, step_m: of the walk whose images the backend knows.
        """
        self._control = folder / "control.json"
        self.behave(**(behaviour or {}))
        arguments = [str(self._control), str(views), str(step_m), "--ros-args"]
        if namespace:
            arguments += ["-r", f"__ns:={namespace}"]
        for remap in remaps:
            arguments += ["-r", remap]
        for name, value in ({"odometry.max_wait_s": 0.05} | (parameters or {})).items():
            arguments += ["-p", f"{name}:={json.dumps(value)}"]
        super().__init__(folder / "node.log", *arguments, command=[sys.executable, str(STUB)])

    def behave(self, **settings: Any) -> None:
        """Tell the backend how to behave from now on; nothing given means well."""
        unfinished = self._control.with_suffix(".part")
        unfinished.write_text(json.dumps(settings), encoding="utf-8")
        unfinished.replace(self._control)
