"""Every conversion on what Hypothesis thinks of: a round trip where there is one, else only the typed error."""

from __future__ import annotations

import contextlib
import math
from array import array

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from cv_bridge import CvBridge
from geometry_msgs.msg import Point, Pose, Quaternion, Transform, Vector3
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from lsm_perception.calibration import Calibration
from lsm_perception.conversions.camera_info import calibration_from_info, info_message
from lsm_perception.conversions.clouds import cloud_message, gaussians_message
from lsm_perception.conversions.detections import detections_message
from lsm_perception.conversions.errors import BadMessageError
from lsm_perception.conversions.images import decode_image, image_message, source_from_image
from lsm_perception.conversions.pixel_formats import PIXEL_FORMATS
from lsm_perception.conversions.poses import (
    matrix_from_pose,
    matrix_from_transform,
    pose_message,
    quaternion_xyzw,
    transform_message,
)
from lsm_perception.conversions.reports import keyframe_message, path_message, pose_with_covariance, scale_message
from lsm_perception.conversions.semantics import (
    UNLABELLED,
    label_info_message,
    label_message,
    mask_message,
    overlay,
    palette,
    score_message,
)
from lsm_perception.conversions.stamps import stamp_from_ns, stamp_to_ns
from lsm_perception.depth_source import DepthSource
from lsm_perception.mask_source import MaskSource
from raw_pictures import encoded, expected
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header

from lsm_core.errors import InputError
from lsm_core.mapping import (
    KeyframeAction,
    KeyframeDecision,
    KeyframeReason,
    PointCloud,
    ScaleEstimate,
    ScaleSource,
    ScaleState,
)
from lsm_core.query.instances import Instance
from lsm_core.types import Gaussians

ANY = st.floats(width=64)
COORDINATE = st.floats(-1e6, 1e6)
QUATERNION = arrays(np.float64, 4, elements=st.floats(-1, 1)).filter(lambda q: np.linalg.norm(q) > 0.1)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
SIDE = st.integers(16, 40)
STAMP = st.integers(-(2**31) * 10**9, 2**31 * 10**9 - 1)


@st.composite
def rigid(draw: st.DrawFn) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_quat(draw(QUATERNION)).as_matrix()
    T[:3, 3] = [draw(COORDINATE) for _ in range(3)]
    return T


def is_rigid(T: np.ndarray) -> bool:
    return bool(np.isfinite(T).all() and np.allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-6))


# images


@given(st.sampled_from(sorted(PIXEL_FORMATS)), SIDE, SIDE, st.integers(0, 9), st.booleans(), st.integers(0, 99))
def test_every_raw_encoding_of_any_size_and_padding_is_decoded(
    encoding: str, half_width: int, height: int, padding: int, big: bool, seed: int
) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, 2 * half_width, 3), dtype=np.uint8)
    message = encoded(rgb, encoding, big=big, padding=padding)
    source = source_from_image(message, "", 10**6, 0.0)
    found = source.decode()
    assert found.shape == rgb.shape and source.preview().shape == (height, 2 * half_width)
    if "bayer" not in encoding and "yu" not in encoding and encoding != "uyvy":
        assert np.array_equal(found, expected(rgb, encoding))


@given(
    arrays(np.uint8, st.tuples(SIDE, SIDE, st.just(3))),
    st.sampled_from([("rgb8", 3), ("mono8", 1)]),
    STAMP,
    TEXT,
)
def test_images_out_and_in_are_the_same(
    pixels: np.ndarray, form: tuple[str, int], stamp_ns: int, frame: str
) -> None:
    encoding, channels = form
    array_out = pixels if channels == 3 else pixels[..., 0]
    message = image_message(array_out, encoding, Header(stamp=stamp_from_ns(stamp_ns), frame_id=frame))
    back = decode_image(message)
    assert np.array_equal(back, pixels if channels == 3 else np.repeat(pixels[..., :1], 3, -1))
    assert stamp_to_ns(message.header.stamp) == stamp_ns and message.header.frame_id == frame


