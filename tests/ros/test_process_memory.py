"""Freed memory goes back to the system, whichever thread used it."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys, threading
from pathlib import Path
from lsm_perception.process_memory import limit_heaps, return_free_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

if not limit_heaps():
    sys.exit(77)
before = resident()
kept = []
def work():
    blocks = [bytearray(20_000) for _ in range(2000)]  # 40 MB in small blocks
    kept.append(blocks[::100])  # some stay, so that the heap's end cannot just be cut off
for _ in range(3):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
hoarded = resident() - before
return_free_memory()
print(hoarded, resident() - before)
"""


def test_heaps_of_threads_are_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    if done.returncode == 77:
        pytest.skip("the C library is not glibc")
    assert done.returncode == 0, done.stderr
    hoarded, left = (float(word) for word in done.stdout.split())
    assert hoarded > 20
    assert left < 0.3 * hoarded
