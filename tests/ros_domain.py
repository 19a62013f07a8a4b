"""A ROS domain that belongs to this test process: `from ros_domain import DOMAIN`."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO


def claimed_domain() -> tuple[int, IO[bytes]]:
    """Return a ROS domain that no other test process of this machine uses, and the file whose lock says so."""
    # 1 to 100: above, Fast DDS would use ports of the ephemeral range.
    for attempt in range(100):
        domain = 1 + (os.getpid() * 7 + attempt) % 100
        claim = (Path(tempfile.gettempdir()) / f"lsm_test_domain_{domain}.lock").open("ab")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            claim.close()
        else:
            return domain, claim
    raise RuntimeError("All ROS domains from 1 to 100 are taken by other test processes.")


DOMAIN, _CLAIM = claimed_domain()
