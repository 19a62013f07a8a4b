"""The Nav2 examples in config/ name topics that exist, with types and QoS that fit, and parameters Nav2 knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.examples.label_mask import MASK_QOS, MaskParameters
from lsm_perception.frames import frame_names
from lsm_perception.publishers import TYPES
from lsm_perception.qos import output_qos
from lsm_perception.settings import leaves
from rclpy.qos import DurabilityPolicy, QoSCompatibility, QoSProfile, ReliabilityPolicy, qos_check_compatible
from sensor_msgs.msg import PointCloud2

CONFIG = Path(__file__).resolve().parents[2] / "ros2_ws" / "src" / "lsm_perception" / "config"

# Names that Nav2 declares, read in github.com/ros-navigation/navigation2, branch jazzy (1.3.13):
# nav2_costmap_2d/src/costmap_2d_ros.cpp
COSTMAP = {
    "always_send_full_costmap", "map_vis_z", "footprint_padding", "footprint", "global_frame", "height", "width",
    "lethal_cost_threshold", "map_topic", "observation_sources", "origin_x", "origin_y", "plugins", "filters",
    "publish_frequency", "resolution", "robot_base_frame", "robot_radius", "rolling_window", "track_unknown_space",
    "transform_tolerance", "initial_transform_timeout", "trinary_costmap", "unknown_cost_value", "update_frequency",
    "use_maximum",
}  # fmt: skip
PLUGINS = {
    # nav2_costmap_2d/plugins/voxel_layer.cpp and obstacle_layer.cpp, onInitialize
    "nav2_costmap_2d::VoxelLayer": {
        "enabled", "footprint_clearing_enabled", "min_obstacle_height", "max_obstacle_height", "z_voxels",
        "origin_z", "z_resolution", "unknown_threshold", "mark_threshold", "combination_method",
        "publish_voxel_map", "observation_sources",
    },
    # nav2_costmap_2d/plugins/static_layer.cpp
    "nav2_costmap_2d::StaticLayer": {
        "enabled", "subscribe_to_updates", "map_subscribe_transient_local", "transform_tolerance", "map_topic",
        "footprint_clearing_enabled",
    },
    # nav2_costmap_2d/plugins/inflation_layer.cpp
    "nav2_costmap_2d::InflationLayer": {
        "enabled", "inflation_radius", "cost_scaling_factor", "inflate_unknown", "inflate_around_unknown",
    },
    # nav2_costmap_2d/plugins/costmap_filters/costmap_filter.cpp, keepout_filter.cpp, speed_filter.cpp
    "nav2_costmap_2d::KeepoutFilter": {
        "enabled", "filter_info_topic", "transform_tolerance", "override_lethal_cost", "lethal_override_cost",
    },
    "nav2_costmap_2d::SpeedFilter": {"enabled", "filter_info_topic", "transform_tolerance", "speed_limit_topic"},
}  # fmt: skip
# nav2_costmap_2d/plugins/obstacle_layer.cpp, per observation source
SOURCE = {
    "topic", "sensor_frame", "observation_persistence", "expected_update_rate", "data_type", "min_obstacle_height",
    "max_obstacle_height", "inf_is_valid", "marking", "clearing", "obstacle_max_range", "obstacle_min_range",
    "raytrace_max_range", "raytrace_min_range",
}  # fmt: skip
# nav2_map_server/src/costmap_filter_info/costmap_filter_info_server.cpp
INFO_SERVER = {"filter_info_topic", "type", "mask_topic", "base", "multiplier"}
# nav2_costmap_2d/include/nav2_costmap_2d/costmap_filters/filter_values.hpp
KEEPOUT, SPEED_PERCENT, BASE, MULTIPLIER = 0, 1, 0.0, 1.0
MOST_VOXELS = 16  # voxel_layer.cpp, VOXEL_BITS
# obstacle_layer.cpp: rmw_qos_profile_sensor_data with depth 50; keepout_filter.cpp and speed_filter.cpp: latched.
CLOUD_QOS = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
FILTER_QOS = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((CONFIG / name).read_text(encoding="utf-8"))
    return content


def costmaps(content: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in ("local_costmap", "global_costmap"):
        yield name, content[name][name]["ros__parameters"]


def plugins(costmap: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: costmap[name] for name in (*costmap.get("plugins", ()), *costmap.get("filters", ()))}


def connects(offered: QoSProfile, requested: QoSProfile) -> bool:
    """Whether a publisher and a subscriber with these profiles connect."""
    return qos_check_compatible(offered, requested)[0] != QoSCompatibility.ERROR


def sources() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Return (costmap, layer, source) for every observation source of the voxel example."""
    out = []
    for name, costmap in costmaps(read("nav2_voxel_layer.yaml")):
        for layer in plugins(costmap).values():
            for source in layer.get("observation_sources", "").split():
                out.append((name, layer, layer[source]))
    return out


