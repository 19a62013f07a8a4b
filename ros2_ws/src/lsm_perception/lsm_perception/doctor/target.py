"""A running perception node, as the graph and its own services tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lsm_perception.doctor.snapshot import Snapshot
from lsm_perception.parameters import settings as parameter_settings

ASKED = (
    "use_sim_time",
    "backend",
    "weights",
    "device",
    "num_threads",
    "cameras",
    "pairing",
    "image_transport",
    "odom_frame",
    "frame_prefix",
    "publish_tf",
    "input.max_age_s",
    "input.max_pixels",
    "input.rectified",
    "scale.source",
    "odometry.source",
    "odometry.max_wait_s",
    "semantics.source",
    "semantics.weights",
)
DEFAULTS: dict[str, Any] = {entry.name: entry.default for entry in parameter_settings() if entry.name in ASKED}
ACTIVE = "active"


@dataclass(frozen=True)
class Target:
    """One perception node.

    Attributes:
        name: full name.
        state: lifecycle state, None where it does not answer.
        parameters: those of ASKED; a default stands for one that could not be asked.
        answered: whether it told its parameters.
    """

    name: str
    state: str | None = ACTIVE
    parameters: Mapping[str, Any] = field(default_factory=dict)
    answered: bool = True

    def __getitem__(self, name: str) -> Any:
        """Return a parameter."""
        return self.parameters.get(name, DEFAULTS.get(name, False))

    @property
    def namespace(self) -> str:
        """Its namespace, "/" for none."""
        return self.name.rpartition("/")[0] or "/"


def target_names(graph: Snapshot, namespace: str = "") -> list[str]:
    """Return the full names of the perception nodes on the graph.

    Args:
        graph: as it is.
        namespace: of the only ones wanted; "" for all.
    """
    wanted = "/" + namespace.strip("/")
    return [name for name in sorted(graph.ours) if not namespace or Target(name).namespace == wanted]
