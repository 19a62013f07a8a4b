"""Draws the scene with viser: what has changed, and no more often than a browser can take."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import viser

from lsm_perception.conversions.poses import quaternion_xyzw
from lsm_perception.conversions.semantics import palette
from lsm_perception.viewer import scene
from lsm_perception.viewer.frustums import Frustums
from lsm_perception.viewer.lens import Lens
from lsm_perception.viewer.records import Boxes, Cloud, Matrix, Splats
from lsm_perception.viewer.scene import Scene
from lsm_perception.viewer.view import View

# Layers and the shortest time between two drawings of each, seconds: a browser is sent a few updates a second.
PERIODS_S = {
    scene.CLOUD: 0.5,
    scene.MAP: 2.0,
    scene.SPLATS: 1.0,
    scene.KEYFRAMES: 0.5,
    scene.BOXES: 0.5,
    scene.ANSWER: 0.2,
}
POINT = 0.004  # edge of a point, in depths of the scene
BOX_COLOUR = (255, 170, 0)


class Stage:
    """The 3D half of the viewer; calls come from one thread at a time."""

    def __init__(self, server: viser.ViserServer, found: Scene, lens: Callable[[], Lens]) -> None:
        """Set the stage.

        Args:
            server: of viser.
            found: what to draw.
            lens: gives that of the source images.
        """
        self._server = server
        self._scene = found
        self._lock = threading.Lock()
        self._drawn: dict[str, int] = {}
        self._drawn_at: dict[str, float] = {}
        self._handles: dict[str, list[Any]] = {}
        self._parents = {name: server.scene.add_frame(f"/{name}", show_axes=False) for name in PERIODS_S}
        self._frustums = Frustums(server, found, lens)
        self._point_size = 1.0
        self._home_of = -1
        server.scene.set_up_direction("-y")
        self._draw: dict[str, Callable[[], None]] = {
            scene.CLOUD: lambda: self._draw_cloud(scene.CLOUD, 1.5),
            scene.MAP: lambda: self._draw_cloud(scene.MAP, 1.0),
            scene.SPLATS: self._draw_splats,
            scene.KEYFRAMES: self._frustums.draw,
            scene.BOXES: self._draw_detections,
            scene.ANSWER: self._draw_answer,
        }

    def update(self) -> None:
        """Draw what has changed and is due."""
        with self._lock:
            for layer, draw in self._draw.items():
                version, now = self._scene.version(layer), time.monotonic()
                due = now - self._drawn_at.get(layer, -np.inf) >= PERIODS_S[layer]
                if due and version != self._drawn.get(layer) and self._parents[layer].visible:
                    draw()
                    self._drawn[layer], self._drawn_at[layer] = version, now
            self._go_home_once()

    def show(self, layer: str, visible: bool) -> None:
        """Show or hide a layer; a hidden one is not sent."""
        self._parents[layer].visible = visible
        if layer == scene.ANSWER:
            with self._lock:
                self._drawn.pop(scene.BOXES, None)

    def set_point_size(self, factor: float) -> None:
        """Draw points so many times larger than usual."""
        with self._lock:
            self._point_size = factor
            for layer in (scene.CLOUD, scene.MAP, scene.ANSWER):
                self._drawn.pop(layer, None)

    def look_from(self, client: viser.ClientHandle, T_map_cam: Matrix) -> None:
        """Put a browser's view at a camera's pose."""
        View.from_camera(T_map_cam, self._scene.unit_length(), (0.0, 0.0, 0.0)).give(client)

    def look_at_what(self, client: viser.ClientHandle, T_map_cam: Matrix) -> None:
        """Put a browser's view above a camera, to see what it saw over its picture; later browsers begin there."""
        view = View.from_camera(T_map_cam, self._scene.unit_length(), (0.0, -0.7, -0.35))
        view.make_home(self._server)
        view.give(client)

    def _go_home_once(self) -> None:
        """Look at each new map from behind its first camera, once there is something to see."""
        generation = self._scene.generation
        path = self._scene.get(scene.PATH)
        if self._home_of == generation or path is None or not path.T_map_cam:
            return
        if self._scene.get(scene.CLOUD) is None and self._scene.get(scene.MAP) is None:
            return
        self._home_of = generation
        first = next(iter(path.T_map_cam.values()))
        view = View.from_camera(first, self._scene.unit_length(), (0.15, -0.35, -0.9))
        view.make_home(self._server)
        for client in self._server.get_clients().values():
            view.give(client)

    def _draw_cloud(self, layer: str, size: float) -> None:
        cloud: Cloud | None = self._scene.get(layer)
        T = None if cloud is None else self._scene.place(cloud.source)
        if cloud is None or T is None or not len(cloud):
            return self._remove(layer)
        self._add_points(layer, cloud.points, cloud.colours, size, T)

    def _add_points(self, layer: str, points: Any, colours: Any, size: float, T: Matrix) -> None:
        handle = self._server.scene.add_point_cloud(
            f"/{layer}/points",
            points,
            colours,
            point_size=size * self._point_size * POINT * self._scene.unit_length(),
            point_shape="circle",
            point_shading="flat",
            precision="float32",
            **pose_arguments(T),
        )
        self._handles[layer] = [handle]

    def _draw_splats(self) -> None:
        splats: Splats | None = self._scene.get(scene.SPLATS)
        T = None if splats is None else self._scene.place(splats.source)
        if splats is None or T is None or not len(splats):
            return self._remove(scene.SPLATS)
        self._handles[scene.SPLATS] = [
            self._server.scene.add_gaussian_splats(
                f"/{scene.SPLATS}/splats",
                splats.centres,
                splats.covariances,
                splats.colours,
                splats.opacities,
                **pose_arguments(T),
            )
        ]

    def _draw_detections(self) -> None:
        self._remove(scene.BOXES)
        answer_shows = self._parents[scene.ANSWER].visible and self._scene.answer_in_place() is not None
        found: Boxes | None = self._scene.get(scene.BOXES)
        if found is not None and not answer_shows:  # two sets of boxes in one another cannot be read
            self._add_boxes(scene.BOXES, found, {})

    def _draw_answer(self) -> None:
        self._remove(scene.ANSWER)
        self._drawn.pop(scene.BOXES, None)
        found = self._scene.answer_in_place()
        if found is None:
            return
        answer, T = found
        cloud = answer.cloud
        colours = palette(len(answer.texts))
        if len(cloud):
            chosen = colours[np.minimum(cloud.labels, len(answer.texts) - 1)]
            self._add_points(scene.ANSWER, cloud.points, chosen, 2.5, T)
        named = {text: tuple(int(c) for c in colour) for text, colour in zip(answer.texts, colours, strict=True)}
        self._add_boxes(scene.ANSWER, answer.boxes, named)

    def _add_boxes(self, layer: str, found: Boxes, colours: dict[str, tuple[int, ...]]) -> None:
        """Add boxes with their names, in the colours of these, BOX_COLOUR for others."""
        T = self._scene.place(found.source)
        if T is None:
            return
        handles = self._handles.setdefault(layer, [])
        for index, box in enumerate(found.boxes):
            placed = T @ box.T_frame_box
            name = f"/{layer}/box_{index}"
            handles.append(
                self._server.scene.add_box(
                    name,
                    colours.get(box.name, BOX_COLOUR),
                    tuple(box.size),
                    wireframe=True,
                    **pose_arguments(placed),
                )
            )
            number = f" #{box.number}" if box.number else ""
            size = " x ".join(f"{side:.2f}" for side in box.size)
            text = f"{box.name}{number} {box.score:.2f} ({size} m)"
            handles.append(
                self._server.scene.add_label(f"/{layer}/label_{index}", text, position=tuple(placed[:3, 3]))
            )

    def _remove(self, layer: str) -> None:
        for handle in self._handles.pop(layer, []):
            handle.remove()


def pose_arguments(T: Matrix) -> dict[str, tuple[float, ...]]:
    """Return a rigid matrix as viser takes it."""
    x, y, z, w = quaternion_xyzw(T)
    return {"wxyz": (w, x, y, z), "position": tuple(float(v) for v in T[:3, 3])}
