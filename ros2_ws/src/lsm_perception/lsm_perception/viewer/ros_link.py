"""The viewer's ROS node: hears the node's topics into the scene, and asks its services."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from lsm_perception_msgs.msg import Keyframe
from lsm_perception_msgs.srv import LoadMap, QueryText, RenderView, SaveMap, SetQueries
from rclpy.client import Client
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from lsm_perception.conversions import stamp_to_ns
from lsm_perception.publishers import GLOBAL, TYPES
from lsm_perception.qos import input_qos, output_qos
from lsm_perception.symptoms import Symptom, see
from lsm_perception.viewer import decode, scene
from lsm_perception.viewer.errors import ViewerError
from lsm_perception.viewer.lens import Lens
from lsm_perception.viewer.options import ViewerOptions
from lsm_perception.viewer.pictures import thumbnail
from lsm_perception.viewer.scene import Scene, is_map_frame

SERVICES: dict[str, type] = {
    "query_text": QueryText,
    "set_queries": SetQueries,
    "render_view": RenderView,
    "save_map": SaveMap,
    "load_map": LoadMap,
}
ALWAYS = ("keyframes", "path", "scale", "diagnostics")
HEAVY = ("points", "map_points", "segmentation/overlay", "detections")
CAMERA = ("image", "camera_info")
KEPT_IMAGES = 60
CHECK_S = 0.5
CALL_S = 30.0


class RosLink(Node):
    """Subscribes; all callbacks run in one thread, and put what they hear into the scene.

    The node does no work for topics that nobody hears: the heavy ones are heard only while a browser is connected.
    """

    def __init__(self, found: Scene, options: ViewerOptions) -> None:
        super().__init__("lsm_viewer")
        self._scene = found
        self._options = options
        self._watched = False
        self._splats_wanted = False
        self._heard: dict[str, Subscription] = {}
        self._images: OrderedDict[int, Any] = OrderedDict()
        self._speakers: frozenset[bytes] = frozenset()
        self._complained: set[str] = set()
        self.connected = False  # whether the perception node is there
        self.lens = Lens()
        self._handlers: dict[str, Callable[[Any], None]] = {
            "keyframes": self._on_keyframe,
            "path": self._on_path,
            "scale": lambda m: found.put_scale(decode.scale_of(m)) if self._is_shown(m.camera) else None,
            "diagnostics": self._on_diagnostics,
            "points": lambda m: found.put(scene.CLOUD, decode.cloud_of(m, options.max_points)),
            "map_points": self._on_map,
            "gaussians": lambda m: found.put(scene.SPLATS, decode.splats_of(m, options.max_points)),
            "segmentation/overlay": self._on_overlay,
            "image": self._on_image,
            "camera_info": self._on_camera_info,
            "detections": lambda m: found.put(scene.BOXES, decode.boxes_of(m)),
        }
        self._asked: dict[str, Client] = {
            name: self.create_client(kind, f"{options.node}/{name}") for name, kind in SERVICES.items()
        }
        self.create_timer(CHECK_S, self._check)

    @property
    def node_name(self) -> str:
        """The perception node's full name."""
        return self.resolve_topic_name(self._options.node)

    def watch(self, watched: bool, splats: bool) -> None:
        """Say whether anybody looks, and whether Gaussians are wanted too; takes effect within a moment."""
        self._watched, self._splats_wanted = watched, splats

    def call(self, name: str, request: Any, timeout_s: float = CALL_S) -> Any:
        """Ask a service and wait for its reply; for threads other than the node's own.

        Raises:
            ViewerError: the node is not there, does not reply, or refuses.
        """
        client = self._asked[name]
        if not client.service_is_ready():
            raise ViewerError(f"{self.node_name} does not answer: it is not running, or not on this ROS domain.")
        done = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: done.set())
        if not done.wait(timeout_s):
            client.remove_pending_request(future)
            raise ViewerError(f"~/{name} did not reply within {timeout_s:.0f} s.")
        reply = future.result()
        if reply is None or not reply.success:
            why = "" if reply is None else f"{reply.message} ({reply.code})"
            raise ViewerError(why or f"~/{name} failed.")
        return reply

    def _listen(self, name: str) -> Subscription:
        if name in CAMERA:
            return self._listen_to_camera(name)
        topic = f"/{name}" if name in GLOBAL else f"{self._options.node}/{name}"
        return self.create_subscription(TYPES[name], topic, self._guarded(name), output_qos(name))

    def _listen_to_camera(self, name: str) -> Subscription:
        prefix = f"{self._options.camera}/" if self._options.camera else ""
        compressed = self._options.image_transport == "compressed"
        kind: type = CameraInfo if name == "camera_info" else CompressedImage if compressed else Image
        topic = f"{prefix}image/compressed" if kind is CompressedImage else f"{prefix}{name}"
        return self.create_subscription(kind, topic, self._guarded(name), input_qos(name))

    def _guarded(self, name: str) -> Callable[[Any], None]:
        """Return the handler of a topic that takes no harm from a message it cannot read."""

        def handle(message: Any) -> None:
            try:
                self._handlers[name](message)
            except Exception as error:
                if name not in self._complained:
                    self._complained.add(name)
                    line = f"{name} cannot be read: {type(error).__name__}: {error}"
                    self.get_logger().error(see(line, Symptom.VIEWER))

        return handle

    def _check(self) -> None:
        """Subscribe what is looked at, and notice a node that went or came."""
        infos = self.get_publishers_info_by_topic(f"{self.node_name}/scale")
        speakers = frozenset(bytes(info.endpoint_gid) for info in infos)
        self.connected = bool(speakers)
        if speakers:
            if self._speakers and not speakers & self._speakers:
                self._begin_anew()
            self._speakers = speakers
        wanted = set(ALWAYS)
        if self._watched:
            wanted |= set(HEAVY)
            wanted |= {"gaussians"} if self._splats_wanted else set()
            wanted |= {"image", "camera_info"} if self._options.image_transport != "none" else set()
        for name in self._heard.keys() - wanted:
            self.destroy_subscription(self._heard.pop(name))
        for name in wanted - self._heard.keys():
            self._heard[name] = self._listen(name)
        if "gaussians" not in wanted and self._scene.get(scene.SPLATS) is not None:
            self._scene.put(scene.SPLATS, None)

    def _begin_anew(self) -> None:
        """Another node speaks now: forget what the last one said, and hear again what is latched."""
        self._scene.clear()
        self._images.clear()
        for name in list(self._heard):
            self.destroy_subscription(self._heard.pop(name))

    def _on_keyframe(self, message: Any) -> None:
        if not self._is_shown(message.camera):
            return
        if message.action == Keyframe.REMOVED:
            self._scene.drop_keyframe(int(message.id))
        elif message.action in (Keyframe.ADDED, Keyframe.REFRESHED):
            keyframe = decode.keyframe_of(message)
            self._scene.put_keyframe(keyframe)
            picture = self._images.pop(keyframe.stamp_ns, None)
            if picture is not None:
                self._scene.put_thumbnail(keyframe.stamp_ns, picture())

    def _on_path(self, message: Any) -> None:
        if is_map_frame(message.header.frame_id, self._options.camera):
            self._scene.put_path(decode.path_of(message))

    def _on_map(self, message: Any) -> None:
        if is_map_frame(message.header.frame_id, self._options.camera):
            self._scene.put(scene.MAP, decode.cloud_of(message, self._options.max_points))

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            if status.name.rpartition(": ")[0].strip("/") == self.node_name.strip("/"):
                self._scene.put_status(decode.status_of(status))

    def _on_overlay(self, message: Any) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        picture = thumbnail(decode.image_of(message))
        self._scene.put(scene.OVERLAY, picture)
        if self._scene.thumbnail(stamp_ns) is None:  # its image was lost, or its topic is not known
            self._scene.put_thumbnail(stamp_ns, picture)

    def _on_image(self, message: Any) -> None:
        """Keep the newest images until it is known which are keyframes; raw ones small, compressed ones as sent."""
        if hasattr(message, "format"):
            self._images[stamp_to_ns(message.header.stamp)] = lambda: thumbnail(decode.image_of(message))
        else:
            picture = thumbnail(decode.image_of(message))
            self._images[stamp_to_ns(message.header.stamp)] = lambda: picture
        while len(self._images) > KEPT_IMAGES:
            self._images.popitem(last=False)

    def _on_camera_info(self, message: CameraInfo) -> None:
        fx, fy = float(message.k[0]), float(message.k[4])
        if fx > 0 and fy > 0 and message.width and message.height:
            self.lens = Lens(fx, fy, int(message.width), int(message.height))

    def _is_shown(self, camera: str) -> bool:
        return not self._options.camera or camera == self._options.camera
