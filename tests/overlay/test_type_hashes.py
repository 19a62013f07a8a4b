"""The overlay's interfaces are the official ones on the wire.

ROS 2 identifies a type by a hash over the names, types and order of its fields (REP-2011). Sources of
the table: `_PUBLISHED` values appear in third-party software that talks to Jazzy; each also covers the
types nested in it. `_FROM_OFFICIAL_SOURCES` were computed with the generators of ROS 2 Jazzy from the
definitions of vision_msgs 4.1.1 and geometry2 0.36.4.
"""

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.ros

_PUBLISHED = {
    "tf2_msgs/msg/TFMessage": "RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087",
    "tf2_msgs/msg/TF2Error": "RIHS01_db2485e7d6a0ec75bf087e058ee45df682acc3a621ca7780503d10aac141809a",
    "vision_msgs/msg/Detection3D": "RIHS01_ddd703be132ab0b69d33121f1bb034132bfbb3b0ac5f9fb1516005ba1c8a265b",
    "vision_msgs/msg/Detection3DArray": "RIHS01_793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018",
}
_FROM_OFFICIAL_SOURCES = {
    "tf2_msgs/action/LookupTransform": "RIHS01_0b8adf6bc0b5958879e3265b41a457e03558fe523890a81252c70eba97a82c5d",
    "tf2_msgs/srv/FrameGraph": "RIHS01_0d1fbc6222c018ba5f33822904a2fdd4063705289956d3fdde07cd8c50fe8067",
    "vision_msgs/msg/BoundingBox2D": "RIHS01_008eacbb0cf8f26e83795547bed013eec3675485ef386ec056d80eaaf1c1ce2f",
    "vision_msgs/msg/BoundingBox2DArray": "RIHS01_2464e82838009386d371b523211c21c91d74d313fcdd6788223c531d621cf691",
    "vision_msgs/msg/BoundingBox3D": "RIHS01_bbb73a65c163d7f9bb29009c7bde9f7faa576bd2d23299c4511d19230dab4698",
    "vision_msgs/msg/BoundingBox3DArray": "RIHS01_a81938db9576b10c2eecd7c5a5da3eac496efd00221b25ed051dfbc81fb56da6",
    "vision_msgs/msg/Classification": "RIHS01_f74db28d0eaef3afb78f48bf2161cd709a1383a0309d3454383b25be11345143",
    "vision_msgs/msg/Detection2D": "RIHS01_0d12b69df5c593b3455b7346fac8205437a7d4bcb09b9e0e0b2dde787ded38ea",
    "vision_msgs/msg/Detection2DArray": "RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968",
    "vision_msgs/msg/LabelInfo": "RIHS01_3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783",
    "vision_msgs/msg/ObjectHypothesis": "RIHS01_51da43cec11c01957a64d1e05a24acd18aae7745ec30b74348ad5f6d634f7f90",
    "vision_msgs/msg/ObjectHypothesisWithPose": "RIHS01_41c12344c0396c48b81df12467c192d99b2a0eb1463c5c37194e4223251c80bc",  # noqa: E501
    "vision_msgs/msg/Point2D": "RIHS01_eab0e83f44ab4de92ceaf76dd7d0e7638f2bdd1d16ffbe16c7a136c48e407247",
    "vision_msgs/msg/Pose2D": "RIHS01_b0b5d1d7b4c20dd4fcde3ed1d4b289a919290572007d67a97043814db25d3648",
    "vision_msgs/msg/VisionClass": "RIHS01_1e4a11f0fed50b5623cb8ff26ca0e37952a48a9c074d16f804b44e9164c2037a",
    "vision_msgs/msg/VisionInfo": "RIHS01_95d3116a17484ad91c9a2686e1d54890bbfc3ff6c6a2de137738c4950d45d284",
}


def _built_hash(type_name: str) -> str:
    """Return the hash that the generators wrote beside the built interface."""
    packages = pytest.importorskip("ament_index_python.packages", reason="ROS 2 is not in this environment")
    package, kind, name = type_name.split("/")
    described = Path(packages.get_package_share_directory(package)) / kind / f"{name}.json"
    hashes = {t["type_name"]: t["hash_string"] for t in json.loads(described.read_text())["type_hashes"]}
    return hashes[type_name]


@pytest.mark.parametrize(
    ("type_name", "official"), sorted((_PUBLISHED | _FROM_OFFICIAL_SOURCES).items()), ids=lambda value: value[:40]
)
def test_built_interface_has_the_official_type_hash(type_name: str, official: str) -> None:
    assert _built_hash(type_name) == official


def test_hash_is_announced_on_the_wire() -> None:
    """What a peer sees through discovery is the table's value too."""
    rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not in this environment")
    from tf2_msgs.msg import TFMessage

    context = rclpy.Context()
    rclpy.init(context=context, domain_id=87)
    node = rclpy.create_node("type_hash_probe", context=context)
    try:
        publisher = node.create_publisher(TFMessage, "type_hash_probe", 1)
        (info,) = node.get_publishers_info_by_topic(publisher.topic_name)
        assert str(info.topic_type_hash) == _PUBLISHED["tf2_msgs/msg/TFMessage"]
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