@given(
    st.sampled_from(["16UC1", "32FC1", "mono16", "mono8", "8UC1", "rgb8", ""]),
    st.integers(0, 40),
    st.integers(0, 40),
    st.integers(0, 200),
    st.binary(max_size=3000),
    st.booleans(),
)
def test_any_depth_or_mask_is_kept_or_refused(
    encoding: str, width: int, height: int, step: int, data: bytes, big: bool
) -> None:
    message = Image(width=width, height=height, step=step, encoding=encoding, data=array("B", data))
    message.is_bigendian = int(big)
    depth = DepthSource(10**4)
    try:
        depth.add(message)
    except (BadMessageError, ValueError):
        assert depth.at(0, width, height) is None
    else:
        found = depth.at(0, width, height)
        assert found is not None and found.shape == (height, width)
        assert not (found <= 0).any() and not np.isinf(found).any()
    masks = MaskSource(10**4, 1.0, lambda _: None)
    with contextlib.suppress(BadMessageError):
        masks.add(message)


# camera_info


@given(
    k=st.lists(ANY, min_size=9, max_size=9),
    p=st.lists(ANY, min_size=12, max_size=12),
    d=st.lists(ANY, max_size=15),
    model=st.sampled_from(["", "plumb_bob", "rational_polynomial", "equidistant", "x"]),
    binning=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 4)),
    roi=st.tuples(*[st.one_of(st.integers(0, 80), st.integers(0, 2**32 - 1))] * 4),
    size=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 80)),
    rectified=st.booleans(),
)
def test_any_camera_info_is_used_or_refused(k, p, d, model, binning, roi, size, rectified) -> None:  # type: ignore[no-untyped-def]
    message = CameraInfo(width=size[0], height=size[1], k=k, p=p, d=d, distortion_model=model)
    message.binning_x, message.binning_y = binning
    message.roi = RegionOfInterest(x_offset=roi[0], y_offset=roi[1], width=roi[2], height=roi[3])
    try:
        found = calibration_from_info(message, 64, 48, rectified)
    except BadMessageError:
        return
    assert found is None or (found.K is not None and np.isfinite(found.K).all())


@given(
    focal=st.floats(20, 2000),
    centre=st.tuples(st.floats(-50, 100), st.floats(-50, 100)),
    d=st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=5),
)
def test_any_distortion_is_undone_without_an_error(
    focal: float, centre: tuple[float, float], d: list[float]
) -> None:
    """Coefficients that fold the image give nonsense, never an exception, nor another size."""
    K = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]])
    calibration = Calibration(32, 24, K, np.array(d))
    assert calibration.undistort(np.zeros((24, 32, 3), np.uint8)).shape == (24, 32, 3)
    assert calibration.to_source(np.zeros((24, 32), np.int32), -1).shape == (24, 32)
    assert calibration.undistort_mask(np.ones((24, 32), bool)).dtype == bool


@given(st.floats(20, 2000), st.floats(-50, 100), st.floats(-50, 100))
def test_calibrations_survive_a_round_trip(focal: float, cx: float, cy: float) -> None:
    K = np.array([[focal, 0, cx], [0, 1.1 * focal, cy], [0, 0, 1]])
    for rectified in (False, True):
        found = calibration_from_info(info_message(K, 64, 48, Header()), 64, 48, rectified)
        assert found is not None and np.allclose(found.K, K, rtol=1e-12) and not found.distorted


# poses


@given(rigid(), STAMP)
def test_transforms_survive_a_round_trip(T: np.ndarray, stamp_ns: int) -> None:
    message = transform_message(T, "a", "b", stamp_ns)
    assert np.allclose(matrix_from_transform(message.transform), T, atol=1e-9, rtol=1e-12)
    assert np.allclose(matrix_from_pose(pose_message(T)), T, atol=1e-9, rtol=1e-12)
    assert stamp_to_ns(message.header.stamp) == stamp_ns
    x, y, z, w = quaternion_xyzw(T)
    assert math.isclose(x * x + y * y + z * z + w * w, 1.0)


