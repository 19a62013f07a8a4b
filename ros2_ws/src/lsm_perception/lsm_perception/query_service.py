"""~/query_text on a kept keyframe: answered from its cached features, never waiting for an inference."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import Point
from lsm_perception_msgs.msg import PairPose, ResultCode
from lsm_perception_msgs.srv import QueryText
from numpy.typing import NDArray

from lsm_core.mapping import NO_LABEL, PointCloud, cap_points, cloud_from_view
from lsm_core.mapping.clouds import image_pixels, reliable_pixels
from lsm_core.query.instances import find_instances
from lsm_core.types import QueryResult
from lsm_perception.cloud_outputs import similarity
from lsm_perception.conversions.clouds import cloud_message
from lsm_perception.conversions.detections import detections_message
from lsm_perception.conversions.reports import header
from lsm_perception.conversions.semantics import label_message, mask_message
from lsm_perception.conversions.stamps import stamp_to_ns
from lsm_perception.detection_outputs import up_in_map
from lsm_perception.frames import FrameNames
from lsm_perception.mapper import Mapper
from lsm_perception.parameter_groups import QueryParameters
from lsm_perception.parameters import NodeParameters
from lsm_perception.products import Keyframe
from lsm_perception.replies import ServiceError, timeout_seconds
from lsm_perception.segmentation import Segmenter, StandingQueries, best_scores, make_queries
from lsm_perception.units import is_metric, metres, scaled_pose

NO_METRES = (
    "No metres: the scale is unknown, or what was asked has no place in the current map segment. Masks hold; "
    "centroids and points are in the map's own unit where there are any, and there are no boxes."
)


class QueryService:
    """Answers one request at a time; the others wait."""

    def __init__(
        self,
        segmenter: Segmenter,
        mappers: dict[str, Mapper],
        names: dict[str, FrameNames],
        parameters: NodeParameters,
    ) -> None:
        """Connect to what answers; `mappers` and `names` are by camera."""
        self._segmenter = segmenter
        self._mappers = mappers
        self._names = names
        self._parameters = parameters
        self._turn = threading.Lock()

    def configure(self, parameters: NodeParameters) -> None:
        """Take new limits."""
        self._parameters = parameters

    def work(self, request: QueryText.Request, response: QueryText.Response) -> None:
        """Fill the response.

        Raises:
            ServiceError, LsmError: with the reason.
        """
        limits = self._parameters.queries
        queries = wanted_queries(request.texts, request.thresholds, limits)
        keyframe = self._find(request)
        if not self._segmenter.available:
            raise ServiceError(
                ResultCode.UNSUPPORTED,
                "The backend has no language features. Use lsm-tiny or lsm, or semantics.source:=lseg.",
            )
        found = self._ask(keyframe, queries, timeout_seconds(request.timeout, limits))
        fill_masks(response, keyframe, found)
        self._fill_points(response, keyframe, found)
        explain(request, response, found)

    def _find(self, request: QueryText.Request) -> Keyframe:
        """Return the keyframe a request means.

        Raises:
            ServiceError: there is none.
        """
        if request.camera and request.camera not in self._mappers:
            raise ServiceError(ResultCode.NOT_FOUND, f"There is no camera '{request.camera[:80]}'.")
        mappers = [self._mappers[request.camera]] if request.camera else list(self._mappers.values())
        kept = [k for k in (mapper.latest() for mapper in mappers) if k is not None]
        if not kept:
            raise ServiceError(ResultCode.NOT_READY, "There is no keyframe yet. Send images first.")
        if request.target == QueryText.Request.LATEST:
            return max(kept, key=lambda k: k.id)
        if request.target == QueryText.Request.ID:
            by_id = [k for k in (m.get(request.keyframe_id) for m in self._mappers.values()) if k is not None]
            if not by_id:
                raise ServiceError(ResultCode.NOT_FOUND, f"Keyframe {request.keyframe_id} is not kept.")
            return by_id[0]
        if request.target == QueryText.Request.STAMP:
            stamp_ns = stamp_to_ns(request.stamp)
            near = [k for k in (m.nearest(stamp_ns) for m in mappers) if k is not None]
            return self._close_enough(min(near, key=lambda k: abs(k.stamp_ns - stamp_ns)), stamp_ns)
        raise ServiceError(ResultCode.BAD_REQUEST, f"target {request.target} is not LATEST, ID, STAMP or CAMERA.")

    def _close_enough(self, keyframe: Keyframe, stamp_ns: int) -> Keyframe:
        """Return the keyframe if it can stand for the stamp asked for; raise ServiceError otherwise."""
        gap_s = abs(keyframe.stamp_ns - stamp_ns) * 1e-9
        limit_s = self._parameters.queries.max_stamp_gap_s
        if gap_s > limit_s:
            raise ServiceError(
                ResultCode.NOT_FOUND,
                f"The nearest keyframe is {gap_s:.3f} s away, more than queries.max_stamp_gap_s = {limit_s:g} s.",
            )
        return keyframe

    def _ask(self, keyframe: Keyframe, queries: StandingQueries, timeout_s: float) -> QueryResult:
        """Wait for this request's turn and answer it."""
        if not self._turn.acquire(timeout=timeout_s):
            raise ServiceError(ResultCode.TIMEOUT, f"Other requests took longer than {timeout_s:g} s.")
        try:
            return self._segmenter.query(keyframe, queries)
        finally:
            self._turn.release()

    def _fill_points(self, response: QueryText.Response, keyframe: Keyframe, found: QueryResult) -> None:
        """Put centroids and points into the response, in metres in the image's frame or unscaled in the map's."""
        mapper, names = self._mappers[keyframe.camera], self._names[keyframe.camera]
        scale = mapper.scale
        metric, factor = is_metric(scale), metres(scale)
        current = keyframe.T_map_cam is not None and keyframe.segment == mapper.segment
        response.epoch = int(scale.epoch)
        response.unit = PairPose.UNIT_METRIC if metric and current else PairPose.UNIT_RELATIVE
        frame = keyframe.frame_id if metric else names.unscaled.map
        source = header(keyframe.stamp_ns, frame)
        response.centroids = [Point() for _ in found.texts]
        response.centroid_valid = [False] * len(found.texts)
        response.points = cloud_message(PointCloud.empty(), source)
        response.objects.header = source
        if not current or keyframe.prediction is None or keyframe.T_map_cam is None:
            return
        moved = similarity(np.linalg.inv(keyframe.T_map_cam) if metric else np.eye(4), factor)
        limits = self._parameters.points
        cloud = cloud_from_view(keyframe.prediction, 0, found.labels[0], best_scores(found), config=limits.config())
        chosen = cap_points(cloud.select(np.asarray(cloud.label != NO_LABEL)), limits.max_points)
        response.points = cloud_message(chosen.transform(moved), source)
        if metric:
            T_cam_map = np.linalg.inv(scaled_pose(keyframe.T_map_cam, factor))
            things = find_instances(chosen.transform(similarity(np.eye(4), factor)), up_in_map(keyframe))
            response.objects = detections_message(things, found.texts, T_cam_map, source)
        R, t = moved.rotation.numpy(), moved.translation.numpy()
        for index, centre in enumerate(centroids(keyframe, found, self._parameters)):
            if centre is not None:
                x, y, z = (float(v) for v in moved.scale * R @ centre + t)
                response.centroids[index] = Point(x=x, y=y, z=z)
                response.centroid_valid[index] = True


