"""What one chained pair says about metres: samples of every source that has something to compare."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lsm_core.mapping import (
    ChainStep,
    SampleConfig,
    SampleResult,
    ScaleSample,
    ScaleSource,
    sample_from_baseline,
    sample_from_camera_height,
    sample_from_depth,
)
from lsm_core.mapping.pose_gate import MIN_RIG_BASELINE_M
from lsm_core.types import Prediction
from lsm_perception.products import Keyframe
from lsm_perception.rig_pair import RigPair

FloatMap = NDArray[np.float32]
UNSURE_TILT_DEG = 35.0  # of a floor against the image's vertical, for a camera whose pitch is not known
MIN_FLOOR_SHARE = 0.4  # of the pixels that may be floor


def pair_samples(
    older: Keyframe,
    newer: Keyframe,
    prediction: Prediction,
    step: ChainStep,
    rig: RigPair | None,
    camera_height_m: float,
    config: SampleConfig,
) -> list[ScaleSample]:
    """Return the samples of metres per segment unit that a chained pair gives.

    Args:
        older, newer: the pair, views 0 and 1 of the prediction.
        prediction: in the pair's own unit.
        step: its place in the chain.
        rig: the rig's pair of the newer keyframe; the pair itself where the older one is its second image.
        camera_height_m: height of the newer camera above the floor, 0 when it is not known.
        config: limits of odometry and depth.
    """
    results: list[SampleResult] = []
    T_older_newer = np.linalg.inv(step.T_map_older) @ step.T_map_newer
    if newer.depth_m is not None:
        results.append(depth_sample(newer, prediction, step.scale, config))
    if rig is not None and rig.accepted:
        if older is rig.second:
            limits = SampleConfig(min_baseline_m=MIN_RIG_BASELINE_M)
            results.append(
                sample_from_baseline(rig.T_second_primary, T_older_newer, ScaleSource.RIG, newer.stamp_ns, limits)
            )
        else:
            depth = step.scale * depth_map(prediction, 1)
            results.append(rig_sample(rig, depth, confidence_map(prediction, 1), newer.stamp_ns, config))
    if older.T_odom_cam is not None and newer.T_odom_cam is not None:
        T_metric = np.linalg.inv(older.T_odom_cam) @ newer.T_odom_cam
        results.append(sample_from_baseline(T_metric, T_older_newer, stamp_ns=newer.stamp_ns, config=config))
    if camera_height_m > 0 and newer.floor is not None:
        results.append(height_sample(newer, prediction, step.scale, camera_height_m, config))
    if prediction.unit == "metric":
        results.append(SampleResult(ScaleSample(1 / step.scale, ScaleSource.MODEL, 1.0, newer.stamp_ns)))
    return [result.sample for result in results if result.sample is not None]


def depth_sample(
    keyframe: Keyframe, prediction: Prediction, segment_per_pair: float, config: SampleConfig
) -> SampleResult:
    """Compare a keyframe's depth image with its predicted depth (view 1), in segment units."""
    assert keyframe.depth_m is not None
    return sample_from_depth(
        keyframe.depth_m,
        segment_per_pair * depth_map(prediction, 1),
        confidence_map(prediction, 1),
        prediction.grid_to_image[1].detach().cpu().double().numpy(),
        keyframe.stamp_ns,
        config,
    )


def rig_sample(
    rig: RigPair, depth_units: FloatMap, confidence: FloatMap, stamp_ns: int, config: SampleConfig
) -> SampleResult:
    """Compare the depth that a rig measures in metres with the same view's depth [h, w] in segment units."""
    measured = rig.depth_m()
    if measured.shape != depth_units.shape:
        return SampleResult(None, "few_pixels")
    return sample_from_depth(measured, depth_units, confidence, None, stamp_ns, config, ScaleSource.RIG)


def height_sample(
    keyframe: Keyframe, prediction: Prediction, segment_per_pair: float, height_m: float, config: SampleConfig
) -> SampleResult:
    """Compare the camera's known height with its distance from the floor in view 1, in segment units.

    Up is odometry's, which gravity aligns; without odometry it is the image's, with some room for a pitched camera.
    """
    assert keyframe.floor is not None
    points = prediction.pointmaps[1].detach().cpu().double().numpy()
    T_cam_pair = np.linalg.inv(prediction.poses[1].detach().cpu().double().numpy())
    points = segment_per_pair * (points[keyframe.floor] @ T_cam_pair[:3, :3].T + T_cam_pair[:3, 3])
    limits, up = replace(config, max_floor_tilt_deg=UNSURE_TILT_DEG), np.array([0.0, -1.0, 0.0])
    if keyframe.T_odom_cam is not None:
        limits, up = config, keyframe.T_odom_cam[2, :3]
    confidence = confidence_map(prediction, 1)[keyframe.floor]
    limits = replace(limits, min_floor_share=MIN_FLOOR_SHARE)
    return sample_from_camera_height(points.astype(np.float32), confidence, up, height_m, keyframe.stamp_ns, limits)


def depth_map(prediction: Prediction, view: int) -> FloatMap:
    """Return the depth [h, w] of a view in the prediction's unit."""
    return np.asarray(prediction.depth(view).detach().cpu().float().numpy())


def confidence_map(prediction: Prediction, view: int) -> FloatMap:
    """Return the confidence [h, w] of a view."""
    return np.asarray(prediction.confidence[view].detach().cpu().float().numpy())
