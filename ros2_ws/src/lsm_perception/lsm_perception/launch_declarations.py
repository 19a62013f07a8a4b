"""Tables of arguments as `ros2 launch` wants them; imported by the launch files only."""

from __future__ import annotations

from collections.abc import Sequence

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration

from lsm_perception.launch_argument import ArgumentError, LaunchArgument
from lsm_perception.rviz_arguments import NO_RVIZ


def declared(table: Sequence[LaunchArgument]) -> list[DeclareLaunchArgument]:
    """Declare every argument; where a default leaves the matter open, so may the user."""
    declarations = []
    for argument in table:
        choices = [*argument.choices]
        if choices and argument.default is not None and argument.default not in choices:
            choices.insert(0, argument.default)
        declarations.append(
            DeclareLaunchArgument(
                argument.name,
                default_value=argument.default,
                description=argument.description,
                choices=choices or None,
            )
        )
    return declarations


def values_of(context: LaunchContext, table: Sequence[LaunchArgument]) -> dict[str, str]:
    """Return the arguments' values."""
    return {argument.name: context.perform_substitution(LaunchConfiguration(argument.name)) for argument in table}


def python_environment(values: dict[str, str]) -> dict[str, str]:
    """Return the variable that tells the package's launchers which Python to run."""
    return {"LSM_PYTHON": values["python"]} if values["python"] else {}


def require_rviz() -> None:
    """Raise ArgumentError where RViz is not installed."""
    try:
        get_package_prefix("rviz2")
    except PackageNotFoundError as error:
        raise ArgumentError(NO_RVIZ) from error
