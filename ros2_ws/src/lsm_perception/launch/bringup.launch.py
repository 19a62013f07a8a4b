"""Start the node: `ros2 launch lsm_perception bringup.launch.py image_topic:=/camera/image_raw`.

`--show-args` lists the arguments. They are those of `python -m lsm_perception.bringup`, which starts the
same node where `ros2 launch` does not exist; one table, `lsm_perception.bringup_arguments`, serves both.
"""

import yaml
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable, Shutdown
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile
from launch_ros.substitutions import FindPackageShare
from lsm_perception.bringup import default_params_file, remappings, viewer_words
from lsm_perception.bringup_arguments import ARGUMENTS, BringupArgument, parameter_text


def declare(argument: BringupArgument) -> DeclareLaunchArgument:
    """Declare one argument; where the default leaves the matter open, so may the user."""
    choices = [*argument.choices]
    if choices and argument.default not in choices:
        choices.insert(0, argument.default)
    return DeclareLaunchArgument(
        argument.name,
        default_value=argument.default,
        description=argument.description,
        choices=choices or None,
    )


def values_of(context: LaunchContext) -> dict[str, str]:
    """Return the arguments' values."""
    return {
        argument.name: context.perform_substitution(LaunchConfiguration(argument.name)) for argument in ARGUMENTS
    }


def perception_node(context: LaunchContext) -> list[Node]:
    """Make the node from the arguments' values."""
    values = values_of(context)
    parameters: list[ParameterFile | dict] = []
    params_file = values["params_file"] or default_params_file()
    if params_file:
        parameters.append(ParameterFile(str(params_file), allow_substs=True))
    given = {
        argument.parameter: yaml.safe_load(parameter_text(argument, values[argument.name]))
        for argument in ARGUMENTS
        if argument.parameter and values[argument.name]
    }
    if given:
        parameters.append(given)
    respawn = values["use_respawn"] == "true"
    return [
        Node(
            package="lsm_perception",
            executable="lsm_perception",
            namespace=values["namespace"],
            output="screen",
            parameters=parameters,
            remappings=[(inner, outer) for inner, outer in remappings(values) if inner != outer],
            ros_arguments=["--log-level", values["log_level"]],
            additional_env={"LSM_PYTHON": values["python"]} if values["python"] else {},
            respawn=respawn,
            respawn_delay=2.0,
            on_exit=None if respawn else Shutdown(reason="the node has ended"),
        )
    ]


def viewer_node(context: LaunchContext) -> list[Node]:
    """Make the viewer, if asked for."""
    values = values_of(context)
    if values["viewer"] != "true":
        return []
    return [
        Node(
            package="lsm_perception",
            executable="lsm_viewer",
            namespace=values["namespace"],
            output="screen",
            arguments=viewer_words(values),
            remappings=[(inner, outer) for inner, outer in remappings(values) if inner != outer],
            additional_env={"LSM_PYTHON": values["python"]} if values["python"] else {},
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments at top level, then start the node and, if asked for, RViz and the viewer."""
    view = [FindPackageShare("lsm_perception"), "/config/lsm_perception.rviz"]
    return LaunchDescription(
        [
            SetEnvironmentVariable("RCUTILS_LOGGING_BUFFERED_STREAM", "1"),
            *(declare(argument) for argument in ARGUMENTS),
            OpaqueFunction(function=perception_node),
            OpaqueFunction(function=viewer_node),
            Node(
                package="rviz2",
                executable="rviz2",
                arguments=["-d", view],
                condition=IfCondition(LaunchConfiguration("use_rviz")),
            ),
        ]
    )
