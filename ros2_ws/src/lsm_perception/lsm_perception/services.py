"""The node's services; each handler is a few lines over the parts that do the work."""

from __future__ import annotations

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
from rclpy.service import Service

from lsm_perception.conversions.reports import header
from lsm_perception.parameters import NodeParameters
from lsm_perception.query_service import QueryService
from lsm_perception.replies import ServiceError, answer, timeout_seconds, unsupported
from lsm_perception.runtime import Runtime, initial_queries
from lsm_perception.segmentation import make_queries


class Services:
    """Creates the services for as long as the node is configured."""

    def __init__(self, node: Node, runtime: Runtime, parameters: NodeParameters) -> None:
        self._node = node
        self._runtime = runtime
        self._parameters = parameters
        mappers = {name: context.mapper for name, context in runtime.cameras.items()}
        names = {name: context.names for name, context in runtime.cameras.items()}
        self._query = QueryService(runtime.segmenter, mappers, names, parameters)
        # Reentrant: a query or a capture that waits holds up nobody else.
        group = ReentrantCallbackGroup()
        table: dict[str, tuple[type, Any]] = {
            "query_text": (QueryText, self._query_text),
            "set_queries": (SetQueries, self._set_queries),
            "get_queries": (GetQueries, self._get_queries),
            "capture": (Capture, self._capture),
            "reset": (Reset, self._reset),
            "stats": (Stats, runtime.statistics.work),
            "save_map": (SaveMap, unsupported("Saving the map")),
            "load_map": (LoadMap, unsupported("Loading a map")),
            "render_view": (RenderView, unsupported("Rendering the map")),
        }
        self._services: list[Service] = [
            node.create_service(kind, f"~/{name}", answer(work), callback_group=group)
            for name, (kind, work) in table.items()
        ]

    def configure(self, parameters: NodeParameters) -> None:
        """Take new limits."""
        self._parameters = parameters
        self._query.configure(parameters)

    def destroy(self) -> None:
        """Take the services away."""
        for service in self._services:
            self._node.destroy_service(service)
        self._services.clear()

    def _check_active(self) -> None:
        if not self._runtime.active:
            raise ServiceError(ResultCode.NOT_READY, "The node is not active. Activate it first.")

    def _query_text(self, request: QueryText.Request, response: QueryText.Response) -> None:
        self._check_active()
        with self._runtime.timings.measure("query"):
            self._query.work(request, response)

    def _set_queries(self, request: SetQueries.Request, response: SetQueries.Response) -> None:
        limits = self._parameters.queries
        self._runtime.set_queries(make_queries(request.texts, request.thresholds, limits.threshold))
        self._fill_queries(response)

    def _get_queries(self, _request: GetQueries.Request, response: GetQueries.Response) -> None:
        self._fill_queries(response)

    def _fill_queries(self, response: Any) -> None:
        queries = self._runtime.segmenter.queries
        response.texts, response.thresholds = list(queries.texts), list(queries.thresholds)

    def _capture(self, request: Capture.Request, response: Capture.Response) -> None:
        self._check_active()
        cameras = self._runtime.cameras
        camera = request.camera or next(iter(cameras))
        if camera not in cameras:
            raise ServiceError(ResultCode.NOT_FOUND, f"There is no camera '{camera[:80]}'.")
        timeout_s = timeout_seconds(request.timeout, self._parameters.queries.timeout_s)
        ticket = self._runtime.captures.ticket()
        cameras[camera].gate.request_capture()
        keyframe = self._runtime.captures.wait(ticket, timeout_s)
        if keyframe is None:
            raise ServiceError(
                ResultCode.TIMEOUT, f"No usable image in {timeout_s:g} s; the next one will still be a keyframe."
            )
        response.keyframe_id = keyframe.id
        response.header = header(keyframe.stamp_ns, keyframe.frame_id)

    def _reset(self, request: Reset.Request, response: Reset.Response) -> None:
        response.epoch = self._runtime.reset()
        if request.reset_queries:
            self._runtime.set_queries(initial_queries(self._parameters))
