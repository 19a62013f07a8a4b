"""The QoS of every topic in one table, overridable by `qos_overrides` parameters."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions


def _profile(reliable: bool, latched: bool, depth: int) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


# topic relative to the node (outputs: under ~) -> (reliable, latched, depth)
_INPUTS: dict[str, tuple[bool, bool, int]] = {
    "image": (False, False, 1),
    "camera_info": (False, False, 10),
    "odom": (False, False, 50),
    "depth": (False, False, 5),
    "mask": (False, False, 5),
}
_OUTPUTS: dict[str, tuple[bool, bool, int]] = {
    "points": (True, False, 1),
    "map_points": (True, True, 1),
    "gaussians": (True, False, 1),
    "pair_pose": (True, False, 10),
    "relative_pose": (True, False, 10),
    "path": (True, False, 1),
    "segmentation/label": (True, False, 1),
    "segmentation/score": (True, False, 1),
    "segmentation/overlay": (True, False, 1),
    "segmentation/label_info": (True, True, 1),
    "detections": (True, False, 1),
    "markers": (True, False, 1),
    "depth/image": (True, False, 1),
    "depth/camera_info": (True, False, 1),
    "keyframes": (True, False, 100),
    "scale": (True, True, 1),
    "diagnostics": (True, False, 10),
}


MAX_DEPTH = 10_000
_WORDS = {
    "reliability": ("reliable", "best_effort"),
    "durability": ("volatile", "transient_local"),
    "history": ("keep_last", "keep_all"),
}


def input_qos(name: str) -> QoSProfile:
    """Return the QoS of an input (image, camera_info, odom, depth, mask)."""
    return _profile(*_INPUTS[name])


def output_qos(name: str) -> QoSProfile:
    """Return the QoS of an output by its name under ~, or of diagnostics."""
    return _profile(*_OUTPUTS[name])


def input_names() -> tuple[str, ...]:
    """Return the names of all inputs in the table."""
    return tuple(_INPUTS)


def output_names() -> tuple[str, ...]:
    """Return the names of all outputs in the table."""
    return tuple(_OUTPUTS)


def override_complaint(name: str, value: object) -> str | None:
    """Return why the value of a `qos_overrides` parameter is refused, None when it is fine or of no such policy."""
    policy = name.rpartition(".")[2]
    if policy == "depth":
        fine = type(value) is int and 1 <= value <= MAX_DEPTH
        return None if fine else f"{value} is not a whole number from 1 to {MAX_DEPTH}"
    words = _WORDS.get(policy, ())
    return None if value in words or not words else f"'{value}' is not one of: {', '.join(words)}"


def overridable() -> QoSOverridingOptions:
    """Return options that let `qos_overrides` change history, depth, reliability and durability."""
    return QoSOverridingOptions(
        policy_kinds=(
            QoSPolicyKind.HISTORY,
            QoSPolicyKind.DEPTH,
            QoSPolicyKind.RELIABILITY,
            QoSPolicyKind.DURABILITY,
        )
    )