@pytest.mark.parametrize("file", ["nav2_voxel_layer.yaml", "nav2_costmap_filter.yaml"])
def test_every_parameter_is_one_that_nav2_declares(file: str) -> None:
    for _, costmap in costmaps(read(file)):
        found = plugins(costmap)
        assert set(costmap) - set(found) <= COSTMAP
        for layer in found.values():
            listed = layer.get("observation_sources", "").split()
            assert set(layer) - {"plugin", *listed} <= PLUGINS[layer["plugin"]]
            assert all(set(layer[source]) <= SOURCE for source in listed)


def test_the_voxel_layers_hear_a_cloud_of_the_node() -> None:
    assert len(sources()) == 2
    for _, _, source in sources():
        output = source["topic"].removeprefix("/lsm_perception/")
        assert TYPES[output] is PointCloud2 and source["data_type"] == "PointCloud2"
        assert connects(output_qos(output), CLOUD_QOS)


def test_frames_are_the_robots_and_never_the_unscaled_ones() -> None:
    names = frame_names("", "", "odom")
    unscaled = {names.unscaled.map, names.unscaled.keyframe, names.unscaled.camera}
    for name, costmap in costmaps(read("nav2_voxel_layer.yaml")):
        assert costmap["global_frame"] == {"local_costmap": names.odom, "global_costmap": "map"}[name]
        assert costmap["robot_base_frame"] == "base_link"
    for _, _, source in sources():
        assert source["sensor_frame"] == "" and source["sensor_frame"] not in unscaled


def test_a_camera_on_a_robot_is_inside_the_voxels_and_the_floor_clears_without_marking() -> None:
    for _, layer, source in sources():
        assert 1 <= layer["z_voxels"] <= MOST_VOXELS
        top = layer["origin_z"] + layer["z_voxels"] * layer["z_resolution"]
        assert layer["max_obstacle_height"] <= top and top >= 1.5
        assert source["min_obstacle_height"] < 0.0 < layer["min_obstacle_height"] < layer["max_obstacle_height"]
        assert source["max_obstacle_height"] >= layer["max_obstacle_height"]
        assert source["marking"] and source["clearing"]
        assert source["raytrace_max_range"] > source["obstacle_max_range"] > source["obstacle_min_range"]


def test_a_robot_that_stands_still_keeps_its_costmap_up_to_date() -> None:
    for _, _, source in sources():
        assert source["expected_update_rate"] == 0.0 and source["observation_persistence"] == 0.0


def test_filters_read_the_masks_that_label_mask_publishes() -> None:
    content = read("nav2_costmap_filter.yaml")
    servers = {name: content[name]["ros__parameters"] for name in content if name.endswith("_info_server")}
    by_topic = {server["filter_info_topic"]: server for server in servers.values()}
    wanted = {"nav2_costmap_2d::KeepoutFilter": "/keepout_mask", "nav2_costmap_2d::SpeedFilter": "/speed_mask"}
    seen = set()
    for _, costmap in costmaps(content):
        for layer in plugins(costmap).values():
            server = by_topic[layer["filter_info_topic"]]
            assert server["mask_topic"] == wanted[layer["plugin"]]
            seen.add(layer["plugin"])
    assert seen == set(wanted) and all(set(server) == INFO_SERVER for server in servers.values())
    assert connects(MASK_QOS, FILTER_QOS)
    assert not connects(output_qos("points"), FILTER_QOS)  # what is not latched does not connect


def test_cells_mean_what_the_filters_take_them_for() -> None:
    content = read("nav2_costmap_filter.yaml")
    keepout = content["keepout_costmap_filter_info_server"]["ros__parameters"]
    assert (keepout["type"], keepout["base"], keepout["multiplier"]) == (KEEPOUT, BASE, MULTIPLIER)
    speed = content["speed_costmap_filter_info_server"]["ros__parameters"]
    percent = content["label_mask"]["ros__parameters"]["slow_percent"]
    assert speed["type"] == SPEED_PERCENT and speed["base"] + speed["multiplier"] * percent == percent


def test_parameters_of_label_mask_are_its_own() -> None:
    given = read("nav2_costmap_filter.yaml")["label_mask"]["ros__parameters"]
    known = {entry.name: entry for entry in leaves(MaskParameters)}
    for name, value in given.items():
        assert type(value) is type(known[name].default) and known[name].spec.complaint(value) is None, name
