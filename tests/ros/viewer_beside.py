"""The viewer without its browser, in the test's process."""

from __future__ import annotations

import threading

from lsm_perception.viewer.asking import Asking
from lsm_perception.viewer.options import ViewerOptions
from lsm_perception.viewer.ros_link import RosLink
from lsm_perception.viewer.scene import Scene
from rclpy.executors import SingleThreadedExecutor

MOST = 500


class Beside:
    """Scene, ROS node and questions of a viewer."""

    def __init__(self) -> None:
        self.scene = Scene()
        self.options = ViewerOptions(max_points=MOST)
        self.link = RosLink(self.scene, self.options)
        self.asking = Asking(self.link, self.scene, self.options)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.link)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def has(self, *names: str) -> bool:
        """Whether there is something on each of these layers."""
        return all(self.scene.get(name) is not None for name in names)

    def close(self) -> None:
        """Stop listening."""
        self._executor.shutdown(timeout_sec=2.0)
        self._thread.join(5.0)
        self.link.destroy_node()
