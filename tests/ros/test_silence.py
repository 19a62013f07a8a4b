"""Why nothing comes: each cause is named with its fix; QoS rules are those of the middleware."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")

from lsm_perception.graph import Peer, mismatches, names_of
from lsm_perception.silence import Listened, why_silent
from rclpy.duration import Duration, Infinite
from rclpy.qos import (
    DurabilityPolicy,
    LivelinessPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)

IMAGE, COMPRESSED, INFO = (f"sensor_msgs/msg/{kind}" for kind in ("Image", "CompressedImage", "CameraInfo"))
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=1)
LIMITS = (Duration(), Duration(seconds=1), Duration(seconds=5))


@dataclass
class FakeGraph:
    """A graph of given publishers by topic."""

    ends: dict[str, list[Peer]] = field(default_factory=dict)

    def publishers(self, topic: str) -> list[Peer]:
        return self.ends.get(topic, [])

    def published_topics(self, kind: str) -> list[str]:
        return sorted(t for t, peers in self.ends.items() if any(p.kind == kind for p in peers))


def said(kind: str = IMAGE, topic: str = "/cam/image", qos: QoSProfile = BEST_EFFORT, **ends: list[Peer]) -> str:
    graph = FakeGraph({name.replace("__", "/"): peers for name, peers in ends.items()})
    name = "camera_info" if kind == INFO else "image"
    return why_silent(Listened(name, topic, kind, qos), graph)  # type: ignore[arg-type]


def test_nobody_publishes() -> None:
    assert said() == "nobody publishes it"


def test_the_picture_is_published_elsewhere() -> None:
    text = said(__front__image_raw=[Peer("/front", IMAGE, RELIABLE)], __chatter=[Peer("/x", INFO, RELIABLE)])
    assert text == (
        "nobody publishes it; sensor_msgs/msg/Image is published on /front/image_raw: "
        "remap 'image' or set image_topic"
    )


def test_compressed_while_we_take_raw_and_the_other_way_round() -> None:
    text = said(__cam__image__compressed=[Peer("/cam", COMPRESSED, RELIABLE)])
    assert text.endswith("/cam/image/compressed has publishers 1 (/cam): set image_transport:=compressed")
    text = said(COMPRESSED, "/cam/image/compressed", __cam__image=[Peer("/cam", IMAGE, RELIABLE)])
    assert text.endswith("/cam/image has publishers 1 (/cam): set image_transport:=raw")


def test_another_type_under_the_same_name() -> None:
    text = said(__cam__image=[Peer("/cam", "std_msgs/msg/String", RELIABLE)])
    assert text == "publishers 1 (/cam) send std_msgs/msg/String, this node takes sensor_msgs/msg/Image there"
    assert said(__cam__image=[Peer("/cam", COMPRESSED, RELIABLE)]).endswith(
        "set image_transport:=compressed and remap 'image/compressed' to it"
    )


def test_incompatible_qos_names_policy_ends_and_parameter() -> None:
    text = said(qos=RELIABLE, __cam__image=[Peer("/cam", IMAGE, BEST_EFFORT), Peer("/bag", IMAGE, BEST_EFFORT)])
    assert text == (
        "publishers 2 (/bag, /cam) have incompatible QoS: reliability (offered best effort, requested reliable); "
        "change qos_overrides./cam/image.subscription.reliability"
    )


def test_one_compatible_publisher_is_enough_to_look_elsewhere() -> None:
    text = said(qos=RELIABLE, __cam__image=[Peer("/bag", IMAGE, BEST_EFFORT), Peer("/cam", IMAGE, RELIABLE)])
    assert text.startswith("publishers 1 (/cam) have compatible QoS, but no message comes")


def test_names_are_bounded() -> None:
    peers = [Peer(f"/camera_{i}", IMAGE, RELIABLE) for i in range(30)] + [Peer("", IMAGE, RELIABLE)]
    assert names_of(peers) == "31 (/camera_0, /camera_1, /camera_10, /camera_11, ...)"
    assert names_of(peers[-1:]) == "1 (a node not known yet)"


def profiles() -> list[QoSProfile]:
    out = []
    for reliability, durability, liveliness, deadline, lease in itertools.product(
        (ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT),
        (DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL),
        (LivelinessPolicy.AUTOMATIC, LivelinessPolicy.MANUAL_BY_TOPIC),
        LIMITS,
        LIMITS,
    ):
        out.append(
            QoSProfile(
                depth=1,
                reliability=reliability,
                durability=durability,
                liveliness=liveliness,
                deadline=deadline,
                liveliness_lease_duration=lease,
            )
        )
    return out


def test_rules_agree_with_those_of_the_middleware() -> None:
    for offered, requested in itertools.product(profiles(), repeat=2):
        verdict, reason = qos_check_compatible(offered, requested)
        assert bool(mismatches(offered, requested)) == (verdict == QoSCompatibility.ERROR), reason


def test_no_limit_is_what_the_graph_calls_infinite() -> None:
    unlimited = QoSProfile(depth=1, deadline=Infinite, liveliness_lease_duration=Infinite)
    assert mismatches(QoSProfile(depth=1), unlimited) == [] == mismatches(unlimited, QoSProfile(depth=1))
    assert mismatches(unlimited, QoSProfile(depth=1, deadline=Duration(seconds=1))) == ["deadline"]
