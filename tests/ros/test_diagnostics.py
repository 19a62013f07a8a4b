"""/diagnostics: levels by REP-107, rates, ages, a status per camera."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from builtin_interfaces.msg import Time
from lsm_perception import diagnostics
from lsm_perception.accounting import Counts
from lsm_perception.diagnostics import DiagnosticsMaker
from lsm_perception.health import CameraHealth, Health
from lsm_perception.pipeline import PairCounts

from lsm_core.mapping import ScaleEstimate, ScaleSource, ScaleState

UNKNOWN = ScaleEstimate(ScaleState.UNKNOWN, ScaleSource.NONE, float("nan"), float("nan"), 1, 0, 0)
DEGRADED = replace(UNKNOWN, state=ScaleState.DEGRADED)
CAMERA = CameraHealth("", "/image", 10, 0.1, -0.02, 1, 0, "camera_info", UNKNOWN, "", {"camera_info": 0.3})
HEALTH = Health(
    state="active",
    backend="fake",
    device="cpu",
    memory_mib=500.4,
    device_memory_mib=0.0,
    counts=Counts(10, 1, 4, {"static": 6}, 2),
    pairs=PairCounts(4, 3, 2, {"no_pose": 1}),
    waiting=1,
    worker_alive=True,
    output_age_s=0.5,
    cameras=(CAMERA,),
)


def told(health: Health, part: str, maker: DiagnosticsMaker | None = None) -> tuple[int, str, dict[str, str]]:
    """Return level, message and values of a part."""
    message: Any = (maker or DiagnosticsMaker("/node")).message(health, Time())
    (status,) = [s for s in message.status if s.name == f"/node: {part}"]
    return int.from_bytes(status.level, "little"), status.message, {kv.key: kv.value for kv in status.values}


def test_a_working_node_is_ok_with_its_figures() -> None:
    level, text, values = told(HEALTH, "input")
    assert (level, text) == (0, "images arrive")
    wanted = {"delivered": "10", "used": "4", "pending": "1", "dropped.static": "6", "transport_lost": "2"}
    assert values.items() >= wanted.items()
    level, text, values = told(HEALTH, "model")
    assert (level, text) == (0, "active")
    wanted = {"memory_mib": "500", "waiting": "1", "output_age_s": "0.5", "pairs": "3", "rejected.no_pose": "1"}
    assert values.items() >= wanted.items()
    level, text, values = told(HEALTH, "camera")
    assert (level, text, values["calibration"], values["image_age_s"]) == (0, "images arrive", "camera_info", "0.1")
    assert (values["camera_info_age_s"], values["stamp_offset_s"]) == ("0.3", "-0.020")
    assert told(HEALTH, "scale")[:2] == (0, "scale unknown") and told(HEALTH, "qos")[:2] == (0, "compatible")


@pytest.mark.parametrize(
    ("part", "changes", "level", "words"),
    [
        ("input", {"silent": {"/image": "no image on /image for 7 s: nobody publishes it"}}, 1, "nobody publishes"),
        (
            "camera",
            {"silent": {"/image": "no image on /image for 7 s: nobody publishes it"}},
            1,
            "nobody publishes",
        ),
        ("input", {"clock": "use_sim_time is true and nothing comes on /clock"}, 1, "use_sim_time"),
        ("input", {"incompatible": ("incompatible QoS on /image: reliability",)}, 1, "reliability"),
        ("qos", {"incompatible": ("incompatible QoS on /image: reliability",)}, 1, "reliability"),
        ("input", {"last_problem": "no such encoding", "problem_age_s": 1.0}, 1, "no such encoding"),
        ("input", {"last_problem": "no such encoding", "problem_age_s": 60.0}, 0, "images arrive"),
        ("input", {"cameras": (replace(CAMERA, images=0),)}, 0, "no image yet"),
        ("input", {"state": "inactive"}, 0, "the node is inactive; activate it"),
        ("camera", {"cameras": (replace(CAMERA, stamp_offset_s=-12.34),)}, 0, "12.3 s behind this node's clock"),
        ("camera", {"cameras": (replace(CAMERA, stamp_offset_s=3600),)}, 0, "3600.0 s ahead of this node's clock"),
        ("scale", {"cameras": (replace(CAMERA, scale=DEGRADED),)}, 1, "scale degraded"),
        ("scale", {"cameras": (replace(CAMERA, scale_reason="no odometry: x"),)}, 0, "unknown: no odometry: x"),
        ("model", {"worker_alive": False}, 2, "inference thread is gone"),
        ("model", {"degraded": "keeps at most 15 keyframes"}, 1, "DEGRADED: keeps"),
        ("model", {"device_fault": "it fell off the bus"}, 2, "the device is lost"),
    ],
)
def test_what_is_wrong_has_a_level_and_a_reason(part: str, changes: dict[str, Any], level: int, words: str) -> None:
    found_level, text, _ = told(replace(HEALTH, **changes), part)
    assert found_level == level and words in text, text


def test_rates_are_those_since_the_last_message(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(diagnostics.time, "monotonic", lambda: clock[0])
    maker = DiagnosticsMaker("/node")
    assert told(HEALTH, "input", maker)[2]["rate_in_hz"] == ""
    clock[0] += 2.0
    later = replace(HEALTH, counts=Counts(30, 0, 7, {"static": 23}), cameras=(replace(CAMERA, images=31),))
    message = maker.message(later, Time())
    values = {kv.key: kv.value for status in message.status for kv in status.values}
    assert (values["rate_in_hz"], values["rate_used_hz"], values["rate_hz"]) == ("10.00", "1.50", "10.50")
    clock[0] += 2.0
    assert told(HEALTH, "input", maker)[2]["rate_in_hz"] == ""  # the counters were reset


def test_each_camera_has_its_status_and_each_map_its_scale() -> None:
    cameras = (replace(CAMERA, camera="left"), replace(CAMERA, camera="right", scale=None))
    message = DiagnosticsMaker("/node").message(replace(HEALTH, cameras=cameras), Time())
    names = [status.name.removeprefix("/node: ") for status in message.status]
    assert names == ["input", "model", "qos", "camera left", "scale left", "camera right"]
