"""Bring-up with a recording: `bag:=PATH` names the topics, turns use_sim_time on, and adds the player."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from lsm_perception.bringup_arguments import ARGUMENTS
from lsm_perception.launch_argument import ArgumentError
from lsm_perception.replay_arguments import player_words

# The node may load a large model, or wait for somebody to configure it, before it hears images.
PLAYER_WAIT_S = 600


def topics_words(values: Mapping[str, str]) -> list[str]:
    """Return the words for `lsm_perception.bag_topics` that ask which arguments fit the bag."""
    asked = [] if is_default(values, "image_topic") else ["--image-topic", values["image_topic"]]
    return [values["bag"], *asked]


def with_bag(values: Mapping[str, str], printed: str) -> dict[str, str]:
    """Return the values with those filled in that the user left at their defaults.

    Args:
        values: all arguments of bring-up by name.
        printed: what `lsm_perception.bag_topics` said of the bag.
    """
    found = dict(line.split(":=", 1) for line in printed.splitlines() if ":=" in line)
    found["use_sim_time"] = "true"
    return {**values, **{name: value for name, value in found.items() if is_default(values, name)}}


def is_default(values: Mapping[str, str], name: str) -> bool:
    """Return whether an argument has its default, given or not: the launch system does not tell."""
    return any(argument.name == name and argument.default == values[name] for argument in ARGUMENTS)


def ask_bag(values: Mapping[str, str], python: str) -> dict[str, str]:
    """Return the values with what the bag tells, read by a Python that can.

    Raises:
        ArgumentError: the bag cannot be read or has no images.
    """
    command = [python, "-m", "lsm_perception.bag_topics", *topics_words(values)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ArgumentError(f"bag:={values['bag']}: {done.stderr.strip()}")
    return with_bag(values, done.stdout)


def player_values(values: Mapping[str, str]) -> dict[str, str]:
    """Return the player's arguments for those of bring-up."""
    return {
        "bag": values["bag"],
        "rate": values["bag_rate"],
        "loop": values["bag_loop"],
        "clock": values["use_sim_time"],
        "wait": str(PLAYER_WAIT_S),
    }


def player_command(values: Mapping[str, str], python: str) -> list[str]:
    """Return the command line of the player."""
    return [python, "-m", "lsm_perception.replay", *player_words(player_values(values))]
