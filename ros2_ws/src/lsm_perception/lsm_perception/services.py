"""The node's services; each handler is a few lines over the parts that do the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lsm_perception_msgs.msg import ResultCode
from lsm_perception_msgs.srv import (
    Capture,
    GetQueries,
    LoadMap,
    QueryText,
    RenderView,
    Reset,
    SaveMap,
    SetQueries,
    Stats,
)
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile

from lsm_perception.conversions.reports import header
from lsm_perception.free_views import FreeViews
from lsm_perception.map_service import MapService
from lsm_perception.parameters import NodeParameters
from lsm_perception.query_service import QueryService
from lsm_perception.replies import ServiceError, answer, timeout_seconds
from lsm_perception.runtime import Runtime, initial_queries
from lsm_perception.segmentation import make_queries
from lsm_perception.view_service import ViewService
from lsm_perception.waiting_room import WaitingRoom

SERVICE_DEPTH = 500  # requests that may wait in the middleware; what comes on top of them is lost without a reply

# By name under ~; the handler of each is the method of Services with the same name.
SERVICES: dict[str, type] = {
    "query_text": QueryText,
    "set_queries": SetQueries,
    "get_queries": GetQueries,
    "capture": Capture,
    "reset": Reset,
    "stats": Stats,
    "save_map": SaveMap,
    "load_map": LoadMap,
    "render_view": RenderView,
}


@dataclass(frozen=True)
class Work:
    """What requests are answered with while the node is configured."""

    runtime: Runtime
    query: QueryService
    maps: MapService
    views: ViewService


class Services:
    """The services; they exist as long as the node does, so a request in any state gets a reply."""

    def __init__(self, node: Node) -> None:
        """Create them; requests are refused until `attach`."""
        self._work: Work | None = None
        self._parameters = NodeParameters()
        self._room = WaitingRoom(self._parameters.queries.max_waiting)
        # Reentrant: a query or a capture that waits holds up nobody else.
        group = ReentrantCallbackGroup()
        for name, kind in SERVICES.items():
            node.create_service(
                kind,
                f"~/{name}",
                answer(getattr(self, f"_{name}")),
                qos_profile=QoSProfile(depth=SERVICE_DEPTH),
                callback_group=group,
            )

    def attach(self, runtime: Runtime, parameters: NodeParameters) -> None:
        """Answer from these parts from now on."""
        mappers = {name: context.mapper for name, context in runtime.cameras.items()}
        names = {name: context.names for name, context in runtime.cameras.items()}
        query = QueryService(runtime.segmenter, mappers, names, parameters)
        views = ViewService(FreeViews(runtime.cameras, runtime.buffer), runtime.backend, parameters)
        self._work = Work(runtime, query, MapService(runtime, parameters.map_directory), views)
        self.configure(parameters)

    def detach(self) -> None:
        """Refuse requests from now on: the parts are going away."""
        self._work = None

    def configure(self, parameters: NodeParameters) -> None:
        """Take new limits."""
        self._parameters = parameters
        self._room.set_places(parameters.queries.max_waiting)
        work = self._work
        if work is not None:
            work.query.configure(parameters)
            work.views.configure(parameters)

    def _configured(self) -> Work:
        """Return the parts; raise ServiceError while there are none."""
        work = self._work
        if work is None:
            raise ServiceError(ResultCode.NOT_READY, "The node is not configured. Configure and activate it first.")
        return work

    def _active(self) -> Work:
        """Return the parts; raise ServiceError unless they run."""
        work = self._configured()
        if not work.runtime.active:
            raise ServiceError(ResultCode.NOT_READY, "The node is not active. Activate it first.")
        return work

    @contextmanager
    def _outlasting(self, work: Work) -> Iterator[None]:
        """Turn what goes wrong because the node was cleaned up meanwhile into "not ready"."""
        try:
            yield
        except Exception as error:
            if self._work is work:
                raise
            raise ServiceError(ResultCode.NOT_READY, "The node was cleaned up meanwhile.") from error

    def _query_text(self, request: QueryText.Request, response: QueryText.Response) -> None:
        work = self._active()
        with self._room.place(), self._outlasting(work), work.runtime.timings.measure("query"):
            if request.target == QueryText.Request.CAMERA:
                work.views.query(request, response)
            else:
                work.query.work(request, response)

    def _set_queries(self, request: SetQueries.Request, response: SetQueries.Response) -> None:
        work = self._configured()
        queries = make_queries(request.texts, request.thresholds, self._parameters.queries.threshold)
        with self._room.place(), self._outlasting(work):
            work.runtime.set_queries(queries)
        self._fill_queries(work, response)

    def _get_queries(self, _request: GetQueries.Request, response: GetQueries.Response) -> None:
        self._fill_queries(self._configured(), response)

    def _fill_queries(self, work: Work, response: Any) -> None:
        queries = work.runtime.segmenter.queries
        response.texts, response.thresholds = list(queries.texts), list(queries.thresholds)

    def _capture(self, request: Capture.Request, response: Capture.Response) -> None:
        work = self._active()
        cameras = work.runtime.cameras
        camera = request.camera or next(iter(cameras))
        if camera not in cameras:
            raise ServiceError(ResultCode.NOT_FOUND, f"There is no camera '{camera[:80]}'.")
        timeout_s = timeout_seconds(request.timeout, self._parameters.queries)
        with self._room.place():
            ticket = work.runtime.captures.ticket(camera)
            cameras[camera].gate.request_capture()
            keyframe = work.runtime.captures.wait(camera, ticket, timeout_s)
        if keyframe is None:
            self._active()
            raise ServiceError(
                ResultCode.TIMEOUT, f"No usable image in {timeout_s:g} s; the next one will still be a keyframe."
            )
        response.keyframe_id = keyframe.id
        response.header = header(keyframe.stamp_ns, keyframe.frame_id)

    def _reset(self, request: Reset.Request, response: Reset.Response) -> None:
        work = self._configured()
        response.epoch = work.runtime.reset()
        if request.reset_queries:
            work.runtime.set_queries(initial_queries(self._parameters))

    def _render_view(self, request: RenderView.Request, response: RenderView.Response) -> None:
        work = self._active()
        with self._room.place(), self._outlasting(work):
            work.views.render(request, response)

    def _save_map(self, request: SaveMap.Request, response: SaveMap.Response) -> None:
        work = self._configured()
        with self._room.place(), self._outlasting(work):
            work.maps.save(request, response)

    def _load_map(self, request: LoadMap.Request, response: LoadMap.Response) -> None:
        work = self._configured()
        with self._room.place(), self._outlasting(work):
            work.maps.load(request, response)

    def _stats(self, request: Stats.Request, response: Stats.Response) -> None:
        self._configured().runtime.statistics.work(request, response)
