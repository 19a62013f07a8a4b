"""What `lsm doctor` looks at where there is ROS: the installation, the middleware, and the running robot.

Importing this loads nothing of ROS: a middleware that cannot start ends the process (`lsm_core.doctor.ros_half`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lsm_core.doctor import Fault, Finding, Settings
from lsm_perception.doctor.environment import environment_findings

__all__ = ["all_faults", "environment_findings", "ros_findings"]


def ros_findings(settings: Settings, seconds: float, told: Callable[[str], None]) -> Iterator[Finding]:
    """Check the ROS installation, the middleware and the running robot; see `ros_checks.ros_findings`."""
    from lsm_perception.doctor import ros_checks

    return ros_checks.ros_findings(settings, seconds, told)


def all_faults() -> tuple[Fault, ...]:
    """Return everything that these checks can find."""
    from lsm_perception.doctor import ros_checks

    return ros_checks.FAULTS
