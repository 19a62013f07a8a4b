"""~/render_view, and words in a view that no camera took: drawn on the CPU, never behind a running inference."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import cv2
import numpy as np
import torch
from geometry_msgs.msg import Point
from lsm_perception_msgs.msg import PairPose, ResultCode
from lsm_perception_msgs.srv import QueryText, RenderView
from numpy.typing import NDArray

from lsm_core.backends.base import Backend
from lsm_core.mapping import NO_LABEL, PointCloud, cap_points
from lsm_core.query import QueryConfig, query_gaussians
from lsm_core.query.drawn_features import feature_camera, render_features
from lsm_core.query.instances import find_instances
from lsm_core.render import render
from lsm_core.render.surface_depth import surface_depth
from lsm_core.types import Gaussians, QueryResult, RenderResult
from lsm_core.views.field_colors import FieldPalette
from lsm_perception.cloud_outputs import similarity
from lsm_perception.conversions.clouds import cloud_message
from lsm_perception.conversions.detections import detections_message
from lsm_perception.conversions.images import image_message
from lsm_perception.conversions.semantics import label_message, mask_message
from lsm_perception.detection_outputs import up_in_map
from lsm_perception.free_views import FreeView, FreeViews
from lsm_perception.parameters import NodeParameters
from lsm_perception.query_service import explain, wanted_queries
from lsm_perception.replies import ServiceError, timeout_seconds
from lsm_perception.segmentation import StandingQueries, best_scores, threshold_options

MIN_POINTS = 20  # of a centroid


class ViewService:
    """Draws one view at a time; the others wait."""

    def __init__(self, views: FreeViews, backend: Backend, parameters: NodeParameters) -> None:
        """Connect to the maps, and to what reads their features."""
        self._views = views
        self._backend = backend
        self._parameters = parameters
        self._turn = threading.Lock()

    def configure(self, parameters: NodeParameters) -> None:
        """Take new limits."""
        self._parameters = parameters

    def render(self, request: RenderView.Request, response: RenderView.Response) -> None:
        """Draw the map.

        Raises:
            ServiceError, LsmError: with the reason.
        """
        limits = self._parameters.queries
        queries = wanted_queries(request.texts, request.thresholds, limits) if request.texts else StandingQueries()
        view = self._views.resolve(request.camera_info, request.camera_pose, self._parameters)
        if request.features and view.gaussians.features is None:
            raise ServiceError(ResultCode.UNSUPPORTED, "The map has no language features to show.")
        with self._waited(timeout_seconds(request.timeout, limits)):
            seen = drawn(view.gaussians, view)
            if queries.texts:
                found = self._ask(view, queries)
                response.masks = [mask_message(mask, view.source) for mask in found.masks[0]]
                response.presence = [float(p) for p in found.presence]
            if request.features:
                response.features_image = image_message(feature_colours(view), "rgb8", view.source)
        depth = depth_of(seen)
        response.image = image_message(bytes_of(seen.rgb), "rgb8", view.source)
        response.depth = image_message(np.float32(view.factor) * depth, "32FC1", view.source)
        response.alpha = image_message(bytes_of(seen.alpha), "mono8", view.source)
        response.unit = PairPose.UNIT_METRIC if view.metric else PairPose.UNIT_RELATIVE
        response.epoch = view.epoch

    def query(self, request: QueryText.Request, response: QueryText.Response) -> None:
        """Answer target CAMERA: texts in a view of the map.

        Raises:
            ServiceError, LsmError: with the reason.
        """
        limits = self._parameters.queries
        queries = wanted_queries(request.texts, request.thresholds, limits)
        view = self._views.resolve(request.camera_info, request.camera_pose, self._parameters)
        with self._waited(timeout_seconds(request.timeout, limits)):
            found = self._ask(view, queries)
            small = replace(view, camera=feature_camera(view.camera, QueryConfig()))
            seen = drawn(view.gaussians, small)
        response.header, response.keyframe_id = view.source, 0
        response.masks = [mask_message(mask, view.source) for mask in found.masks[0]]
        response.label_map = label_message(found.labels[0], view.source)
        response.presence = [float(p) for p in found.presence]
        response.pixels = [int(mask.sum()) for mask in found.masks[0]]
        response.score = [
            float(s[m].mean() if m.any() else s.max()) for s, m in zip(found.scores[0], found.masks[0], strict=True)
        ]
        response.unit = PairPose.UNIT_METRIC if view.metric else PairPose.UNIT_RELATIVE
        response.epoch = view.epoch
        self._fill_points(response, view, small, seen, found)
        explain(request, response, found)

    def _ask(self, view: FreeView, queries: StandingQueries) -> QueryResult:
        options = threshold_options(queries)
        return query_gaussians(self._backend, view.gaussians, [view.camera], list(queries.texts), **options)

    def _fill_points(
        self, response: QueryText.Response, view: FreeView, small: FreeView, seen: RenderResult, found: QueryResult
    ) -> None:
        """Put points, centroids and things into the response, in the frame that the request names."""
        grid = (small.camera.width, small.camera.height)
        depth, points = depth_of(seen), surface_points(small, depth_of(seen))
        label = cv2.resize(found.labels[0].astype(np.float32), grid, interpolation=cv2.INTER_NEAREST).astype(int)
        score = cv2.resize(best_scores(found), grid, interpolation=cv2.INTER_NEAREST)
        keep = np.isfinite(depth) & (label >= 0)
        cloud = PointCloud(
            points[keep].astype(np.float32),
            bytes_of(seen.rgb)[keep],
            seen.alpha.numpy()[keep].astype(np.float32),
            label[keep].astype(np.uint16),
            score[keep].astype(np.float32),
        )
        chosen = cap_points(cloud.select(np.asarray(cloud.label != NO_LABEL)), self._parameters.points.max_points)
        response.points = cloud_message(chosen.transform(view.out_from_map), view.source)
        response.objects.header = view.source
        if view.metric:
            things = find_instances(
                chosen.transform(similarity(np.eye(4), view.factor)), up_in_map(view.keyframes[-1])
            )
            T_out_map = np.eye(4)
            T_out_map[:3, :3] = view.out_from_map.rotation.numpy()
            T_out_map[:3, 3] = view.out_from_map.translation.numpy()
            response.objects = detections_message(things, found.texts, T_out_map, view.source)
        R, t, s = view.out_from_map.rotation.numpy(), view.out_from_map.translation.numpy(), view.out_from_map.scale
        for mask in found.masks[0]:
            inside = cv2.resize(mask.astype(np.uint8), grid, interpolation=cv2.INTER_NEAREST) > 0
            own = points[inside & np.isfinite(depth)]
            enough = len(own) >= MIN_POINTS
            x, y, z = (float(v) for v in (s * R @ np.median(own, axis=0) + t if enough else np.zeros(3)))
            response.centroids.append(Point(x=x, y=y, z=z))
            response.centroid_valid.append(enough)

    @contextmanager
    def _waited(self, timeout_s: float) -> Iterator[None]:
        """Wait for this request's turn."""
        if not self._turn.acquire(timeout=timeout_s):
            raise ServiceError(ResultCode.TIMEOUT, f"Other requests took longer than {timeout_s:g} s.")
        try:
            yield
        finally:
            self._turn.release()


