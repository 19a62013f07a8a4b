"""Two programs with a bad network between them: `unshare -rn python lossy_link.py CONTROL A... -- B...`.

Each program gets a network namespace of its own whose only way out is a tunnel device; this process carries packets
from one to the other and loses or delays them as CONTROL says, a JSON file that is read again ten times a second:
`loss` (share of packets), `delay_s` (each way). The tunnel takes packets of 65,000 bytes, so that a packet is a
message of DDS, not a fragment of one. Ends when B ends, with B's exit code; A is then interrupted.

Stands in for `tc netem`, which needs a kernel module that is often missing.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import itertools
import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
PR_SET_PDEATHSIG = 1
MTU = 65_000
CONTROL_PERIOD_S = 0.1
SEED = 15


def start_side(address: str, command: list[str]) -> tuple[int, int]:
    """Start a program in a new network namespace; return its process id and the descriptor of its tunnel."""
    libc = ctypes.CDLL(None, use_errno=True)
    here, there = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if libc.unshare(CLONE_NEWNET) != 0:
            os._exit(99)
        tunnel = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(tunnel, TUNSETIFF, struct.pack("16sH", b"tun0", IFF_TUN | IFF_NO_PI))
        for words in (
            "link set lo up",
            f"addr add {address}/24 dev tun0",
            f"link set tun0 mtu {MTU} up",
            "route add 224.0.0.0/4 dev tun0",
        ):
            subprocess.run(["ip", *words.split()], check=True)
        socket.send_fds(there, [b"t"], [tunnel])
        os.execvp(command[0], command)
    return pid, socket.recv_fds(here, 1, 1)[1][0]


class Link:
    """Carries packets between two tunnels."""

    def __init__(self, control: Path, tunnels: tuple[int, int]) -> None:
        self._control = control
        self._other = {tunnels[0]: tunnels[1], tunnels[1]: tunnels[0]}
        self._random = random.Random(SEED)
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, int, bytes]] = []  # due, order, to, packet
        self._read_at = float("-inf")
        self._loss, self._delay_s = 0.0, 0.0

    def turn(self) -> None:
        """Take what came, deliver what is due; returns after a tenth of a second at the latest."""
        now = time.monotonic()
        if now - self._read_at > CONTROL_PERIOD_S:
            self._read_at = now
            self._read_control()
        wait_s = CONTROL_PERIOD_S if not self._waiting else max(0.0, self._waiting[0][0] - now)
        for tunnel in select.select(list(self._other), [], [], min(wait_s, CONTROL_PERIOD_S))[0]:
            packet = os.read(tunnel, MTU + 100)
            if self._random.random() >= self._loss:
                due = time.monotonic() + self._delay_s
                heapq.heappush(self._waiting, (due, next(self._order), self._other[tunnel], packet))
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            _, _, to, packet = heapq.heappop(self._waiting)
            os.write(to, packet)

    def _read_control(self) -> None:
        try:
            told = json.loads(self._control.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        self._loss, self._delay_s = float(told.get("loss", 0.0)), float(told.get("delay_s", 0.0))


def main(arguments: list[str]) -> int:
    """Run both programs with the link between them."""
    control, rest = Path(arguments[0]), arguments[1:]
    border = rest.index("--")
    first, tunnel_a = start_side("10.77.0.1", rest[:border])
    second, tunnel_b = start_side("10.77.0.2", rest[border + 1 :])
    link = Link(control, (tunnel_a, tunnel_b))
    while True:
        link.turn()
        ended, status = os.waitpid(second, os.WNOHANG)
        if ended:
            break
    os.kill(first, signal.SIGINT)
    os.waitpid(first, 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
