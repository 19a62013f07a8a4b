"""Start the node: `ros2 launch lsm_perception bringup.launch.py image_topic:=/camera/image_raw`.

`--show-args` lists the arguments. They are those of `python -m lsm_perception.bringup`, which starts the
same node where `ros2 launch` does not exist; one table, `lsm_perception.bringup_arguments`, serves both.
"""

import shlex

import yaml
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import Command, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare
from lsm_perception.bringup import default_params_file, remappings, viewer_words
from lsm_perception.bringup_arguments import ARGUMENTS, parameter_text
from lsm_perception.bringup_bag import player_values, topics_words, with_bag
from lsm_perception.launch_declarations import declared, python_environment, require_rviz, values_of
from lsm_perception.rviz_arguments import rviz_values

PACKAGE = "lsm_perception"


def values_with_bag(context: LaunchContext) -> dict[str, str]:
    """Return the arguments' values; with a bag, what is not given is found in it by the package's own program."""
    values = values_of(context, ARGUMENTS)
    if not values["bag"]:
        return values
    environment = [f"{name}={value}" for name, value in python_environment(values).items()]
    program = ExecutableInPackage("bag_topics", PACKAGE).perform(context)
    command = shlex.join(["env", *environment, program, *topics_words(values)])
    return with_bag(values, Command(command, on_stderr="ignore").perform(context))


def parameters_of(values: dict[str, str]) -> list[ParameterFile | dict]:
    """Return the parameter file, and the parameters that arguments set, which win over it."""
    parameters: list[ParameterFile | dict] = []
    params_file = values["params_file"] or default_params_file()
    if params_file:
        parameters.append(ParameterFile(str(params_file), allow_substs=True))
    given = {
        argument.parameter: yaml.safe_load(parameter_text(argument, values[argument.name]))
        for argument in ARGUMENTS
        if argument.parameter and values[argument.name]
    }
    return [*parameters, given] if given else parameters


def perception_node(values: dict[str, str]) -> Node:
    """Return the node; the launch ends with it unless it is started again."""
    respawn = values["use_respawn"] == "true"
    return Node(
        package=PACKAGE,
        executable="lsm_perception",
        namespace=values["namespace"],
        output="screen",
        parameters=parameters_of(values),
        remappings=[(inner, outer) for inner, outer in remappings(values) if inner != outer],
        ros_arguments=["--log-level", values["log_level"]],
        additional_env=python_environment(values),
        respawn=respawn,
        respawn_delay=2.0,
        on_exit=None if respawn else Shutdown(reason="the node has ended"),
    )


def viewer_node(values: dict[str, str]) -> Node:
    """Return the view in the browser."""
    return Node(
        package=PACKAGE,
        executable="lsm_viewer",
        namespace=values["namespace"],
        output="screen",
        arguments=viewer_words(values),
        remappings=[(inner, outer) for inner, outer in remappings(values) if inner != outer],
        additional_env=python_environment(values),
    )


def included(file: str, values: dict[str, str]) -> GroupAction:
    """Return another launch file of this package, whose arguments stay its own."""
    path = PathJoinSubstitution([FindPackageShare(PACKAGE), "launch", file])
    return GroupAction(
        [IncludeLaunchDescription(PythonLaunchDescriptionSource(path), launch_arguments=values.items())]
    )


def everything(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the node and what the arguments want beside it."""
    values = values_with_bag(context)
    actions: list[LaunchDescriptionEntity] = [perception_node(values)]
    if values["viewer"] == "true":
        actions.append(viewer_node(values))
    if values["rviz"] == "true":
        require_rviz()
        actions.append(included("rviz.launch.py", rviz_values(values)))
    if values["bag"]:
        actions.append(included("replay.launch.py", player_values(values) | {"python": values["python"]}))
    return actions


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments at top level, then start the node and what is wanted beside it."""
    return LaunchDescription(
        [
            SetEnvironmentVariable("RCUTILS_LOGGING_BUFFERED_STREAM", "1"),
            *declared(ARGUMENTS),
            OpaqueFunction(function=everything),
        ]
    )