@given(st.lists(ANY, min_size=7, max_size=7))
def test_any_pose_is_rigid_or_refused(v: list[float]) -> None:
    q = Quaternion(x=v[3], y=v[4], z=v[5], w=v[6])
    for message, convert in (
        (Pose(position=Point(x=v[0], y=v[1], z=v[2]), orientation=q), matrix_from_pose),
        (Transform(translation=Vector3(x=v[0], y=v[1], z=v[2]), rotation=q), matrix_from_transform),
    ):
        try:
            T = convert(message)
        except InputError:
            assert not np.isfinite(v).all() or np.linalg.norm(np.array(v[3:], np.longdouble)) < 1e-5
        else:
            assert is_rigid(T)
            unit = np.array(v[3:], np.longdouble)
            unit = (unit / np.linalg.norm(unit)).astype(float)
            assert np.allclose(T[:3, :3], Rotation.from_quat(unit).as_matrix(), atol=1e-6)


# clouds


@given(st.integers(0, 40), st.integers(0, 2**32 - 1), st.booleans())
def test_clouds_survive_a_round_trip_without_what_is_not_finite(count: int, seed: int, spoilt: bool) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 100, (count, 3)).astype(np.float32)
    if spoilt and count:
        points[rng.integers(count), rng.integers(3)] = rng.choice([np.nan, np.inf, -np.inf])
    cloud = PointCloud(
        points,
        rng.integers(0, 256, (count, 3), dtype=np.uint8),
        rng.random(count, np.float32),
        rng.integers(0, 2**16, count, dtype=np.uint16),
        rng.random(count, np.float32),
    )
    message = cloud_message(cloud, Header(frame_id="cam"))
    rows = point_cloud2.read_points(message)
    kept = cloud.select(np.isfinite(points).all(1))
    assert message.is_dense and message.width == len(kept) and message.row_step == len(message.data)
    assert np.array_equal(np.stack([rows["x"], rows["y"], rows["z"]], -1), kept.points)
    packed = np.ascontiguousarray(rows["rgb"]).view(np.uint32)
    assert np.array_equal(np.stack([packed >> 16, packed >> 8 & 255, packed & 255], -1), kept.rgb)
    for name in ("confidence", "label", "score"):
        assert np.array_equal(rows[name], getattr(kept, name))


@given(st.integers(0, 20), st.integers(0, 2**32 - 1))
def test_gaussians_survive_a_round_trip(count: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    quats = torch.nn.functional.normalize(torch.randn(count, 4, generator=g), dim=1)
    scales, opacities = torch.rand(count, 3, generator=g) + 1e-4, torch.rand(count, generator=g)
    sh = torch.randn(count, 4, 3, generator=g)
    given_in = Gaussians(torch.randn(count, 3, generator=g), quats, scales, opacities, sh)
    rows = point_cloud2.read_points_numpy(gaussians_message(given_in, Header()))
    assert rows.shape == (count, 14) and np.isfinite(rows).all()
    assert np.allclose(rows[:, 0:3], given_in.means) and np.allclose(rows[:, 3:6], sh[:, 0])
    assert np.allclose(1 / (1 + np.exp(-rows[:, 6])), opacities.clamp(1e-6, 1 - 1e-6), atol=1e-5)
    assert np.allclose(np.exp(rows[:, 7:10]), scales, rtol=1e-4) and np.allclose(rows[:, 10:], quats)


# semantics, detections, reports


@given(arrays(np.int32, st.tuples(SIDE, SIDE), elements=st.integers(-1, 63)))
def test_labels_survive_a_round_trip(labels: np.ndarray) -> None:
    found = CvBridge().imgmsg_to_cv2(label_message(labels, Header())).astype(np.int32)
    assert np.array_equal(np.where(found == UNLABELLED, -1, found), labels)
    rgb = np.full((*labels.shape, 3), 77, np.uint8)
    mixed = overlay(rgb, labels, 64)
    assert np.array_equal((mixed == 77).all(-1) | (labels >= 0), np.ones(labels.shape, bool))
    assert (rgb == 77).all()


@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=30), elements=st.floats(0, 1, width=32)))
def test_scores_and_masks_survive_a_round_trip(scores: np.ndarray) -> None:
    assert np.array_equal(CvBridge().imgmsg_to_cv2(score_message(scores, Header())), scores)
    mask = CvBridge().imgmsg_to_cv2(mask_message(scores > 0.5, Header()))
    assert np.array_equal(mask == 255, scores > 0.5) and set(np.unique(mask)) <= {0, 255}


