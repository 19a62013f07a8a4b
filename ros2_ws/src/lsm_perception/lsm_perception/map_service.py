"""~/save_map and ~/load_map: behind the pictures, one at a time, and void once the map was reset."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from lsm_perception_msgs.msg import ResultCode
from lsm_perception_msgs.srv import LoadMap, SaveMap

from lsm_core.backends.text_space import TextSpace
from lsm_core.errors import FileFormatError, InputError, QueryError
from lsm_core.io import PointCloud as FileCloud
from lsm_core.io import write_point_cloud
from lsm_core.mapping import NO_LABEL, CameraMap, PointCloud, SavedMap, read_map, write_map
from lsm_core.mapping.map_store import ENDING
from lsm_perception.beside import Beside
from lsm_perception.camera_context import CameraContext
from lsm_perception.cloud_outputs import similarity
from lsm_perception.map_folder import MapFolder
from lsm_perception.map_state import MapContents, OutdatedError
from lsm_perception.replies import ServiceError
from lsm_perception.runtime import Runtime
from lsm_perception.saved_keyframes import camera_map, map_contents
from lsm_perception.segmentation import StandingQueries, make_queries
from lsm_perception.units import metres

NICENESS = 10  # of the thread that packs or unpacks a map: images go first
T = TypeVar("T")


class MapService:
    """Saves and loads the maps of all cameras as one file."""

    def __init__(self, runtime: Runtime, folder: str) -> None:
        """Connect to the parts; `folder` is the parameter map_directory."""
        self._runtime = runtime
        self._folder = folder
        self._turn = threading.Lock()

    def save(self, request: SaveMap.Request, response: SaveMap.Response) -> None:
        """Write the map as it is now; what comes meanwhile is not in it.

        Raises:
            ServiceError: with the reason; nothing is written then.
        """
        ending = {"": ENDING, request.FORMAT_MAP: ENDING, request.FORMAT_PLY: ".ply"}.get(request.format)
        if ending is None:
            raise ServiceError(ResultCode.BAD_REQUEST, f"No format '{request.format[:40]}'. Use map or ply.")
        path = MapFolder(self._folder).target(request.path, ending, request.overwrite)
        with self._alone():
            cameras = [self._camera(name, context) for name, context in self._runtime.cameras.items()]
            if not any(c.keyframes for c in cameras):
                raise ServiceError(ResultCode.NOT_READY, "There is no map yet. Send images first.")
            write = self._write_map if ending == ENDING else self._write_points
            with io_errors():
                in_background(lambda: write(path, cameras))
        response.path, response.bytes = str(path), path.stat().st_size
        response.keyframes = sum(len(c.keyframes) for c in cameras)
        response.points = sum(len(c.points) for c in cameras)

    def load(self, request: LoadMap.Request, response: LoadMap.Response) -> None:
        """Replace the maps of all cameras.

        Raises:
            ServiceError, UnsupportedError: with the reason; the present map stays then.
        """
        runtime = self._runtime
        generations = {name: context.mapper.generation for name, context in runtime.cameras.items()}
        with self._alone(), MapFolder(self._folder).open(request.path, ENDING) as file, io_errors():
            saved = in_background(lambda: read_map(file))
            queries = standing(saved)
        if saved.text_space is not None:
            saved.text_space.check(runtime.backend)
        maps = self._by_camera(saved)
        runtime.ids.skip_past(max((k.id for k in saved.keyframes), default=0))
        for name, context in runtime.cameras.items():
            contents, points = maps[name]
            try:
                context.load(runtime.worker, contents, points, generations[name])
            except OutdatedError as error:
                raise ServiceError(
                    ResultCode.NOT_READY,
                    "The map was reset while the file was read. Load it again.",
                ) from error
        if queries.texts and runtime.backend.has_language:
            runtime.set_queries(queries)
        response.keyframes = len(saved.keyframes)
        response.points = sum(len(c.points) for c in saved.cameras)
        response.epoch = max(int(c.mapper.scale.epoch) for c in runtime.cameras.values())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other requests for maps away: each holds a whole map in memory."""
        if not self._turn.acquire(blocking=False):
            raise ServiceError(ResultCode.BUSY, "A map is being saved or loaded. Ask again later.")
        try:
            yield
        finally:
            self._turn.release()

    def _camera(self, name: str, context: CameraContext) -> CameraMap:
        """Return a camera's map of one moment."""
        while True:
            contents = context.mapper.contents()
            points = context.outputs.map_cloud()
            if contents.segment == context.mapper.segment:
                return camera_map(name, contents, points)

    def _write_map(self, path: Path, cameras: list[CameraMap]) -> None:
        queries, backend = self._runtime.segmenter.queries, self._runtime.backend
        widths = [int(k.prediction.features[0].shape[-1]) for c in cameras for k in c.keyframes
                  if k.prediction.features is not None]  # fmt: skip
        space = TextSpace.of(backend, widths[0]) if widths else None
        write_map(path, SavedMap(tuple(cameras), backend.name, space, queries.texts, queries.thresholds))

    def _write_points(self, path: Path, cameras: list[CameraMap]) -> None:
        """Write coloured points, in metres once these are known."""
        if len(cameras) != 1:
            raise ServiceError(ResultCode.UNSUPPORTED, "Several cameras have several frames. Save a map.")
        cloud = cameras[0].points.transform(similarity(np.eye(4), metres(cameras[0].scale)))
        label = np.where(cloud.label == NO_LABEL, -1, cloud.label.astype(np.int32)).astype(np.int32)
        names = self._runtime.segmenter.queries.texts
        write_point_cloud(
            path, FileCloud(cloud.points, cloud.rgb, cloud.confidence, label if names else None, names)
        )

    def _by_camera(self, saved: SavedMap) -> dict[str, tuple[MapContents, PointCloud]]:
        """Return for each camera of the node its map; an empty one where the file has none.

        Raises:
            ServiceError: the file has a camera that the node does not know.
        """
        names = list(self._runtime.cameras)
        only = len(names) == 1 and len(saved.cameras) == 1  # then it does not matter what it is called
        given = {names[0] if only else c.camera: c for c in saved.cameras}
        unknown = sorted(set(given) - set(names))
        if unknown:
            raise ServiceError(ResultCode.NOT_FOUND, f"The map is of camera '{unknown[0][:80]}', unknown here.")
        out = {}
        for name, context in self._runtime.cameras.items():
            found = given.get(name)
            if found is not None:
                out[name] = (map_contents(found, name), found.points)
            else:
                empty = context.mapper.nothing()
                out[name] = (empty, PointCloud.empty())
        return out


def standing(saved: SavedMap) -> StandingQueries:
    """Return the map's standing queries.

    Raises:
        QueryError: they are malformed.
    """
    thresholds = [-1.0 if np.isnan(t) else t for t in saved.thresholds]
    return make_queries(saved.texts, thresholds, -1.0)


@contextmanager
def io_errors() -> Iterator[None]:
    """Say of files that cannot be written or read that it is these."""
    try:
        yield
    except (FileFormatError, InputError, QueryError, OSError) as error:
        raise ServiceError(ResultCode.IO_ERROR, str(error)) from error


def in_background(work: Callable[[], T]) -> T:
    """Do something in a thread that gives way to the others, and return what it returned."""

    def behind() -> T:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        return work()

    return Beside("lsm_map_file", behind).result()
