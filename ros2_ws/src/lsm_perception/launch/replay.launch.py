"""Play a recording onto ROS topics: `ros2 launch lsm_perception replay.launch.py bag:=PATH clock:=true`.

`--show-args` lists the arguments. They are those of `./run replay`; one table, `lsm_perception.replay_arguments`,
serves both. The player needs no rosbag2. `bringup.launch.py bag:=PATH` starts the node as well.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction
from launch_ros.actions import Node
from lsm_perception.launch_declarations import declared, python_environment, values_of
from lsm_perception.replay_arguments import LAUNCH_ARGUMENTS, player_words


def player(context: LaunchContext) -> list[Node]:
    """Make the player from the arguments' values."""
    values = values_of(context, LAUNCH_ARGUMENTS)
    return [
        Node(
            package="lsm_perception",
            executable="replay",
            output="screen",
            arguments=player_words(values),
            additional_env=python_environment(values),
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments at top level, then start the player; the launch ends with it."""
    return LaunchDescription([*declared(LAUNCH_ARGUMENTS), OpaqueFunction(function=player)])
