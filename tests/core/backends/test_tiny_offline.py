"""What comes with the package works without a network: loading, a pair, and words asked of it."""

from __future__ import annotations

import subprocess
import sys

# An audit hook sees every socket that Python opens towards a peer, whichever library asks for it.
OFFLINE = """
import sys
NETWORK = ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request")

def forbid(event, arguments):
    if event in NETWORK:
        raise RuntimeError(f"network: {event} {arguments}")

sys.addaudithook(forbid)
if sys.argv[1] == "try":
    import socket
    socket.create_connection(("localhost", 9))
import numpy as np
import lsm_core
backend = lsm_core.load_backend("lsm-tiny")
images = np.random.default_rng(0).integers(0, 255, (2, 96, 128, 3), np.uint8)
answer = backend.query(backend.predict(list(images)), ["a red armchair"])
print("answered", answer.masks[0][0].shape)
"""


def run(what: str) -> subprocess.CompletedProcess[str]:
    """Run the program above in a process of its own, where no cache is warm."""
    return subprocess.run([sys.executable, "-c", OFFLINE, what], capture_output=True, text=True, timeout=300)


def test_the_packaged_model_and_its_words_need_no_network() -> None:
    done = run("answer")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("answered (96, 128)")


def test_a_connection_would_have_been_noticed() -> None:
    done = run("try")
    assert done.returncode != 0 and "network: socket." in done.stderr
