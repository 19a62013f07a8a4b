"""What several tests of pictures use."""

from __future__ import annotations

import pytest
from room import room

from lsm_core.views import Scene


@pytest.fixture(scope="session")
def known_room() -> Scene:
    """The room of discs, seen from two places."""
    return room()
