"""What parameters must fulfil together, beyond the range of each."""

from __future__ import annotations

from lsm_perception.parameters import NodeParameters

# (smaller, larger): names of numbers of which the first may not exceed the second
ORDERED = (
    ("keyframes.hard_overlap", "keyframes.target_overlap"),
    ("keyframes.target_overlap", "keyframes.max_overlap"),
    ("keyframes.min_interval_s", "keyframes.max_age_s"),
)


def contradiction(tree: NodeParameters) -> str | None:
    """Return why these values cannot be in force together, or None."""
    for smaller, larger in ORDERED:
        low, high = value_of(tree, smaller), value_of(tree, larger)
        if low > high:
            return f"{smaller} ({low:g}) is larger than {larger} ({high:g}); set both in one request"
    if tree.scale.source == "camera_height" and tree.scale.camera_height_m <= 0:
        return "scale.source is camera_height, but scale.camera_height_m is not set"
    if tree.scale.source == "rig" and tree.pairing != "rig":
        return "scale.source is rig, but pairing is not rig"
    if tree.scale.source == "odometry" and tree.odometry.source == "none":
        return "scale.source is odometry, but odometry.source is none"
    return None


def value_of(tree: object, name: str) -> float:
    """Return a number by its dotted name."""
    for part in name.split("."):
        tree = getattr(tree, part)
    assert isinstance(tree, int | float)
    return tree
