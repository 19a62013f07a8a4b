"""lsm_perception_msgs: what every client may rely on."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not in this environment")
pytest.importorskip("lsm_perception_msgs", reason="the workspace is not built")

import rclpy
from lsm_perception_msgs import msg, srv
from lsm_perception_msgs.msg import Keyframe, PairPose, ResultCode, Scale
from lsm_perception_msgs.srv import QueryText
from rclpy.executors import SingleThreadedExecutor
from ros_domain import DOMAIN
from sensor_msgs.msg import Image

pytestmark = pytest.mark.ros
ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ros2_ws" / "src" / "lsm_perception_msgs"

SERVICES = [
    "QueryText",
    "SetQueries",
    "GetQueries",
    "Capture",
    "Reset",
    "SaveMap",
    "LoadMap",
    "RenderView",
    "Stats",
]


@pytest.mark.parametrize("name", SERVICES)
def test_every_reply_has_success_code_and_message(name: str) -> None:
    fields = getattr(srv, name).Response.get_fields_and_field_types()
    assert (fields["success"], fields["code"], fields["message"]) == ("boolean", "string", "string")


def test_every_definition_file_is_built() -> None:
    assert {path.stem for path in (PACKAGE / "srv").glob("*.srv")} == set(SERVICES)
    for path in (PACKAGE / "msg").glob("*.msg"):
        assert hasattr(msg, path.stem)


def test_constants_of_one_kind_are_distinct() -> None:
    for kind in (
        [Scale.UNKNOWN, Scale.METRIC, Scale.DEGRADED],
        [Keyframe.ADDED, Keyframe.REFRESHED, Keyframe.REMOVED, Keyframe.REJECTED],
        [PairPose.UNIT_RELATIVE, PairPose.UNIT_METRIC],
        [
            QueryText.Request.LATEST,
            QueryText.Request.ID,
            QueryText.Request.STAMP,
            QueryText.Request.CAMERA,
        ],
        [getattr(ResultCode, name) for name in dir(ResultCode) if name.isupper() and "SLOT" not in name],
    ):
        assert len(set(kind)) == len(kind)
    # A request that is not filled in asks for the newest keyframe, and a scale message says "unknown".
    assert QueryText.Request().target == QueryText.Request.LATEST
    assert Scale().state == Scale.UNKNOWN


def test_every_definition_is_commented() -> None:
    """A field stands under a comment, at most four fields to one comment."""
    for path in [*PACKAGE.glob("msg/*.msg"), *PACKAGE.glob("srv/*.srv")]:
        uncommented = 0
        seen: set[str] = set()
        for line in path.read_text().splitlines():
            if line.startswith("#") or "=" in line:
                uncommented = 0
            elif re.match(r"[\w/\[\]]+ \w+$", line):
                seen.add(line.split()[1])
                # The three fields that all replies share are explained once, above `code`.
                if line not in ("bool success", "string code", "string message"):
                    uncommented += 1
                    assert uncommented <= 4, f"{path.name}: {line}"
        assert seen or path.stem == "ResultCode"


def test_a_text_query_and_its_reply_cross_the_wire_unchanged() -> None:
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    server, client_node = (rclpy.create_node(name, context=context) for name in ("server", "client"))
    mask = np.random.default_rng(0).integers(0, 2, 48, dtype=np.uint8) * 255
    asked: list[QueryText.Request] = []

    def answer(request: QueryText.Request, response: QueryText.Response) -> QueryText.Response:
        asked.append(request)
        response.success, response.code = True, ResultCode.OK
        response.header.stamp.sec, response.header.stamp.nanosec = 12, 345678901
        response.masks = [Image(height=6, width=8, encoding="mono8", step=8, data=mask.tobytes())]
        response.presence, response.score, response.centroid_valid = [0.5], [0.25], [True]
        return response

    server.create_service(QueryText, "query_text", answer)
    client = client_node.create_client(QueryText, "query_text")
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(server)
    executor.add_node(client_node)
    try:
        deadline = time.monotonic() + 20
        while not client.service_is_ready() and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.05)
        request = QueryText.Request(texts=["chair", "Stühle \u6905"], thresholds=[0.2], target=QueryText.Request.ID)
        request.keyframe_id = 2**40
        future = client.call_async(request)
        while not future.done() and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.05)
        assert asked == [request]
        reply = future.result()
        assert (reply.header.stamp.sec, reply.header.stamp.nanosec) == (12, 345678901)
        assert bytes(reply.masks[0].data) == mask.tobytes()
        assert (reply.code, list(reply.presence), list(reply.centroid_valid)) == ("ok", [0.5], [True])
    finally:
        executor.shutdown()
        server.destroy_node()
        client_node.destroy_node()
        rclpy.shutdown(context=context)


def test_a_workspace_that_holds_a_clone_has_exactly_our_two_packages(tmp_path: Path) -> None:
    pytest.importorskip("colcon_core", reason="colcon is not in this environment")
    (tmp_path / "src").mkdir()
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False, text=True
    ).stdout.split("\0")
    if len(tracked) < 2:
        pytest.skip("not a git clone")
    for name in tracked:
        # Package discovery looks at these files only; links show whether anything is found twice.
        source = ROOT / name
        if Path(name).name in ("package.xml", "COLCON_IGNORE", "CMakeLists.txt", "setup.py", "pyproject.toml"):
            target = tmp_path / "src" / "clone" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
        elif name and source.is_symlink():
            target = tmp_path / "src" / "clone" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(os.readlink(source))
    listed = subprocess.run(
        [sys.executable, "-m", "colcon", "--log-base", str(tmp_path / "log"), "list", "--names-only"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split()
    assert sorted(listed) == ["lsm_perception", "lsm_perception_msgs"]