@given(st.lists(TEXT, max_size=64), st.floats(-1, 1, width=32))
def test_any_texts_make_a_label_table(texts: list[str], threshold: float) -> None:
    message = label_info_message(texts, threshold, Header())
    names = {c.class_id: c.class_name for c in message.class_map}
    assert [names[i] for i in range(len(texts))] == texts and names[UNLABELLED] == "unlabelled"
    assert len(palette(len(texts))) == len(texts) and message.threshold == np.float32(threshold)


@given(st.lists(st.tuples(rigid(), st.integers(0, 2), st.floats(0, 1), st.integers(0, 9)), max_size=4), rigid())
def test_detections_keep_label_score_place_and_id(things: list, T_out_frame: np.ndarray) -> None:
    texts = ("chair", "", "Stuhl ü")
    instances = [
        Instance(label, score, 80, T[:3, 3], T, np.abs(T[:3, 3]) + 0.1, number)
        for T, label, score, number in things
    ]
    message = detections_message(instances, texts, T_out_frame, Header(frame_id="cam"))
    assert len(message.detections) == len(instances)
    for found, (T, label, score, number) in zip(message.detections, things, strict=True):
        assert found.results[0].hypothesis.class_id == texts[label]
        assert found.results[0].hypothesis.score == score and found.id == (str(number) if number else "")
        there = matrix_from_pose(found.bbox.center)
        assert is_rigid(there) and np.allclose(there[:3, 3], (T_out_frame @ T)[:3, 3], rtol=1e-9)


FIGURE = st.one_of(st.floats(0, 1e6, width=32), st.just(math.nan))


@given(FIGURE, FIGURE, FIGURE, STAMP, TEXT, st.sampled_from(list(KeyframeReason)))
def test_keyframe_reports_keep_their_figures(
    overlap: float, parallax: float, blur: float, stamp_ns: int, camera: str, reason: KeyframeReason
) -> None:
    decision = KeyframeDecision(KeyframeAction.KEEP, reason, stamp_ns, overlap, parallax, blur, 3)
    source = Header(stamp=stamp_from_ns(stamp_ns), frame_id="cam")
    message = keyframe_message(source, camera, 7, 0, reason.value, decision)
    assert np.array_equal([message.overlap, message.parallax_deg, message.blur], [overlap, parallax, blur], True)
    assert (message.camera, message.reason, stamp_to_ns(message.header.stamp)) == (camera, reason.value, stamp_ns)


@given(st.sampled_from(list(ScaleState)), st.sampled_from(list(ScaleSource)), FIGURE, FIGURE, st.integers(0, 2**31))
def test_scale_reports_keep_their_figures(
    state: ScaleState, source: ScaleSource, metres: float, spread: float, count: int
) -> None:
    estimate = ScaleEstimate(state, source, metres, spread, count, count, 0)
    message = scale_message(estimate, "left", Header(frame_id="cam"))
    assert np.array_equal([message.metres_per_unit, message.spread], [metres, spread], True)
    assert (message.source, message.epoch, message.samples) == (source.value, count, count)


@given(st.lists(st.tuples(STAMP, rigid()), max_size=5), arrays(np.float64, (6, 6), elements=ANY))
def test_paths_and_covariances_keep_their_numbers(poses: list, covariance: np.ndarray) -> None:
    path = path_message(Header(frame_id="map"), [(t, pose_message(T)) for t, T in poses])
    assert [stamp_to_ns(p.header.stamp) for p in path.poses] == [t for t, _ in poses]
    assume(poses)
    message = pose_with_covariance(poses[0][1], covariance)
    assert np.array_equal(message.covariance, covariance.ravel(), True)
    assert np.allclose(matrix_from_pose(message.pose), poses[0][1], atol=1e-9, rtol=1e-12)
