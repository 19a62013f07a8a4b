"""~/markers: boxes with names, keyframes and path, for viewers such as RViz and Foxglove."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np
from geometry_msgs.msg import Point, Vector3
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from lsm_core.query.instances import Instance
from lsm_perception.conversions.poses import pose_message
from lsm_perception.conversions.semantics import palette
from lsm_perception.detection_outputs import Things
from lsm_perception.frames import FrameNames
from lsm_perception.map_state import MapContents
from lsm_perception.products import Keyframe
from lsm_perception.publishers import Publishers
from lsm_perception.units import is_metric, metres, scaled_pose

FRUSTUM = 0.08  # of the median depth of the newest keyframe
TEXT_M = 0.12  # height of the letters
BOX_ALPHA = 0.35
KEYFRAME_COLOUR, NEWEST_COLOUR, PATH_COLOUR = (150, 150, 180), (20, 200, 110), (255, 170, 0)


class MarkerBoard:
    """What all cameras of a node show; each message deletes what was and has all of it, so the newest is enough."""

    def __init__(self, publishers: Publishers) -> None:
        self._publishers = publishers
        self._lock = threading.Lock()
        self._shown: dict[str, list[Marker]] = {}

    def wanted(self) -> bool:
        """Whether anybody listens."""
        return self._publishers.wants("markers")

    def show(self, camera: str, markers: list[Marker], header: Header) -> None:
        """Replace what one camera shows, and publish; `header` has the frame of its map."""
        with self._lock:
            self._shown[camera] = markers
            shown = [marker for of_camera in self._shown.values() for marker in of_camera]
            first = Marker(header=header, action=Marker.DELETEALL)
            self._publishers.publish("markers", MarkerArray(markers=[first, *shown]))

    def drop(self, camera: str) -> None:
        """Forget what one camera shows, without a message."""
        with self._lock:
            self._shown.pop(camera, None)


class MarkerOutputs:
    """The markers of one camera, in the frame of its map."""

    def __init__(self, board: MarkerBoard, names: FrameNames, camera: str) -> None:
        self._board = board
        self._names = names
        self._camera = camera

    def wanted(self) -> bool:
        """Whether anybody listens; if not, what was shown is forgotten, for it will not be kept up."""
        wanted = self._board.wanted()
        if not wanted:
            self._board.drop(self._camera)
        return wanted

    def publish(self, contents: MapContents, things: Things, source: Header, max_path: int) -> None:
        """Publish keyframes and path, and in metres also boxes.

        Args:
            contents: of the map.
            things: in the map's frame, metres; shown only where the map is in metres.
            source: whose stamp the markers have.
            max_path: poses of the path.
        """
        metric, factor = is_metric(contents.scale), metres(contents.scale)
        header = Header(stamp=source.stamp, frame_id=self._names.tree(metric).map)
        placed = [k for k in contents.keyframes if k.segment == contents.segment and k.T_map_cam is not None]
        placed = [k for k in placed if k.in_map]
        markers: list[Marker] = []
        if placed:
            size = FRUSTUM * factor * _median_depth(placed[-1])
            markers += [self._frustum(k, k is placed[-1], size, factor, header) for k in placed]
            markers += self._path(factor * contents.path.positions[-max_path:], size, header)
        if metric:
            markers += self._boxes(things, header)
        self._board.show(self._camera, markers, header)

    def clear(self, source: Header) -> None:
        """Take back all of it."""
        header = Header(stamp=source.stamp, frame_id=self._names.unscaled.map)
        self._board.show(self._camera, [], header)

    def _frustum(self, keyframe: Keyframe, newest: bool, size: float, factor: float, header: Header) -> Marker:
        assert keyframe.T_map_cam is not None
        return Marker(
            header=header,
            ns=self._space("keyframes"),
            id=keyframe.id % 2**31,
            type=Marker.LINE_LIST,
            pose=pose_message(scaled_pose(keyframe.T_map_cam, factor)),
            scale=Vector3(x=0.03 * size),
            color=_colour(NEWEST_COLOUR if newest else KEYFRAME_COLOUR),
            points=_points(frustum_lines(keyframe, size)),
        )

    def _path(self, positions: NDArray[np.float64], size: float, header: Header) -> Iterator[Marker]:
        if len(positions) >= 2:  # viewers complain about a line of one point
            yield Marker(
                header=header,
                ns=self._space("path"),
                type=Marker.LINE_STRIP,
                scale=Vector3(x=0.06 * size),
                color=_colour(PATH_COLOUR),
                points=_points(positions),
            )

    def _boxes(self, things: Things, header: Header) -> Iterator[Marker]:
        colours = palette(len(things.texts))
        for number, thing in enumerate(things.instances):
            pose, colour = pose_message(thing.T_frame_box), colours[thing.label]
            x, y, z = (float(v) for v in thing.size)
            yield Marker(
                header=header,
                ns=self._space("boxes"),
                id=number,
                type=Marker.CUBE,
                pose=pose,
                scale=Vector3(x=x, y=y, z=z),
                color=_colour(colour, BOX_ALPHA),
            )
            yield Marker(
                header=header,
                ns=self._space("labels"),
                id=number,
                type=Marker.TEXT_VIEW_FACING,
                pose=pose,
                scale=Vector3(z=TEXT_M),
                color=_colour((255, 255, 255)),
                text=label_of(thing, things.texts),
            )

    def _space(self, name: str) -> str:
        """Return a namespace of markers, which cameras do not share."""
        return f"{self._camera}/{name}" if self._camera else name


def label_of(thing: Instance, texts: Sequence[str]) -> str:
    """Return name, lasting number and score of a thing."""
    return f"{texts[thing.label]} {thing.id} {thing.score:.2f}"


def frustum_lines(keyframe: Keyframe, size: float) -> NDArray[np.float64]:
    """Return the ends [16, 3] of the eight lines of a camera's frustum in its own frame, `size` deep."""
    assert keyframe.prediction is not None
    height, width = keyframe.prediction.pointmaps[0].shape[:2]
    K = keyframe.prediction.intrinsics[0].detach().cpu().double().numpy()
    pixels = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], np.float64) - [0.5, 0.5, 0]
    corners = size * pixels @ np.linalg.inv(K).T
    rays = np.stack([np.zeros((4, 3)), corners], axis=1)
    sides = np.stack([corners, np.roll(corners, -1, axis=0)], axis=1)
    return np.asarray(np.concatenate([rays, sides]).reshape(16, 3), np.float64)


def _median_depth(keyframe: Keyframe) -> float:
    assert keyframe.prediction is not None
    return float(keyframe.prediction.depth(0).detach().float().median())


def _points(rows: NDArray[np.float64]) -> list[Point]:
    return [Point(x=x, y=y, z=z) for x, y, z in rows.tolist()]


def _colour(rgb: Sequence[int] | NDArray[np.uint8], alpha: float = 1.0) -> ColorRGBA:
    r, g, b = (int(v) / 255 for v in rgb)
    return ColorRGBA(r=r, g=g, b=b, a=alpha)
