"""pixelSplat behind the common API: frames, units, randomness, colours, and what it refuses."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lsm_core import load_backend
from lsm_core.backends import load_semantics, with_semantics
from lsm_core.backends.pixelsplat import PixelsplatBackend, PixelsplatOptions, load, standard_gaussians
from lsm_core.backends.pixelsplat_files import three_views
from lsm_core.backends.seeded_pixelsplat import SMALL, write_pixelsplat
from lsm_core.backends.semantic_source import nearest_features
from lsm_core.errors import InputError
from lsm_core.geometry import invert, project, se3_exp, transform_points
from lsm_core.geometry.permuted_harmonics import degree_mask, permuted_basis
from lsm_core.geometry.wigner import rotate_coefficients
from lsm_core.mapping import drawn_gaussians, single_view
from lsm_core.nn.depth_buckets import BucketChoice
from lsm_core.nn.pixelsplat import DepthHead, PixelsplatOutput
from lsm_core.nn.ray_gaussians import RayGaussians
from lsm_core.render import render
from lsm_core.sh import C0
from lsm_core.types import Camera, Gaussians

CPU = torch.device("cpu")
SIZE = 48
K = np.array([[110.0, 0, 61], [0, 105.0, 47], [0, 0, 1]])


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pixelsplat") / "three.ckpt"
    write_pixelsplat(path, three_views(SMALL))
    return path


@pytest.fixture(scope="module")
def backend(weights: Path) -> PixelsplatBackend:
    return load(CPU, weights, PixelsplatOptions(size=SIZE))


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (96, 120, 3), dtype=np.uint8)


PICTURES = [picture(seed) for seed in range(3)]


def poses(count: int, scale: float = 1.0) -> list[Tensor]:
    """Return cameras a little apart and turned, the first at the origin."""
    out = []
    for v in range(count):
        T = se3_exp(torch.tensor([0.25 * v, 0.05 * v, -0.04 * v, 0.03 * v, -0.08 * v, 0.02 * v]).double())
        T[:3, 3] *= scale
        out.append(T)
    return out


def test_the_registry_knows_it_and_says_what_it_needs(weights: Path) -> None:
    found = load_backend("pixelsplat", "cpu", weights, options=PixelsplatOptions(size=SIZE))
    assert found.needs_poses and found.needs_intrinsics and not found.has_language
    with pytest.raises(InputError, match="multiple of 16"):
        load(CPU, weights, PixelsplatOptions(size=100))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"poses": None}, "odometry"),
        ({"poses": poses(1)}, "1 poses for 2 views"),
        ({"poses": [np.eye(3)] * 2}, "view 0 is no finite 4x4"),
        ({"poses": [np.eye(4), 2 * np.eye(4)]}, "view 1 is no finite 4x4"),
        ({"poses": [np.eye(4), np.full((4, 4), np.nan)]}, "view 1"),
        ({"intrinsics": None}, "camera_info"),
        ({"intrinsics": [K, None]}, "view 1 has none"),
        ({"intrinsics": [K]}, "1 intrinsics for 2 views"),
        ({"views": PICTURES[:1]}, "2 to 3 views, got 1"),
        ({"views": PICTURES + PICTURES[:1]}, "2 to 3 views, got 4"),
    ],
)
def test_what_is_missing_or_wrong_is_said_with_the_way_out(
    backend: PixelsplatBackend, given: dict[str, Any], words: str
) -> None:
    call = {"views": PICTURES[:2], "intrinsics": [K, K], "poses": poses(2)} | given
    with pytest.raises(InputError) as caught:
        backend.predict(**call)
    assert words in str(caught.value)


@pytest.mark.parametrize("count", [2, 3])
def test_everything_is_in_camera_0_and_in_the_unit_of_the_poses(backend: PixelsplatBackend, count: int) -> None:
    given = poses(count)
    found = backend.predict(PICTURES[:count], [K] * count, given)
    assert found.views == count and found.unit == "relative" and all(found.pose_valid)
    assert len(found.gaussians) == 3 * count * SIZE * SIZE and found.gaussians.sh.shape[1:] == (16, 3)
    centres = torch.stack(torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="xy"), -1).float()
    means = found.gaussians.means.view(count, SIZE, SIZE, 3, 3)
    for v in range(count):
        torch.testing.assert_close(found.poses[v].double(), given[v], atol=1e-6, rtol=0)
        into = invert(found.poses[v].double()).float()
        seen, z = project(transform_points(into, found.pointmaps[v]), found.intrinsics[v])
        torch.testing.assert_close(seen, centres, atol=2e-3, rtol=0)
        assert float(z.min()) > 0 and bool((found.confidence[v] > 0).all())
        seen, _ = project(transform_points(into, means[v]), found.intrinsics[v])
        assert float((seen - centres[:, :, None]).abs().max()) < 0.51  # within their pixels
    doubled = backend.predict(PICTURES[:count], [K] * count, poses(count, 2.0))
    torch.testing.assert_close(doubled.gaussians.means, 2 * found.gaussians.means, atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(doubled.gaussians.scales, 2 * found.gaussians.scales, atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(doubled.gaussians.opacities, found.gaussians.opacities, atol=1e-3, rtol=0)


def test_poses_may_be_in_any_frame_they_share(backend: PixelsplatBackend) -> None:
    world = se3_exp(torch.tensor([3.0, -2, 5, 0.4, 1.1, -0.7]).double())
    found = backend.predict(PICTURES[:2], [K] * 2, poses(2))
    moved = backend.predict(PICTURES[:2], [K] * 2, [(world @ T).numpy() for T in poses(2)])
    torch.testing.assert_close(moved.gaussians.means, found.gaussians.means, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(moved.poses[1], found.poses[1], atol=1e-5, rtol=0)


def test_the_same_input_gives_the_same_answer_and_a_generator_another_one(backend: PixelsplatBackend) -> None:
    images, K_before, T = [p.copy() for p in PICTURES], K.copy(), poses(3)
    T_before = copy.deepcopy(T)
    first = backend.predict(images, [K] * 3, T)
    encoded = [backend.encode(image, K) for image in images]
    again = backend.predict(encoded, poses=T)
    other = backend.predict(encoded, poses=T, generator=torch.Generator().manual_seed(5))
    same = backend.predict(encoded, poses=T, generator=torch.Generator().manual_seed(5))
    assert torch.equal(first.gaussians.means, again.gaussians.means)
    assert torch.equal(other.gaussians.means, same.gaussians.means)
    assert not torch.equal(first.gaussians.means, other.gaussians.means)
    assert all(np.array_equal(a, b) for a, b in zip(images, PICTURES, strict=True))
    assert np.array_equal(K, K_before) and all(torch.equal(a, b) for a, b in zip(T, T_before, strict=True))


def test_the_most_probable_depth_gives_one_gaussian_per_pixel(weights: Path, backend: PixelsplatBackend) -> None:
    single = load(CPU, weights, PixelsplatOptions(size=SIZE, sampling="most_probable"))
    found = single.predict(PICTURES[:2], [K] * 2, poses(2))
    assert len(found.gaussians) == 2 * SIZE * SIZE
    confidence = torch.stack(found.confidence).flatten()
    torch.testing.assert_close(found.gaussians.opacities, confidence / 3, atol=1e-6, rtol=1e-5)
    drawn = backend.predict(PICTURES[:2], [K] * 2, poses(2))
    torch.testing.assert_close(drawn.pointmaps[0], found.pointmaps[0])  # does not depend on what is drawn


@pytest.mark.parametrize("count", [2, 3])
def test_the_fast_path_gives_what_the_written_out_twin_gives(
    weights: Path, backend: PixelsplatBackend, count: int
) -> None:
    twin = load(CPU, weights, PixelsplatOptions(size=SIZE, reference=True))
    fast = backend.predict(PICTURES[:count], [K] * count, poses(count))
    slow = twin.predict(PICTURES[:count], [K] * count, poses(count))
    scale = float(slow.gaussians.means.abs().max())
    off = (fast.gaussians.means - slow.gaussians.means).norm(dim=-1) > 2e-3 * scale
    # Rounding of the twin's least squares (specification, section 4.4) moves a draw across a bucket now and then.
    assert float(off.float().mean()) < 2e-3
    torch.testing.assert_close(fast.gaussians.sh, slow.gaussians.sh, atol=5e-3, rtol=0)


@pytest.mark.parametrize(
    ("images", "T"),
    [
        (PICTURES[:2], [np.eye(4), np.eye(4)]),
        ([PICTURES[0], PICTURES[0]], poses(2)),
        ([PICTURES[0], np.full_like(PICTURES[0], 90)], poses(2)),
    ],
)
def test_views_that_show_no_depth_are_answered_without_validity(
    backend: PixelsplatBackend, images: list[np.ndarray], T: list[Any]
) -> None:
    found = backend.predict(images, [K] * 2, T)
    assert found.validity == 0.0 and bool(torch.isfinite(found.gaussians.means).all())
    assert backend.predict(PICTURES[:2], [K] * 2, poses(2)).validity > 0


def test_words_of_another_source_reach_every_gaussian_of_a_pixel(backend: PixelsplatBackend) -> None:
    combined = with_semantics(backend, load_semantics("lsm-tiny", "cpu"))
    assert combined.needs_poses and combined.needs_intrinsics
    found = combined.predict(PICTURES[:2], [K] * 2, poses(2))
    assert found.gaussians is not None and found.gaussians_per_pixel() == 3
    odd = replace(found, gaussians=found.gaussians.select(torch.arange(len(found.gaussians) - 1)))
    assert odd.gaussians_per_pixel() == 0
    answer = combined.query(found, ["wall", "chair"], camera=found.camera(1))
    assert answer.labels[0].shape == (SIZE, SIZE)
    # What a keyframe keeps of view 1: its own Gaussians, and the words of their pixels when they are drawn.
    kept = single_view(found, 1, keep_gaussians=True)
    drawn = drawn_gaussians([kept])
    assert drawn is not None and drawn.features is not None
    torch.testing.assert_close(drawn.means, found.gaussians.means[3 * SIZE * SIZE :])
    row, column = nearest_features(kept, 0)
    assert kept.features is not None
    expected = kept.features[0][row, column].flatten(0, 1).float()
    assert torch.equal(drawn.features.view(SIZE * SIZE, 3, -1), expected[:, None].expand(-1, 3, -1))


def raw_output(T: Tensor, generator: torch.Generator) -> tuple[PixelsplatOutput, Tensor]:
    """Return a network's answer of a few large Gaussians before two cameras T, and their raw harmonics."""
    pixels, count = 6, 3
    shape = (1, 2, pixels)
    means = torch.randn(*shape, count, 3, generator=generator) * 0.5 + torch.tensor([0.0, 0, 4])
    rotations = torch.nn.functional.normalize(torch.randn(*shape, 4, generator=generator), dim=-1)
    harmonics = torch.randn(*shape, 3, 25, generator=generator) * 4
    scales = 0.1 + 0.3 * torch.rand(*shape, count, 3, generator=generator)
    opacities = 0.2 + 0.3 * torch.rand(*shape, 1, count, generator=generator)
    nothing = torch.zeros(0)
    choice = BucketChoice(nothing, nothing, nothing)
    gaussians = RayGaussians(means, scales, rotations, harmonics)
    return PixelsplatOutput(DepthHead(nothing, nothing), choice, opacities, gaussians), harmonics


