"""From a bag to a map, without ROS: keyframes, pairs, gate, chain, scale, cloud, all by lsm_core.mapping."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lsm_core.backends import Backend
from lsm_core.errors import InputError
from lsm_core.evaluation.odometry_check import TimedPair
from lsm_core.io import Frame, Trajectory
from lsm_core.mapping import (
    KeyframeAction,
    KeyframeSelector,
    PairChain,
    PairGeometry,
    PointCloud,
    check_frame,
    check_pair_pose,
    cloud_from_view,
    relative_voxel,
    sample_from_baseline,
    small_gray,
    small_intrinsics,
    union_clouds,
    voxel_downsample,
)
from lsm_core.types import Camera, Gaussians, Prediction, Sim3, ViewFeatures

MAX_REJECTIONS = 5  # in a row; then the newest frame becomes the start of a new segment
MIN_SCALE_SAMPLES = 3
MAP_POINTS = 1_000_000
NO_ODOMETRY = "no_odometry"  # why a pair was not made, for models that need poses
MIN_OPACITY = 0.02  # fainter Gaussians are left out of a map

Labels = tuple[NDArray[np.int32], NDArray[np.float32]]  # [H, W] index of the text or -1, and its score
# Names the pixels of a view of a prediction; the arguments behind it: which view, its stamp (ns), its image.
Labeller = Callable[[Prediction, int, int, NDArray[np.uint8]], Labels]


@dataclass(frozen=True)
class Segment:
    """A chain of keyframes with one frame and one unit.

    Attributes:
        number: from 1.
        trajectory: T_map_cam, metres once `metres_per_unit` is known, else the segment's unit.
        cloud: all its points in the same frame and unit.
        views: the points of each keyframe, the same.
        gaussians: of all its pairs, without features, or None where the backend has none.
        metres_per_unit: factor applied, or None when the scale is unknown.
    """

    number: int
    trajectory: Trajectory
    cloud: PointCloud
    views: tuple[PointCloud, ...]
    gaussians: Gaussians | None
    metres_per_unit: float | None


@dataclass
class _Track:
    """A segment in the making."""

    poses: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    clouds: list[PointCloud] = field(default_factory=list)
    gaussians: list[Gaussians] = field(default_factory=list)
    metres_per_unit: list[float] = field(default_factory=list)
    voxel: float = 0.0


class BagMapper:
    """Takes frames in order; gives segments at the end.

    Attributes:
        pairs: accepted pairs, in the pair's own unit.
        rejected: pairs that were not accepted, by reason.
        skipped: frames that could not be used, by reason.
        keyframes: frames the model has seen.
        backend: name of the model.
        lens: the model's camera of the first accepted pair's first view, in that pair's frame; None before it.
    """

    def __init__(
        self, backend: Backend, odometry: Trajectory | None = None, labeller: Labeller | None = None
    ) -> None:
        """Begin with nothing.

        Args:
            backend: the model.
            odometry: of the camera, metres; models that need poses get them from here.
            labeller: labels the points of each keyframe that gets a place.

        Raises:
            InputError: the model needs poses, and there is no odometry.
        """
        if backend.needs_poses and odometry is None:
            raise InputError(
                f"{backend.name} needs poses, and there is no odometry to take them from.",
                "Use a bag with the camera's poses in tf or on an odometry topic, or another backend.",
            )
        self._backend = backend
        self._odometry = odometry
        self._labeller = labeller
        self._selector = KeyframeSelector()
        self._chain = PairChain()
        self._tracks: dict[int, _Track] = defaultdict(_Track)
        self._previous_gray: NDArray[np.uint8] | None = None
        self._reference: tuple[int, int, ViewFeatures] | None = None  # id, stamp, features
        self._next_id = 1
        self._rejections = 0
        self.pairs: list[TimedPair] = []
        self.rejected: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.keyframes = 0
        self.backend = backend.name
        self.lens: Camera | None = None

    def add(self, frame: Frame) -> None:
        """Take the next frame (rectified here)."""
        frame = frame.rectified()
        gray = small_gray(frame.image)
        verdict = check_frame(gray, self._previous_gray)
        self._previous_gray = gray
        if not verdict.ok:
            self.skipped[verdict.reason] += 1
            return
        K = None if frame.K is None else small_intrinsics(frame.K, frame.image.shape[:2], gray)
        decision = self._selector.consider(gray, frame.stamp_ns, K)
        if decision.action is KeyframeAction.KEEP and self._pair(frame):
            self._selector.accept(decision.stamp_ns)

    def _pair(self, frame: Frame) -> bool:
        """Pair a frame with the reference; returns whether it becomes the reference."""
        features = self._backend.encode(frame.image, frame.K)
        keyframe = (self._next_id, frame.stamp_ns, features)
        self._next_id += 1
        self.keyframes += 1
        if self._reference is not None:
            older_id, older_ns, older = self._reference
            prediction = self._predict(older, features, older_ns, frame.stamp_ns)
            reason = NO_ODOMETRY if prediction is None else self._gate(prediction, older_ns, frame.stamp_ns)
            if reason:
                self.rejected[reason] += 1
                self._rejections += 1
                if self._rejections < MAX_REJECTIONS:
                    return False
            elif prediction is not None:
                self._place(prediction, (older, features), (older_id, keyframe[0]), (older_ns, frame.stamp_ns))
        self._rejections = 0
        self._reference = keyframe
        return True

    def _predict(self, older: ViewFeatures, newer: ViewFeatures, older_ns: int, newer_ns: int) -> Prediction | None:
        """Reconstruct a pair; None where the model needs the motion and odometry does not tell it."""
        if not self._backend.needs_poses:
            return self._backend.predict([older, newer])
        motion = self._true_motion(older_ns, newer_ns)
        return None if motion is None else self._backend.predict([older, newer], poses=[np.eye(4), motion])

    def _true_motion(self, older_ns: int, newer_ns: int) -> NDArray[np.float64] | None:
        """Return T_older_newer by odometry, metres, or None."""
        if self._odometry is None:
            return None
        older, newer = self._odometry.at(older_ns), self._odometry.at(newer_ns)
        return None if older is None or newer is None else np.linalg.inv(older) @ newer

    def _gate(self, prediction: Prediction, older_ns: int, newer_ns: int) -> str:
        """Return why a pair is rejected, empty when it is accepted."""
        verdict = check_pair_pose(
            prediction.poses[1].double().cpu().numpy(),
            prediction.pose_valid[1],
            prediction.validity,
            prediction.stats.get("inliers"),
            self._true_motion(older_ns, newer_ns),
        )
        return str(verdict.reason)

    def _place(
        self,
        prediction: Prediction,
        seen: tuple[ViewFeatures, ViewFeatures],
        ids: tuple[int, int],
        stamps: tuple[int, int],
    ) -> None:
        """Chain an accepted pair (older, newer) and keep its points."""
        (older_id, newer_id), (older_ns, newer_ns) = ids, stamps
        self.lens = self.lens or prediction.camera(0)
        geometry = PairGeometry.from_prediction(prediction, older_id, newer_id)
        self.pairs.append(TimedPair(older_ns, newer_ns, geometry.T_older_newer))
        step = self._chain.add(geometry, 1.0 if self._backend.needs_poses else None)
        track = self._tracks[step.segment]
        track.poses[older_ns], track.poses[newer_ns] = step.T_map_older, step.T_map_newer
        placed = prediction.transform(step.map_from_pair)
        if not track.voxel:
            track.voxel = relative_voxel(float(np.median(step.scale * geometry.depth_older)))
        views = (0, 1) if step.new_segment else (1,)
        for view in views:
            labels = self._label(placed, view, stamps[view], seen[view].image)
            track.clouds.append(voxel_downsample(cloud_from_view(placed, view, *labels), track.voxel))
        if placed.gaussians is not None:
            faint = placed.gaussians.opacities < MIN_OPACITY
            track.gaussians.append(replace(placed.gaussians.select(~faint), features=None))
        motion = self._true_motion(older_ns, newer_ns)
        if motion is not None:
            T_segment = np.linalg.inv(step.T_map_older) @ step.T_map_newer
            sample = sample_from_baseline(motion, T_segment).sample
            if sample is not None:
                track.metres_per_unit.append(sample.metres_per_unit)

    def _label(
        self, prediction: Prediction, view: int, stamp_ns: int, image: NDArray[np.uint8]
    ) -> Labels | tuple[None, None]:
        return (None, None) if self._labeller is None else self._labeller(prediction, view, stamp_ns, image)

    def segments(self) -> list[Segment]:
        """Return the segments, the one with most keyframes first."""
        found = []
        for number, track in self._tracks.items():
            known = len(track.metres_per_unit) >= MIN_SCALE_SAMPLES
            factor = float(np.median(track.metres_per_unit)) if known else None
            views = track.clouds
            cloud = union_clouds(views, track.voxel, MAP_POINTS)
            gaussians = Gaussians.concatenate(track.gaussians) if track.gaussians else None
            trajectory = Trajectory.from_unsorted(list(track.poses), list(track.poses.values()))
            if factor is not None:
                to_metres = Sim3.from_matrix(np.diag([factor, factor, factor, 1.0]))
                cloud, views = cloud.transform(to_metres), [view.transform(to_metres) for view in views]
                gaussians = None if gaussians is None else gaussians.transform(to_metres)
                poses = trajectory.poses.copy()
                poses[:, :3, 3] *= factor
                trajectory = Trajectory(trajectory.stamps_ns, poses)
            found.append(Segment(number, trajectory, cloud, tuple(views), gaussians, factor))
        return sorted(found, key=lambda s: (-len(s.trajectory), s.number))
