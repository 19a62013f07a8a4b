"""Cameras of a pair as backends give them: each choice that the options offer, on what a perfect network says."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from known_orders import FOCAL, H, W, moved, noise, orders, pose, seen_points

from lsm_core.backends.pair_geometry import CameraOptions, pair_geometry
from lsm_core.geometry import in_image, transform_points
from lsm_core.geometry.features import Matches
from lsm_core.geometry.pair_cameras import OrderedPrediction

UNKNOWN = (None, None)
T_0_1 = pose(0.3, 8.0)


@pytest.mark.parametrize("sure", [(5.0, 4.0), (4.0, 5.0)])
@pytest.mark.parametrize("reference", ["first", "confidence"])
@pytest.mark.parametrize("unit", [1.0, 2.5])
def test_the_pose_is_that_of_camera_1_in_camera_0_in_the_unit_of_the_first_order(
    sure: tuple[float, float], reference: str, unit: float
) -> None:
    options = CameraOptions(reference=reference)  # type: ignore[arg-type]
    found = pair_geometry(orders(T_0_1, sure, unit), UNKNOWN, options)
    assert found.pose_valid == [True, True] and found.validity > 0.9
    torch.testing.assert_close(found.poses[1], T_0_1, atol=2e-3, rtol=2e-3)
    assert torch.equal(found.poses[0], torch.eye(4))


def test_by_confidence_the_surer_order_is_used(sure: tuple[float, float] = (4.0, 5.0)) -> None:
    given = orders(T_0_1, sure)
    given[0] = replace(given[0], other=noise())  # the less sure order knows nothing of view 1
    assert pair_geometry(given, UNKNOWN).pose_valid == [True, False]
    found = pair_geometry(given, UNKNOWN, CameraOptions(reference="confidence"))
    assert found.pose_valid == [True, True]
    torch.testing.assert_close(found.poses[1], T_0_1, atol=2e-3, rtol=2e-3)
    given[0] = replace(given[0], own_confidence=given[0].own_confidence + 9)  # and now it is the surer one
    assert pair_geometry(given, UNKNOWN, CameraOptions(reference="confidence")).pose_valid == [True, False]


def test_a_pose_that_is_not_found_is_no_identity() -> None:
    given = orders(T_0_1)
    given[0] = replace(given[0], other=noise())
    found = pair_geometry(given, UNKNOWN)
    assert found.pose_valid == [True, False] and found.validity == 0.0
    assert bool(found.poses[1].isnan().all())


def test_the_robust_focal_length_is_the_default_and_weiszfeld_the_references() -> None:
    given = orders(T_0_1)
    points = given[0].own.clone()
    points[H // 3, W // 3] = torch.tensor([1.0, 1.0, 1e-7])  # one pixel beside the camera plane
    given[0] = replace(given[0], own=points)
    robust = pair_geometry(given, UNKNOWN).intrinsics
    reference = pair_geometry(given, UNKNOWN, CameraOptions(focal="weiszfeld")).intrinsics
    assert float(robust[0][0, 0]) == pytest.approx(FOCAL, rel=1e-3)
    assert float(reference[0][0, 0]) == W  # it collapses to 0, and a wide view is taken instead
    assert float(reference[1][0, 0]) == pytest.approx(FOCAL, rel=1e-3)  # the other view has no such pixel


def two_focals() -> list[OrderedPrediction]:
    """Return both orders of views taken with focal lengths of 60 and 80 pixels."""
    views, sure = [seen_points(0, 60.0), seen_points(1, 80.0)], torch.full((H, W), 5.0)
    back = torch.linalg.inv(T_0_1)
    return [
        OrderedPrediction(views[0], sure, moved(views[1], T_0_1), sure),
        OrderedPrediction(views[1], sure, moved(views[0], back), sure),
    ]


def test_focal_lengths_are_averaged_on_request_and_where_none_is_known() -> None:
    def focals(known: tuple[torch.Tensor | None, torch.Tensor | None], average: bool) -> list[float]:
        found = pair_geometry(two_focals(), known, CameraOptions(average_focal=average))
        return [float(K[0, 0]) for K in found.intrinsics]

    assert focals(UNKNOWN, False) == pytest.approx([60.0, 80.0], rel=1e-3)
    assert focals(UNKNOWN, True) == pytest.approx([70.0, 70.0], rel=1e-3)
    given = torch.tensor([[61.0, 0, W / 2], [0, 61.0, H / 2], [0, 0, 1]])
    assert focals((given, None), True) == pytest.approx([61.0, 80.0], rel=1e-3)


def test_a_still_camera_has_a_pose_and_no_validity() -> None:
    found = pair_geometry(orders(torch.eye(4)), UNKNOWN)
    torch.testing.assert_close(found.poses[1], torch.eye(4), atol=2e-3, rtol=0)
    assert found.stats["parallax_deg"] < 0.2 and found.validity < 0.6


def test_views_that_share_nothing_have_little_validity() -> None:
    assert pair_geometry(orders(pose(0.3, 120.0)), UNKNOWN).validity == 0.0


def test_pixels_that_no_order_trusts_give_no_pose() -> None:
    found = pair_geometry(orders(T_0_1, (2.0, 1.5)), UNKNOWN)
    assert found.pose_valid == [True, False]
    assert pair_geometry(orders(T_0_1, (2.0, 1.5)), UNKNOWN, CameraOptions(min_confidence=1.0)).pose_valid[1]


K = torch.tensor([[FOCAL, 0, W / 2], [0, FOCAL, H / 2], [0, 0, 1]])


def test_one_order_is_enough_where_the_second_views_intrinsics_are_known() -> None:
    found = pair_geometry(orders(T_0_1)[:1], (None, K))
    assert found.pose_valid == [True, True] and found.validity > 0.9
    torch.testing.assert_close(found.poses[1], T_0_1, atol=2e-3, rtol=2e-3)
    assert float(found.intrinsics[0][0, 0]) == pytest.approx(FOCAL, rel=1e-3)


def true_matches() -> Matches:
    """Return pixels of view 0 and where view 1 sees their points."""
    points = orders(T_0_1)[0].own
    y, x = torch.meshgrid(torch.arange(2, H, 4), torch.arange(2, W, 4), indexing="ij")
    seen = transform_points(torch.linalg.inv(T_0_1), points[y, x].reshape(-1, 3)) @ K.T
    pixels1 = seen[:, :2] / seen[:, 2:]
    inside = in_image(pixels1, H, W)
    pixels0 = torch.stack((x, y), -1).reshape(-1, 2)
    return Matches(pixels0[inside].double().numpy(), pixels1[inside].double().numpy())


def test_with_matches_the_pose_comes_from_view_0s_points_alone() -> None:
    given = orders(T_0_1)
    given[0] = replace(given[0], other=noise())  # view 1's own points are worth nothing
    matches = true_matches()
    found = pair_geometry(given, (K, K), matches=matches)
    assert found.pose_valid == [True, True] and found.stats["matches"] == len(matches)
    torch.testing.assert_close(found.poses[1], T_0_1, atol=2e-3, rtol=2e-3)
    shuffled = torch.randperm(len(matches), generator=torch.Generator().manual_seed(0)).numpy()
    wrong = Matches(matches.pixels0, matches.pixels1[shuffled])
    lost = pair_geometry(given, (K, K), CameraOptions(max_error_px=1.0), matches=wrong)
    assert lost.pose_valid == [True, False] and lost.stats["matches"] == len(matches)
    none = Matches(matches.pixels0[:0], matches.pixels1[:0])
    assert pair_geometry(given, (K, K), matches=none).pose_valid == [True, False]