def test_drawn_colours_are_those_of_the_reference_basis() -> None:
    """The release: masked, turned by Wigner's blocks of the camera, and evaluated at the permuted direction."""
    generator = torch.Generator().manual_seed(2)
    T = torch.stack([se3_exp(torch.tensor(t).double()) for t in ([0.0] * 6, [0.5, 0.1, 0, 0.4, -0.6, 0.3])])[None]
    output, raw = raw_output(T.float(), generator)
    scene = standard_gaussians(output, T.float(), 1.0)
    turned = rotate_coefficients(raw * degree_mask(4), T[:, :, None, None, :3, :3].float())[..., :16]
    eye = se3_exp(torch.tensor([0.7, -0.4, 0.3, 0.1, 0.2, -0.1]).double()).float()
    camera = Camera(torch.tensor([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]]), 64, 48, eye)
    towards = torch.nn.functional.normalize(scene.means - eye[:3, 3], dim=-1)
    basis = permuted_basis(towards, 3)
    per_gaussian = turned[0].flatten(0, 1).repeat_interleave(3, 0)
    colors = (torch.einsum("nk,nck->nc", basis, per_gaussian) + 0.5).clamp(min=0)
    direct = replace(scene, sh=((colors - 0.5) / C0)[:, None])
    found, expected = (render(g, camera, picks=False).rgb for g in (scene, direct))
    assert float(expected.std()) > 0.05
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)


