"""Start RViz with this package's view: `ros2 launch lsm_perception rviz.launch.py namespace:=robot1`.

`--show-args` lists the arguments; `bringup.launch.py rviz:=true` starts it beside the node.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare
from lsm_perception.launch_declarations import declared, require_rviz, values_of
from lsm_perception.rviz_arguments import ARGUMENTS, rviz_remappings, rviz_words


def rviz(context: LaunchContext) -> list[Node]:
    """Make RViz from the arguments' values."""
    require_rviz()
    values = values_of(context, ARGUMENTS)
    view = FindPackageShare("lsm_perception").perform(context) + "/config/lsm_perception.rviz"
    return [
        Node(
            package="rviz2",
            executable="rviz2",
            output="screen",
            arguments=rviz_words(values, view),
            parameters=[{"use_sim_time": values["use_sim_time"] == "true"}],
            remappings=rviz_remappings(values),
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments at top level, then start RViz; the launch ends with it."""
    return LaunchDescription([*declared(ARGUMENTS), OpaqueFunction(function=rviz)])
