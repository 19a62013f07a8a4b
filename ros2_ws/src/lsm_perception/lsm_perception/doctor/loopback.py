"""Does this machine hear itself over DDS, and do raw images pass? Another process sends, this one listens."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from lsm_core.doctor import Fault, Finding, ok
from lsm_perception.dds_profile import FILE, VARIABLE, config_file
from lsm_perception.doctor.echo import SMALL
from lsm_perception.doctor.snapshot import OWN_TOPICS

DEAF = Fault(
    "dds.deaf",
    "problem",
    "What one process of this machine publishes does not reach another one.",
    "Look at the findings above (domain, discovery, security, shared memory); the loopback interface must be up "
    "(ip link) and no firewall may hold UDP 7400 to 8400; containers need --network=host or one network, and the "
    "same user.",
    "troubleshooting.md#no-images",
)
LARGE_LOST = Fault(
    "dds.large_lost",
    "note",
    "Raw images of 640x480 (0.9 MB) from a driver started in this shell are lost on the way.",
    "Before the driver starts: export {variable}={file} (the node uses it by itself); or "
    "image_transport:=compressed.",
    "performance.md#raw-images-and-fast-dds",
)
FAULTS = (DEAF, LARGE_LOST)

COUNT, LARGE = 10, 640 * 480 * 3
LOST_SHARE = 0.3
END_S = 8.0


class Loopback:
    """Begins with the start of the other process; `finding` waits for its end."""

    def __init__(self, node: Node, environment: Mapping[str, str] = os.environ) -> None:
        """Listen, and start the sender.

        Args:
            node: spun by another thread.
            environment: of the sender: the user's, without the settings that this process has chosen.
        """
        self._lock = threading.Lock()
        self._counts = {"small": 0, "large": 0}
        topic = f"{OWN_TOPICS}echo_{os.getpid()}"
        qos = QoSProfile(depth=COUNT, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._node = node
        self._subscription = node.create_subscription(Image, topic, self._take, qos, raw=True)
        words = [sys.executable, str(Path(__file__).with_name("echo.py")), topic, str(COUNT), str(LARGE)]
        self._sender = subprocess.Popen(
            words, env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self._started_s = time.monotonic()

    def finding(self) -> Finding:
        """Wait for the sender and say what arrived."""
        try:
            _, complaint = self._sender.communicate(timeout=max(0.1, self._started_s + END_S - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.close()
            complaint = f"the sender did not end within {END_S:g} s"
        with self._lock:
            small, large = self._counts["small"], self._counts["large"]
        lines = [line for line in complaint.splitlines() if line.strip()]
        return judge(small, large, lines[-1] if lines and self._sender.returncode else "")

    def close(self) -> None:
        """End the sender if it still runs, and stop listening."""
        if self._sender.poll() is None:
            self._sender.kill()
            self._sender.wait()
        self._node.destroy_subscription(self._subscription)

    def _take(self, data: bytes) -> None:
        with self._lock:
            self._counts["small" if len(data) < SMALL + 1000 else "large"] += 1


def judge(small: int, large: int, complaint: str = "") -> Finding:
    """Say what the counts mean.

    Args:
        small, large: messages that arrived, of COUNT each.
        complaint: of a sender that failed.
    """
    name = "Over DDS"
    told = f"{small} of {COUNT} small and {large} of {COUNT} large (0.9 MB) messages arrive from another process"
    if complaint:
        return DEAF.seen(name, f"the sending process failed: {complaint}")
    if small < COUNT * (1 - LOST_SHARE):
        return DEAF.seen(name, told)
    if large < COUNT * (1 - LOST_SHARE):
        return LARGE_LOST.seen(name, told, variable=VARIABLE, file=config_file(FILE) or FILE)
    return ok(name, told)