def test_shapes_in_the_world_are_those_of_the_reference() -> None:
    """R S S R^T with xyzw in the camera, turned into the world."""
    T = torch.stack([se3_exp(torch.tensor(t).double()) for t in ([0.0] * 6, [0.5, 0.1, 0, 0.4, -0.6, 0.3])])[None]
    output, _ = raw_output(T.float(), torch.Generator().manual_seed(3))
    scene = standard_gaussians(output, T.float(), 2.0)
    x, y, z, w = output.gaussians.rotations[0, 1, 4].double().tolist()
    half = math.acos(max(-1.0, min(1.0, w)))
    axis = torch.tensor([x, y, z]).double() / math.sin(half)
    turn = torch.linalg.matrix_exp(
        2 * half * torch.tensor([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]]).double()
    )
    S = torch.diag(2 * output.gaussians.scales[0, 1, 4, 2].double())
    expected = T[0, 1, :3, :3] @ turn @ S @ S @ turn.T @ T[0, 1, :3, :3].T
    one = scene.select(torch.tensor([(1 * 6 + 4) * 3 + 2]))
    torch.testing.assert_close(covariance(one), expected, atol=1e-5, rtol=1e-5)


def covariance(one: Gaussians) -> Tensor:
    """Return the covariance of a single Gaussian from its quaternion wxyz."""
    w, x, y, z = one.quats[0].double()
    R = torch.stack(
        [
            torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)]),
            torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)]),
            torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]),
        ]
    )
    S = torch.diag(one.scales[0].double())
    return R @ S @ S @ R.T
