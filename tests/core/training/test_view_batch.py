"""Views cropped, scaled and mirrored stay true: their depth still fits from one picture into the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lsm_core.data.box_rooms import BoxRoom
from lsm_core.data.overlap import seen_share
from lsm_core.data.views import PosedView, ViewSample
from lsm_core.errors import InputError
from lsm_core.training.view_batch import Fitting, fit_view, mirror_view, view_batch

ROOM = BoxRoom(5, frames=8, height=60, width=96)
FITTINGS = (Fitting(48, 48, "cover"), Fitting(48, 48, "principal point"), Fitting(48, 48, "principal point", 16))


def off_centre(view: PosedView) -> PosedView:
    """Cut a border off, so that the principal point is not in the middle."""
    K = view.K.copy()
    K[:2, 2] -= (10, 4)
    assert view.depth is not None
    return PosedView(view.image[4:, 10:].copy(), K, view.T_world_cam, view.depth[4:, 10:].copy(), name=view.name)


@pytest.mark.parametrize("fitting", FITTINGS, ids=lambda f: f"{f.crop} {f.aug_crop}")
@pytest.mark.parametrize("mirrored", [False, True])
def test_what_one_view_sees_is_still_where_the_other_sees_it(fitting: Fitting, mirrored: bool) -> None:
    rng = np.random.default_rng(0)
    views = [fit_view(off_centre(ROOM.view(k)), fitting, rng) for k in (2, 4)]
    a, b = (mirror_view(view) for view in views) if mirrored else views
    assert a.size == (48, 48) and a.depth is not None and b.depth is not None
    assert seen_share(a.depth, a.K, a.T_world_cam, b.depth, b.K, b.T_world_cam) > 0.6
    T_wrong = b.T_world_cam.copy()
    T_wrong[:3, 3] += 0.5
    assert seen_share(a.depth, a.K, a.T_world_cam, b.depth, b.K, T_wrong) < 0.45


def test_the_principal_point_is_in_the_middle_after_a_crop_about_it() -> None:
    fitted = fit_view(off_centre(ROOM.view(2)), FITTINGS[1], np.random.default_rng(0))
    assert fitted.K[:2, 2] == pytest.approx([23.5, 23.5], abs=1.0)


def test_pixels_that_are_not_to_be_used_lose_their_depth_and_are_marked() -> None:
    view = ROOM.view(2)
    mask = np.ones(view.size, bool)
    mask[:, :48] = False
    fitted = fit_view(replace(view, mask=mask), FITTINGS[0], np.random.default_rng(0))
    assert fitted.mask is not None and fitted.depth is not None
    assert not fitted.mask[:, :23].any() and fitted.mask[:, 25:].all()
    assert np.array_equal(fitted.depth > 0, fitted.mask)


def test_a_sample_does_not_depend_on_its_batch() -> None:
    samples = [ViewSample("r", (ROOM.view(k), ROOM.view(k + 2)), (ROOM.view(k + 1),)) for k in range(3)]
    fitting = replace(FITTINGS[2], mirror=0.5)
    whole = view_batch(samples, fitting, [np.random.default_rng(k) for k in range(3)])
    alone = view_batch(samples[2:], fitting, [np.random.default_rng(2)])
    assert torch.equal(whole.context.image[2:], alone.context.image)
    assert torch.equal(whole.targets.K[2:], alone.targets.K)
    assert whole.context.image.shape == (3, 2, 3, 48, 48) and whole.targets.depth.shape == (3, 1, 48, 48)


def test_samples_of_different_shape_are_refused() -> None:
    one, two = ViewSample("r", (ROOM.view(0),)), ViewSample("r", (ROOM.view(0), ROOM.view(1)))
    with pytest.raises(InputError, match="views"):
        view_batch([one, two], FITTINGS[0], [np.random.default_rng(0)] * 2)
