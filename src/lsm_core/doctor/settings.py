"""What the user tells the doctor: `key:=value` words with the names of bring-up's arguments."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lsm_core.errors import InputError

# name -> what it says; the names and meanings are those of bring-up
KEYS: dict[str, str] = {
    "namespace": "look at the node in this namespace only",
    "image_topic": "the raw name of the camera's topic",
    "camera_info_topic": "calibration; by default the one beside image_topic",
    "image_transport": "raw or compressed",
    "depth_topic": "depth images",
    "odom_topic": "odometry",
    "odom_frame": "the robot's odometry frame",
    "use_sim_time": "true: time comes from /clock",
    "backend": "the model whose weights are checked",
    "weights": "file or folder with its weights",
    "semantics": "what answers words: auto, model, none, lseg, lsm-tiny",
    "semantics_weights": "file or folder with its weights",
    "device": "auto, cpu, cuda, cuda:1 ...",
}
CHOICES = {
    "image_transport": ("raw", "compressed"),
    "use_sim_time": ("true", "false"),
    "semantics": ("auto", "model", "none", "lseg", "lsm-tiny"),
}
# Source: design.ros2.org, "Topic and Service name mapping to DDS", name rules.
NAME = re.compile(r"/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)


@dataclass(frozen=True)
class Settings:
    """The words by key; what is not given is taken from the running node, else from its defaults."""

    values: Mapping[str, str] = field(default_factory=dict)

    def get(self, key: str, default: str = "") -> str:
        """Return a value, or the default where it was not given."""
        assert key in KEYS, key
        return self.values.get(key) or default


def read_settings(words: Sequence[str]) -> Settings:
    """Read `key:=value` words.

    Raises:
        InputError: a word of another form, or an unknown key.
    """
    values: dict[str, str] = {}
    for word in words:
        key, sign, value = word.partition(":=")
        if not sign:
            raise InputError(f"'{word}' is not of the form key:=value.", f"Keys: {', '.join(KEYS)}.")
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, 1)
            hint = f" Did you mean {near[0]}:={value}?" if near else ""
            raise InputError(f"There is no '{key}'.{hint}", f"Keys: {', '.join(KEYS)}.")
        _check_value(key, value)
        values[key] = value
    return Settings(values)


def _check_value(key: str, value: str) -> None:
    """Refuse a value that the graph would refuse.

    Raises:
        InputError: a name that is none in ROS, or another word than those allowed.
    """
    if value and (key.endswith("_topic") or key == "namespace") and not NAME.fullmatch(value):
        fix = "Letters, digits and _, with / between: /camera/image_raw."
        raise InputError(f"'{value}' is no name in ROS.", fix)
    if value and value not in CHOICES.get(key, (value,)):
        raise InputError(f"{key} is '{value}'.", f"Choose one of: {', '.join(CHOICES[key])}.")
