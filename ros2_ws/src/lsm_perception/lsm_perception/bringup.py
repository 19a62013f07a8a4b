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

from lsm_perception.bringup_arguments import ARGUMENTS, camera_info_topic, parameter_text
from lsm_perception.bringup_bag import ask_bag, player_command
from lsm_perception.launch_argument import HELP, ArgumentError, described, parse_words
from lsm_perception.respawn import run_in_foreground
from lsm_perception.rviz_arguments import NO_RVIZ, rviz_remappings, rviz_values, rviz_words

STOP_S = 10.0  # longest wait for what is beside the node


def parse_arguments(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Split `key:=value` words into values by name (defaults filled in) and the words after `--ros-args`.

    Raises:
        ArgumentError: unknown name, word that is not `key:=value`, value outside the choices.
    """
    return parse_words(words, ARGUMENTS)


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
        ArgumentError: the parameter file does not exist.
    """
    command = [python_of(values), "-m", "lsm_perception.node", "--ros-args"]
    params_file = values["params_file"] or default_params_file()
    if params_file is not None:
        if not Path(params_file).is_file():
            raise ArgumentError(f"params_file:={params_file} does not exist.")
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
    command = [python_of(values), "-m", "lsm_perception.viewer", *viewer_words(values)]
    command += ["--ros-args"]
    if values["namespace"]:
        command += ["-r", f"__ns:=/{values['namespace'].strip('/')}"]
    for inner, outer in remappings(values):
        if inner != outer:
            command += ["-r", f"{inner}:={outer}"]
    return command


def python_of(values: Mapping[str, str]) -> str:
    """Return the Python that runs the node and what is beside it."""
    return values["python"] or sys.executable


def companions(values: Mapping[str, str]) -> list[list[str]]:
    """Return the command lines of what shall run beside the node.

    Raises:
        ArgumentError: rviz2 is asked for and not on this machine.
    """
    wanted = [rviz_command(values)] if values["rviz"] == "true" else []
    wanted += [viewer_command(values)] if values["viewer"] == "true" else []
    return wanted + ([player_command(values, python_of(values))] if values["bag"] else [])


def rviz_command(values: Mapping[str, str]) -> list[str]:
    """Return the command line of RViz with the package's view.

    Raises:
        ArgumentError: rviz2 or the view is not on this machine.
    """
    params_file = default_params_file()
    if shutil.which("rviz2") is None or params_file is None:
        raise ArgumentError(f"rviz:=true: {NO_RVIZ}")
    wanted = rviz_values(values)
    command = ["rviz2", *rviz_words(wanted, str(params_file.with_suffix(".rviz"))), "--ros-args"]
    for inner, outer in rviz_remappings(wanted):
        command += ["-r", f"{inner}:={outer}"]
    return [*command, "-p", f"use_sim_time:={wanted['use_sim_time']}"]


def end_all(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Tell processes to end, and wait until they have; those that will not are killed."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()


def main(words: Sequence[str] | None = None) -> int:
    """Start the node and what is wanted beside it; return the node's exit code, 2 for bad arguments."""
    words = sys.argv[1:] if words is None else words
    if any(word in HELP for word in words):
        print(described(ARGUMENTS))
        return 0
    try:
        values, extra = parse_arguments(words)
        if values["bag"]:
            values = ask_bag(values, python_of(values))
        command = node_command(values, extra)
        lines = companions(values)
    except ArgumentError as error:
        print(f"bringup: {error}", file=sys.stderr)
        return 2
    if not lines and values["use_respawn"] != "true":
        os.execvp(command[0], command)
    # In sessions of their own: a Ctrl-C reaches this process, which ends them when the node has ended.
    beside = [subprocess.Popen(line, stdin=subprocess.DEVNULL, start_new_session=True) for line in lines]
    try:
        return run_in_foreground(command, values["use_respawn"] == "true")
    finally:
        end_all(beside)


if __name__ == "__main__":
    sys.exit(main())
