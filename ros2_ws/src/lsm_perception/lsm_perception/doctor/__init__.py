"""What `lsm doctor` looks at where there is ROS: the installation, the middleware, and the running robot."""

from lsm_perception.doctor.ros_checks import FAULTS, ros_findings

__all__ = ["FAULTS", "ros_findings"]
