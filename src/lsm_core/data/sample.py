"""Where the packaged sample sequence is."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def sample_path() -> Path:
    """Return the folder of the packaged bag (metadata.yaml and one .mcap): a walk through a rendered room."""
    return Path(str(resources.files("lsm_core") / "assets" / "sample_room"))
