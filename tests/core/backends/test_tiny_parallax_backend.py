"""lsm-tiny with depth from parallax: better depth, one unit, images of any size, intrinsics known or not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from parallax_room import moved, photograph

from lsm_core.backends.tiny import TinyBackend, TinyOptions, load
from lsm_core.backends.tiny_full_resolution import FullResolutionOptions
from lsm_core.evaluation.depth_metrics import depth_error
from lsm_core.evaluation.grid import sample_on_grid
from lsm_core.geometry import project, transform_points
from lsm_core.types import Prediction

T_1_0 = moved(0.35, 0.05, -0.1)
FIRST, SECOND = photograph(np.eye(4), 4), photograph(T_1_0, 3)  # 384x288 and 288x216


@pytest.fixture(scope="module")
def backends() -> tuple[TinyBackend, TinyBackend]:
    """Without and with depth from parallax; both refine the pose."""
    full = FullResolutionOptions()
    without = load(torch.device("cpu"), None, TinyOptions(full_resolution=FullResolutionOptions(parallax=None)))
    return without, TinyBackend(without.network, without.device, without.card, TinyOptions(full_resolution=full))


def predict(backend: TinyBackend, known: bool = True) -> Prediction:
    return backend.predict([FIRST[0], SECOND[0]], [FIRST[1], SECOND[1]] if known else None)


def absrel(prediction: Prediction, view: int) -> float:
    true = torch.from_numpy((FIRST, SECOND)[view][2].astype(np.float32))
    return depth_error(prediction.depth(view), sample_on_grid(prediction, view, true)).absrel


def test_depth_of_both_views_gains_and_confidence_rises(backends: tuple[TinyBackend, TinyBackend]) -> None:
    before, after = (predict(backend) for backend in backends)
    for view in range(2):
        assert absrel(after, view) < 0.6 * absrel(before, view)
        assert bool((after.confidence[view] >= before.confidence[view]).all())
        assert float(after.confidence[view].median()) > 1.2 * float(before.confidence[view].median())


def test_the_translation_is_in_the_unit_of_the_depth(backends: tuple[TinyBackend, TinyBackend]) -> None:
    prediction = predict(backends[1])
    true = sample_on_grid(prediction, 0, torch.from_numpy(FIRST[2].astype(np.float32)))
    unit = float((prediction.depth(0) / true).median())
    assert float(prediction.poses[1][:3, 3].norm()) == pytest.approx(unit * np.linalg.norm(T_1_0[:3, 3]), rel=0.1)


@pytest.mark.parametrize("known", [True, False])
def test_view_1_still_reprojects_onto_its_own_grid(backends: tuple[TinyBackend, TinyBackend], known: bool) -> None:
    prediction = predict(backends[1], known)
    assert prediction.pose_valid[1]
    in_1 = transform_points(torch.linalg.inv(prediction.poses[1]), prediction.pointmaps[1])
    pixels = project(in_1, prediction.intrinsics[1])[0]
    height, width = pixels.shape[:2]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    torch.testing.assert_close(pixels, torch.stack((x, y), -1).float(), atol=1e-2, rtol=0)


def test_guessed_intrinsics_gain_as_well(backends: tuple[TinyBackend, TinyBackend]) -> None:
    before, after = (predict(backend, known=False) for backend in backends)
    assert absrel(after, 0) < 0.9 * absrel(before, 0)


def test_the_same_images_give_the_same_prediction(backends: tuple[TinyBackend, TinyBackend]) -> None:
    first, second = predict(backends[1]), predict(backends[1])
    torch.testing.assert_close(first.pointmaps[1], second.pointmaps[1], atol=0, rtol=0)