def drawn(gaussians: Gaussians, view: FreeView) -> RenderResult:
    """Draw colour, alpha and picks of depth on the CPU."""
    with torch.inference_mode():
        return render(replace(gaussians, features=None), view.camera, rasterizer="cpu")


def depth_of(seen: RenderResult) -> NDArray[np.float32]:
    """Return depth [H, W] along the optical axis of the surface seen, NaN where nothing is drawn."""
    depth = surface_depth(seen).numpy()
    return np.where(depth > 0, depth, np.nan).astype(np.float32)


def surface_points(view: FreeView, depth: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return [H, W, 3] points of the surface, in the map's frame and unit."""
    camera = view.camera
    K, T = camera.K.double().numpy(), camera.T_scene_cam.double().numpy()
    x, y = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(K).T
    return rays * depth[..., None].astype(np.float64) @ T[:3, :3].T + T[:3, 3]


def feature_colours(view: FreeView) -> NDArray[np.uint8]:
    """Return [H, W, 3] uint8: three main directions of the map's language features, black where nothing is."""
    config = QueryConfig()
    small = feature_camera(view.camera, config)
    with torch.inference_mode():
        seen = render_features(view.gaussians, small)
        assert seen.features is not None
        colours = FieldPalette.of(view.gaussians).color(seen.features)
    colours = np.where((seen.alpha.numpy() >= config.min_alpha)[..., None], colours, 0).astype(np.uint8)
    size = (view.camera.width, view.camera.height)
    return np.asarray(cv2.resize(colours, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def bytes_of(values: torch.Tensor) -> NDArray[np.uint8]:
    """Return numbers from 0 to 1 as 0 to 255."""
    return np.rint(255 * values.detach().clamp(0, 1).numpy()).astype(np.uint8)
