"""Settings of Fast DDS that clouds and images need, in force unless the user has chosen some."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

FILE = "fastdds.xml"
VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"
# Any of these says that the user has settings of his own; the middleware may also be another one.
CHOSEN_BY_USER = (
    VARIABLE,
    "FASTDDS_DEFAULT_PROFILES_FILE",
    "FASTDDS_BUILTIN_TRANSPORTS",
    "RMW_FASTRTPS_USE_QOS_FROM_XML",
)


def use_profile(environment: MutableMapping[str, str] = os.environ) -> Path | None:
    """Name config/fastdds.xml in the environment; to be called before rclpy.init.

    Returns:
        The file, or None where the user has chosen settings or the file is not there.
    """
    if any(environment.get(name) for name in CHOSEN_BY_USER):
        return None
    found = config_file(FILE)
    if found is not None:
        environment[VARIABLE] = str(found)
    return found


def config_file(name: str) -> Path | None:
    """Return a file of the package's config folder, installed or in the source tree, or None."""
    source = Path(__file__).resolve().parents[1] / "config" / name
    if source.is_file():
        return source
    try:
        from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
    except ImportError:
        return None
    try:
        installed = Path(get_package_share_directory("lsm_perception")) / "config" / name
    except PackageNotFoundError:
        return None
    return installed if installed.is_file() else None
