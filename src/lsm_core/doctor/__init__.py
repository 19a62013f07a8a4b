"""Is everything here that this product needs, and what to do where it is not: the checks behind `lsm doctor`."""

from lsm_core.doctor.finding import Fault, Finding, Level, ok
from lsm_core.doctor.machine_checks import machine_findings, model_findings
from lsm_core.doctor.ros_half import RosHalf, find_ros_half
from lsm_core.doctor.settings import KEYS, Settings, read_settings

__all__ = [
    "KEYS",
    "Fault",
    "Finding",
    "Level",
    "RosHalf",
    "Settings",
    "find_ros_half",
    "machine_findings",
    "model_findings",
    "ok",
    "read_settings",
]
