"""The arguments of the bag player, one table for `replay.launch.py` and `./run replay`.

Imports nothing heavy, so a launch file can read it.
"""

from __future__ import annotations

from collections.abc import Mapping

from lsm_perception.launch_argument import BOOL, LaunchArgument

ARGUMENTS: tuple[LaunchArgument, ...] = (
    LaunchArgument("bag", None, "Folder or file of the recording (mcap or sqlite3)."),
    LaunchArgument("rate", "1.0", "Speed; 1 is the recording's.", option="--rate"),
    LaunchArgument("loop", "false", "Start again at the end.", BOOL, option="--loop"),
    LaunchArgument(
        "clock",
        "false",
        "Publish /clock with the recording's time: true for 100 Hz of real time, or a number of Hz.",
        option="--clock",
    ),
    LaunchArgument("start", "0.0", "Seconds to skip.", option="--start"),
    LaunchArgument("duration", "0.0", "Seconds to play; 0 for all.", option="--duration"),
    LaunchArgument("start_paused", "false", "Stand still at first.", BOOL, option="--start-paused"),
    LaunchArgument("topics", "", "Comma-separated topics to play; empty for all.", option="--topics"),
    LaunchArgument("wait", "5.0", "Longest wait for a subscriber of an image topic, seconds.", option="--wait"),
    LaunchArgument("delay", "0.5", "Pause before the first message, seconds.", option="--delay"),
)
# Which Python runs the player is asked by its launch file only.
LAUNCH_ARGUMENTS = (
    *ARGUMENTS,
    LaunchArgument("python", "", "Python that has rosbags; empty for the active environment's."),
)


def player_words(values: Mapping[str, str]) -> list[str]:
    """Return the words of the player's own command line for values by name; what is not there is left out."""
    words = [values["bag"]] if "bag" in values else []
    for argument in ARGUMENTS:
        value = values.get(argument.name, "")
        if not argument.option or value in ("", "false"):
            continue
        words.append(argument.option)
        if argument.name == "topics":
            words += [topic for topic in (part.strip() for part in value.split(",")) if topic]
        elif value != "true":
            words.append(value)
    return words
