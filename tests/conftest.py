"""Shared test plumbing: where the reference material is, one thread per test process, rclpy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(max(1, (os.cpu_count() or 2) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))))

settings.register_profile("quick", max_examples=60, deadline=None)
settings.register_profile("slow", max_examples=2000, deadline=None)


def pytest_configure(config: pytest.Config) -> None:
    """Take many more examples when the slow tests run too (`./run test --slow`)."""
    chosen = str(config.option.markexpr)
    settings.load_profile("slow" if chosen and "not slow" not in chosen else "quick")


def _find_shared() -> Path | None:
    candidate = os.environ.get("LSM_SHARED")
    path = Path(candidate) if candidate else Path(__file__).resolve().parents[2] / "shared"
    return path if path.is_dir() else None


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of reference material (specs, fixtures, data); the test is skipped where it is absent."""
    path = _find_shared()
    if path is None:
        pytest.skip("reference material not found: set LSM_SHARED or place it at ../shared")
    return path


@pytest.fixture(scope="session")
def rclpy_session() -> Iterator[None]:
    """rclpy, initialised once per test process."""
    rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
    pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")
    from lsm_perception.dds_profile import use_profile

    use_profile()  # as a camera driver should: Fast DDS's own shared memory holds few images, and loses the others
    rclpy.init(args=[])
    yield
    rclpy.try_shutdown()
