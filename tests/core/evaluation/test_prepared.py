"""Crops of the protocols: what a cropped camera sees is what the room looks like from there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from box_room import ROOM, view

from lsm_core.data.views import PosedView, ViewSample
from lsm_core.evaluation.prepared import (
    Crop,
    cropped_about_principal_point,
    cropped_to_cover,
    padded_and_covered,
    prepared,
)
from lsm_core.geometry.camera import transform_points, unproject

SIDE = 40


def world_points(seen: PosedView) -> torch.Tensor:
    """Return [h, w, 3] of a view's depth in the world, NaN where there is none."""
    assert seen.depth is not None
    depth = torch.from_numpy(seen.depth)
    points = transform_points(
        torch.from_numpy(seen.T_world_cam).float(), unproject(depth, torch.from_numpy(seen.K))
    )
    return torch.where(depth[..., None] > 0, points, torch.nan)


def off_the_box(points: torch.Tensor) -> torch.Tensor:
    """Return how far points are from the nearest wall of the room, metres."""
    return (ROOM.float() - points.abs()).abs().amin(-1)


@pytest.mark.parametrize("crop", [cropped_to_cover, cropped_about_principal_point, padded_and_covered])
def test_depth_and_camera_of_a_crop_still_belong_together(crop: Crop) -> None:
    seen = view(3)
    found = crop(seen, SIDE)
    assert found.size == (SIDE, SIDE) and found.label is not None and found.label.shape == (SIDE, SIDE)
    centre = (SIDE - 1) / 2
    assert found.K[0, 2] == pytest.approx(centre, abs=0.6) and found.K[1, 2] == pytest.approx(centre, abs=0.6)
    assert float(off_the_box(world_points(seen)).max()) < 1e-4
    off = off_the_box(world_points(found))
    assert float(off.nanmedian()) < 0.02, "half a pixel beside its place would be more"
    assert set(np.unique(found.label)) <= {0, 1, 2, 3}


def test_a_principal_point_off_the_middle_is_padded_there() -> None:
    whole = view(3)
    cut = slice(9, None)
    assert whole.depth is not None and whole.label is not None
    K = whole.K.copy()
    K[0, 2] -= 9
    seen = replace(whole, image=whole.image[:, cut], depth=whole.depth[:, cut], label=whole.label[:, cut], K=K)
    found = padded_and_covered(seen, 48)
    assert found.K[0, 2] == pytest.approx(23.5) and found.K[1, 2] == pytest.approx(23.5)
    np.testing.assert_array_equal(found.image, whole.image[:, 8:56] * (np.arange(8, 56) >= 9)[None, :, None])
    assert float(off_the_box(world_points(found)).nan_to_num().max()) < 1e-4


def test_all_views_of_a_sample_are_cropped_and_poses_stay() -> None:
    sample = ViewSample("room", (view(0), view(4)), (view(2),))
    found = prepared(sample, cropped_to_cover, SIDE)
    assert all(v.size == (SIDE, SIDE) for v in (*found.context, *found.targets))
    np.testing.assert_array_equal(found.targets[0].T_world_cam, view(2).T_world_cam)