def wanted_queries(texts: Sequence[str], thresholds: Sequence[float], limits: QueryParameters) -> StandingQueries:
    """Return the texts of a request, checked.

    Raises:
        ServiceError: there is none.
        QueryError: there are too many, a text is malformed, or the thresholds do not fit.
    """
    if not texts:
        raise ServiceError(ResultCode.BAD_REQUEST, "texts is empty. Name at least one thing to look for.")
    return make_queries(texts, thresholds, limits.threshold, limits.max_texts)


def explain(request: QueryText.Request, response: QueryText.Response, found: QueryResult) -> None:
    """Say in code and message what an answer does not show: what was split, and that metres are missing."""
    if len(found.texts) > len(request.texts):
        response.message = f"Looked for {', '.join(map(repr, found.texts))}, in this order. "
    if response.unit != PairPose.UNIT_METRIC:
        response.code = ResultCode.NO_SCALE
        response.message += NO_METRES


def fill_masks(response: QueryText.Response, keyframe: Keyframe, found: QueryResult) -> None:
    """Put masks, label map and figures into the response, on the source image's pixels."""
    source = header(keyframe.stamp_ns, keyframe.frame_id)
    to_source = keyframe.calibration.to_source
    masks = [to_source(m.astype(np.uint8), 0).astype(bool) for m in found.masks[0]]
    scores = [to_source(s, 0.0) for s in found.scores[0]]
    response.header = source
    response.keyframe_id = keyframe.id
    response.masks = [mask_message(mask, source) for mask in masks]
    response.label_map = label_message(to_source(found.labels[0], -1), source)
    response.presence = [float(p) for p in found.presence]
    response.pixels = [int(mask.sum()) for mask in masks]
    response.score = [float(s[m].mean() if m.any() else s.max()) for s, m in zip(scores, masks, strict=True)]


def centroids(
    keyframe: Keyframe, found: QueryResult, parameters: NodeParameters, min_points: int = 20
) -> list[NDArray[Any] | None]:
    """Return per text the median position of its reliable points, map frame and segment unit; None with too few."""
    prediction = keyframe.prediction
    assert prediction is not None
    points = prediction.pointmaps[0].detach().cpu().double().numpy()
    depth = prediction.depth(0).detach().cpu().float().numpy()
    confidence = prediction.confidence[0].detach().cpu().float().numpy()
    x, y, inside = image_pixels(prediction, 0)
    keep = reliable_pixels(depth, confidence, parameters.points.config()) & inside
    out: list[NDArray[Any] | None] = []
    for mask in found.masks[0]:
        chosen = points[keep][mask[y[keep], x[keep]]]
        out.append(np.median(chosen, axis=0) if len(chosen) >= min_points else None)
    return out
