"""The picture of docs/planner.md: `python -m lsm_perception.examples.picture -o planner_masks.jpg`.

Plays the packaged recording through the real node, beside both examples for planners, and draws what they publish.
The room is rendered, so where its rug lies is known: the program also prints how well the mask fits it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lsm_perception.examples.picture_listener import PictureListener

QUERIES = ("floor", "wall", "rug", "table", "chair", "sofa", "bed", "plant")
RUG_M = ((3.0, 5.2), (2.15, 3.75))  # x and y of the rug in the sample room (lsm_core.data.sample_room)
START_S, DRAIN_S = 180.0, 3.0
# The node's outputs keep one message, the newest. The picture wants every one, also from a loaded machine.
HEARD = ("points", "detections", "segmentation/label", "segmentation/overlay", "depth/image", "depth/camera_info")
DEEP_QUEUES = (
    "--ros-args",
    *(w for name in HEARD for w in ("-p", f"qos_overrides./lsm_perception/{name}.publisher.depth:=10")),
)


def main(words: Sequence[str] | None = None) -> int:
    """Make the picture; 0 when it is written, 1 when the node did not start."""
    parser = argparse.ArgumentParser(prog="python -m lsm_perception.examples.picture", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("planner_masks.jpg"))
    parser.add_argument("--rate", type=float, default=0.3, help="speed of the recording; a slow machine needs less")
    parser.add_argument("--keepout", default="rug", help="words whose ground is closed")
    parser.add_argument("--slow", default="chair", help="words on whose ground the robot is slow")
    parser.add_argument("--target", default="bed", help="where the robot shall go")
    given = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        listener = play(given, Path(folder))
    if listener is None:
        return 1
    from PIL import Image

    from lsm_perception.examples.picture_listener import sheet

    picture = sheet(listener, given.keepout, given.slow, given.target)
    Image.fromarray(picture).save(given.output, quality=85)
    print("\n".join(report(listener)))
    print(f"Written: {given.output}")
    return 0


def play(given: argparse.Namespace, logs: Path) -> PictureListener | None:
    """Play the recording through node and examples; returns what was heard, None when the node did not start."""
    from lsm_core.data import sample_path
    from lsm_core.data.sample_bag import T_BASE_CAMERA
    from lsm_core.data.sample_room import sample_walk
    from lsm_perception.demo.processes import Child, child_environment
    from lsm_perception.demo.source import read_source
    from lsm_perception.examples.goal_from_detection import GoalFromDetection
    from lsm_perception.examples.label_mask import LabelMask
    from lsm_perception.examples.picture_listener import PictureListener, together

    environment = child_environment(logs)
    source = read_source(sample_path(), None, 0.0)
    # The recording's odom is where its camera looked first, a little downwards; the robot's map is level.
    T_map_odom = sample_walk(source.images)[0] @ np.linalg.inv(T_BASE_CAMERA)
    bringup = [*source.topics.bringup_words(), f"queries:={', '.join(QUERIES)}", *DEEP_QUEUES]
    masks = {"keepout": given.keepout, "slow": given.slow, "frame": "map", "keepout_height_m": 0.3}
    goal = {
        "target": given.target,
        "frame": "map",
        "max_age_s": 0.0,
        "standoff_m": 0.5,
        "agree": 2,
        "change_m": 0.1,
    }
    with ExitStack() as stack:
        node = Child("lsm_perception.bringup", bringup, logs / "node.log", environment)
        stack.callback(node.stop)
        remaps = ["--ros-args", "-r", f"camera_info:={source.topics.info_topic}"]
        listener = stack.enter_context(
            together(
                lambda: PictureListener("map", T_map_odom, given.target),
                lambda: LabelMask(**options(masks)),
                lambda: GoalFromDetection(**options(goal)),
                arguments=remaps,
            )
        )
        deadline = time.monotonic() + START_S
        while not node.line_with("Active; listening to"):
            if node.exit_code is not None or time.monotonic() > deadline:
                print(f"picture: the node did not start:\n{node.tail()}", file=sys.stderr)
                return None
            time.sleep(0.2)
        words = [str(source.path), "--rate", f"{given.rate:g}", "--wait", "60", "--delay", "2"]
        replay = Child("lsm_perception.replay", words, logs / "replay.log", environment)
        stack.callback(replay.stop)
        while replay.exit_code is None:
            time.sleep(0.2)
        time.sleep(DRAIN_S)
        return listener


def options(values: dict[str, object]) -> dict[str, object]:
    """Return the options of a node with these parameters."""
    from rclpy.parameter import Parameter

    return {"parameter_overrides": [Parameter(name, value=value) for name, value in values.items()]}


def report(listener: PictureListener) -> list[str]:
    """Return lines about the mask and the goal, measured against the rendered room."""
    view = listener.view
    lines = [f"{listener.clouds} clouds, {len(view.points)} points"]
    if view.keepout is not None:
        info, data = view.keepout.info, np.asarray(view.keepout.data, np.int8)
        rows, columns = np.nonzero(data.reshape(info.height, info.width) == 100)
        x = info.origin.position.x + (columns + 0.5) * info.resolution
        y = info.origin.position.y + (rows + 0.5) * info.resolution
        (x0, x1), (y0, y1) = RUG_M
        inside = (x > x0) & (x < x1) & (y > y0) & (y < y1)
        area = inside.sum() * info.resolution**2
        lines.append(
            f"keepout_mask: {len(x)} cells, {100 * inside.sum() / max(1, len(x)):.0f} % of them on the rug, "
            f"{100 * area / ((x1 - x0) * (y1 - y0)):.0f} % of the rug covered"
        )
    if view.goal is not None:
        lines.append(
            f"goal_pose: x {view.goal.x:.2f} m, y {view.goal.y:.2f} m, {np.degrees(view.goal.yaw):.0f} deg"
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
