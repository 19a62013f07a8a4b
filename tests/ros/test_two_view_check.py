"""The check by matched features: the same answer beside the model as after it, and each keyframe looked at once."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lsm_perception import two_view_check as module
from lsm_perception.calibration import Calibration
from lsm_perception.products import Keyframe
from lsm_perception.two_view_check import WIDTH, TwoViewChecker

from lsm_core.evaluation.bench_scene import textured_pair
from lsm_core.geometry import two_view_pose
from lsm_core.mapping import small_gray, small_intrinsics
from lsm_core.types import ViewFeatures

SCENE = textured_pair(640, 480, 0)
IMAGES = [view.image for view in SCENE.views]
MATRICES = [torch.as_tensor(view.K, dtype=torch.float64) for view in SCENE.views]


def keyframe(number: int, image: Any, K: Any = None) -> Keyframe:
    """Return a keyframe of an image, calibrated or not."""
    encoded = ViewFeatures("any", image, K, torch.eye(3), {})
    height, width = image.shape[:2]
    return Keyframe(
        id=number,
        stamp_ns=1000 + number,
        camera="",
        frame_id="camera",
        segment=0,
        T_map_cam=None,
        prediction=None,
        view=0,
        encoded=encoded,
        calibration=Calibration(width, height),
        T_odom_cam=None,
    )


def prediction() -> Any:
    """Return what the check reads of a prediction."""
    return SimpleNamespace(grid_to_image=[torch.eye(3)] * 2, intrinsics=MATRICES)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with each image whose features are found."""
    found: list[int] = []
    original = module.find_features

    def noted(gray: Any) -> Any:
        found.append(gray.shape[1])
        return original(gray)

    monkeypatch.setattr(module, "find_features", noted)
    return found


def test_the_answer_is_that_of_the_two_view_pose_of_the_reduced_images() -> None:
    grays = [small_gray(image, WIDTH) for image in IMAGES]
    K0, K1 = (small_intrinsics(K.numpy(), (480, 640), gray) for K, gray in zip(MATRICES, grays, strict=True))
    expected = two_view_pose(grays[0], grays[1], K0, K1)
    found = TwoViewChecker().check(keyframe(1, IMAGES[0]), keyframe(2, IMAGES[1]), prediction())
    assert found is not None
    assert np.array_equal(found.R_older_newer, expected.R_cam0_cam1.double().numpy())
    assert found.inliers == expected.inlier_count > 60


@pytest.mark.parametrize("calibrated", [True, False])
def test_looking_beside_the_model_changes_nothing(calibrated: bool) -> None:
    older, newer = (keyframe(i, IMAGES[i], MATRICES[i] if calibrated else None) for i in range(2))
    alone, prepared = TwoViewChecker(), TwoViewChecker()
    prepared.prepare(older, newer)
    # The pipeline adds to a keyframe what it learns meanwhile.
    first, second = (c.check(older, replace(newer, segment=3), prediction()) for c in (alone, prepared))
    assert first is not None and second is not None
    assert np.array_equal(first.R_older_newer, second.R_older_newer)
    assert first.inliers == second.inliers


def test_a_calibration_goes_before_the_intrinsics_of_the_prediction() -> None:
    wrong = SimpleNamespace(
        grid_to_image=[torch.eye(3)] * 2, intrinsics=[torch.diag(torch.tensor([9.0, 9.0, 1.0]))] * 2
    )
    right = TwoViewChecker().check(keyframe(1, IMAGES[0]), keyframe(2, IMAGES[1]), prediction())
    calibrated = [keyframe(i, IMAGES[i], MATRICES[i]) for i in range(2)]
    found = TwoViewChecker().check(calibrated[0], calibrated[1], wrong)  # type: ignore[arg-type]
    assert right is not None and found is not None
    assert np.array_equal(found.R_older_newer, right.R_older_newer)


def test_each_keyframe_is_looked_at_once(looked: list[int]) -> None:
    checker = TwoViewChecker()
    frames = [keyframe(i, image) for i, image in enumerate((IMAGES[0], IMAGES[1], IMAGES[0].copy()))]
    for older, newer in ((frames[0], frames[1]), (frames[0], frames[1]), (frames[1], frames[2])):
        checker.prepare(older, newer)
        assert checker.check(older, newer, prediction()) is not None
    assert looked == [WIDTH] * 3


def test_another_image_under_the_same_id_is_looked_at_anew(looked: list[int]) -> None:
    checker = TwoViewChecker()
    for image in (IMAGES[0], IMAGES[1]):
        checker.check(keyframe(7, image), keyframe(8, IMAGES[1]), prediction())
    assert len(looked) == 3


def test_what_was_prepared_for_another_pair_is_not_used() -> None:
    blank = np.full_like(IMAGES[0], 90)
    checker = TwoViewChecker()
    older, newer = keyframe(1, IMAGES[0]), keyframe(2, IMAGES[1])
    checker.prepare(older, keyframe(3, blank))
    assert checker.check(older, newer, prediction()) is not None
    checker.prepare(older, newer)
    assert checker.check(older, keyframe(3, blank), prediction()) is None


def test_keyframes_without_images_have_no_check() -> None:
    older, newer = keyframe(1, IMAGES[0]), replace(keyframe(2, IMAGES[1]), encoded=None)
    checker = TwoViewChecker()
    checker.prepare(older, newer)
    assert checker.check(older, newer, prediction()) is None


def test_a_failure_in_the_thread_is_raised_where_the_answer_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(gray: Any) -> Any:
        raise RuntimeError("no features today")

    monkeypatch.setattr(module, "find_features", fail)
    older, newer = keyframe(1, IMAGES[0]), keyframe(2, IMAGES[1])
    checker = TwoViewChecker()
    checker.prepare(older, newer)
    with pytest.raises(RuntimeError, match="no features today"):
        checker.check(older, newer, prediction())
