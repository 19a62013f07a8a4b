"""Start the node without ros2 launch: `python -m lsm_perception.bringup key:=value ...`.

Takes the arguments of `bringup.launch.py` (one table: `lsm_perception.bringup_arguments`). Anything after
`--ros-args` goes to the node as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lsm_perception.bringup_arguments import (
    ARGUMENTS,
    BringupArgument,
    camera_info_topic,
    parameter_text,
)
from lsm_perception.respawn import run_in_foreground


class BringupError(Exception):
    """An argument is unknown or has a value that is not allowed."""


def parse_arguments(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Split `key:=value` words into values by name (defaults filled in) and the words after `--ros-args`.

    Raises:
        BringupError: unknown name, word that is not `key:=value`, value outside the choices.
    """
    known = {argument.name: argument for argument in ARGUMENTS}
    values = {argument.name: argument.default for argument in ARGUMENTS}
    words = list(words)
    extra = words[words.index("--ros-args") :] if "--ros-args" in words else []
    for word in words[: len(words) - len(extra)]:
        name, separator, value = word.partition(":=")
        if not separator:
            raise BringupError(f"'{word}' is not of the form name:=value.")
        if name not in known:
            raise BringupError(f"There is no argument '{name}'. Known: {', '.join(known)}.")
        check_choice(known[name], value)
        values[name] = value
    return values, extra


def check_choice(argument: BringupArgument, value: str) -> None:
    """Raise BringupError when a value is outside the argument's choices."""
    if value and argument.choices and value not in argument.choices:
        raise BringupError(f"{argument.name}:={value} is not one of: {', '.join(argument.choices)}.")


def remappings(values: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return (node's topic, robot's topic) pairs for the topic arguments; several cameras are not remapped."""
    if values["cameras"]:
        return [("odom", values["odom_topic"])]
    image = values["image_topic"]
    return [
        ("image", image),
        ("image/compressed", f"{image}/compressed"),
        ("camera_info", values["camera_info_topic"] or camera_info_topic(image)),
        ("odom", values["odom_topic"]),
        ("depth", values["depth_topic"]),
    ]


def default_params_file() -> Path | None:
    """Return the installed config/lsm_perception.yaml, or the source tree's, or None."""
    try:
        from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

        try:
            installed = Path(get_package_share_directory("lsm_perception")) / "config" / "lsm_perception.yaml"
            if installed.is_file():
                return installed
        except PackageNotFoundError:
            pass
    except ImportError:
        pass
    source = Path(__file__).resolve().parents[1] / "config" / "lsm_perception.yaml"
    return source if source.is_file() else None


def node_command(values: Mapping[str, str], extra: Sequence[str] = ()) -> list[str]:
    """Return the command line of the node for a full set of argument values.

    Raises:
        BringupError: the parameter file does not exist.
    """
    command = [values["python"] or sys.executable, "-m", "lsm_perception.node", "--ros-args"]
    params_file = values["params_file"] or default_params_file()
    if params_file is not None:
        if not Path(params_file).is_file():
            raise BringupError(f"params_file:={params_file} does not exist.")
        command += ["--params-file", str(params_file)]
    if values["namespace"]:
        command += ["-r", f"__ns:=/{values['namespace'].strip('/')}"]
    for inner, outer in remappings(values):
        if inner != outer:
            command += ["-r", f"{inner}:={outer}"]
    for argument in ARGUMENTS:
        if argument.parameter and values[argument.name]:
            command += ["-p", f"{argument.parameter}:={parameter_text(argument, values[argument.name])}"]
    command += ["--log-level", values["log_level"]]
    return command + [word for word in extra if word != "--ros-args"]


def viewer_words(values: Mapping[str, str]) -> list[str]:
    """Return the words for the viewer's command line, without what is for ROS."""
    transport = "compressed" if values["image_transport"] == "compressed" else "raw"
    camera = values["cameras"].partition(",")[0].strip()
    words = ["--host", values["viewer_host"], "--port", values["viewer_port"], "--image-transport", transport]
    return words + (["--camera", camera] if camera else [])


def viewer_command(values: Mapping[str, str]) -> list[str]:
    """Return the command line of the viewer, which hears the same camera as the node."""
    command = [values["python"] or sys.executable, "-m", "lsm_perception.viewer", *viewer_words(values)]
    command += ["--ros-args"]
    if values["namespace"]:
        command += ["-r", f"__ns:=/{values['namespace'].strip('/')}"]
    for inner, outer in remappings(values):
        if inner != outer:
            command += ["-r", f"{inner}:={outer}"]
    return command


def companions(values: Mapping[str, str]) -> list[list[str]]:
    """Return the command lines of what shall run beside the node.

    Raises:
        BringupError: rviz2 is asked for and not on this machine.
    """
    wanted = [rviz_command()] if values["use_rviz"] == "true" else []
    return wanted + ([viewer_command(values)] if values["viewer"] == "true" else [])


def rviz_command() -> list[str]:
    """Return the command line of RViz with the package's view.

    Raises:
        BringupError: rviz2 is not on this machine.
    """
    if shutil.which("rviz2") is None:
        raise BringupError("use_rviz:=true needs rviz2, which is part of a full ROS 2 installation.")
    params_file = default_params_file()
    view = [] if params_file is None else ["-d", str(params_file.with_suffix(".rviz"))]
    return ["rviz2", *view]


def main(words: Sequence[str] | None = None) -> int:
    """Start the node (and RViz, and the viewer); return the node's exit code, 2 for bad arguments."""
    words = sys.argv[1:] if words is None else words
    if any(word in ("-h", "--help", "--show-args") for word in words):
        for argument in ARGUMENTS:
            choices = f" [{', '.join(argument.choices)}]" if argument.choices else ""
            print(f"{argument.name}:={argument.default}\n    {argument.description}{choices}")
        return 0
    try:
        values, extra = parse_arguments(words)
        command = node_command(values, extra)
        beside = [subprocess.Popen(line, start_new_session=True) for line in companions(values)]
    except BringupError as error:
        print(f"bringup: {error}", file=sys.stderr)
        return 2
    if not beside and values["use_respawn"] != "true":
        os.execvp(command[0], command)
    try:
        return run_in_foreground(command, values["use_respawn"] == "true")
    finally:
        for process in beside:
            process.terminate()


if __name__ == "__main__":
    sys.exit(main())
