"""The data that cross module borders: frozen dataclasses, with shapes, units and frames.

Conventions (docs/conventions.md): camera frame is OpenCV (x right, y down, z forward), pixel (0, 0) is the centre
of the top-left pixel, `T_a_b` maps points of b into a, quaternions are wxyz, a pair lives in the frame of camera 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.errors import InputError
from lsm_core.sh import C0, rotate_sh, sh_degree

Unit = Literal["metric", "relative"]


@dataclass(frozen=True)
class Sim3:
    """A similarity: p -> scale * rotation @ p + translation.

    Attributes:
        scale: > 0.
        rotation: [3, 3] float64 proper rotation.
        translation: [3] float64, in units of the target frame.
    """

    scale: float
    rotation: Tensor
    translation: Tensor

    @staticmethod
    def from_matrix(matrix: Tensor | NDArray[Any]) -> Sim3:
        """Split a 4x4 matrix whose upper left block is scale times a rotation.

        Raises:
            InputError: the matrix is not 4x4, not finite, or not a similarity (to 1e-4 relative).
        """
        M = torch.as_tensor(matrix).detach().to("cpu", torch.float64)
        if M.shape != (4, 4) or not bool(torch.isfinite(M).all()):
            raise InputError("A similarity must be a finite 4x4 matrix.", "Pass T_a_b as a 4x4 array.")
        block = M[:3, :3]
        scale = float(torch.linalg.det(block).clamp(min=0)) ** (1 / 3)
        if scale <= 0:
            raise InputError("The matrix mirrors or collapses space.", "Use scale * rotation with det > 0.")
        rotation = block / scale
        if not torch.allclose(rotation @ rotation.T, torch.eye(3, dtype=torch.float64), atol=1e-4):
            raise InputError("The upper left 3x3 block is not scale * rotation.", "Orthonormalise the rotation.")
        return Sim3(scale, rotation, M[:3, 3].clone())

    @property
    def matrix(self) -> Tensor:
        """[4, 4] float64 matrix of the map."""
        M = torch.eye(4, dtype=torch.float64)
        M[:3, :3] = self.scale * self.rotation
        M[:3, 3] = self.translation
        return M

    def inverse(self) -> Sim3:
        """Return the inverse map."""
        R = self.rotation.T
        return Sim3(1.0 / self.scale, R, -(R @ self.translation) / self.scale)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with a pose.

    Attributes:
        K: [3, 3] float32 intrinsics in pixels; pixel (0, 0) is the centre of the top-left pixel.
        width, height: image size in pixels.
        T_scene_cam: [4, 4] float32, camera to scene (the frame the Gaussians or points live in).
        near: clipping distance along z in scene units.
    """

    K: Tensor
    width: int
    height: int
    T_scene_cam: Tensor = field(default_factory=lambda: torch.eye(4))
    near: float = 0.01

    def __post_init__(self) -> None:
        if tuple(self.K.shape) != (3, 3) or tuple(self.T_scene_cam.shape) != (4, 4):
            raise InputError("A camera needs K as 3x3 and T_scene_cam as 4x4.", "Check the shapes you pass.")
        if self.width < 1 or self.height < 1 or not float(self.K[0, 0]) > 0 or not float(self.K[1, 1]) > 0:
            raise InputError("A camera needs a positive size and focal length.", "Check width, height and K.")

    @property
    def T_cam_scene(self) -> Tensor:
        """[4, 4] scene to camera."""
        return torch.linalg.inv(self.T_scene_cam)

    def resized(self, width: int, height: int) -> Camera:
        """Return the same view on another pixel grid (pixel centres at integers)."""
        sx, sy = width / self.width, height / self.height
        S = torch.tensor([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1]], dtype=self.K.dtype)
        return replace(self, K=S.to(self.K.device) @ self.K, width=width, height=height)


@dataclass(frozen=True)
class Gaussians:
    """3D Gaussians in one frame.

    Attributes:
        means: [N, 3] float32, scene units.
        quats: [N, 4] float32 wxyz, unit norm.
        scales: [N, 3] float32 standard deviations along the local axes, scene units, > 0.
        opacities: [N] float32 in [0, 1].
        sh: [N, K, 3] float32, K = (degree + 1)^2; rgb = 0.5 + Y(d) . sh (lsm_core.sh).
        features: [N, D] float32 language features, or None.
    """

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    sh: Tensor
    features: Tensor | None = None

    def __post_init__(self) -> None:
        n = self.means.shape[0]
        shapes = (self.means.shape == (n, 3), self.quats.shape == (n, 4), self.scales.shape == (n, 3))
        if not all(shapes) or self.opacities.shape != (n,) or self.sh.ndim != 3 or self.sh.shape[::2] != (n, 3):
            raise InputError(
                "Gaussians need means [N,3], quats [N,4], scales [N,3], opacities [N], sh [N,K,3]; got "
                f"{[tuple(t.shape) for t in (self.means, self.quats, self.scales, self.opacities, self.sh)]}."
            )
        if self.features is not None and (self.features.ndim != 2 or self.features.shape[0] != n):
            raise InputError(f"Gaussian features must be [N, D], got {tuple(self.features.shape)}.")
        sh_degree(self.sh.shape[1])

    def __len__(self) -> int:
        return int(self.means.shape[0])

    @property
    def degree(self) -> int:
        """SH degree, 0 to 3."""
        return sh_degree(self.sh.shape[1])

    @property
    def rgb(self) -> Tensor:
        """[N, 3] colour of the constant SH term, clamped to [0, 1]."""
        return (0.5 + C0 * self.sh[:, 0]).clamp(0, 1)

    def transform(self, sim3: Sim3 | Tensor | NDArray[Any]) -> Gaussians:
        """Move and rescale the scene: means, scales, rotations and SH together.

        This is the only way to move or rescale Gaussians in this library.

        Args:
            sim3: the map from the present frame to the new one, as Sim3 or 4x4 matrix.

        Returns:
            New Gaussians; opacities and features are shared with the old ones.
        """
        T = sim3 if isinstance(sim3, Sim3) else Sim3.from_matrix(sim3)
        R = T.rotation.to(self.means)
        q_R = quat_from_matrix(T.rotation).to(self.quats)
        return Gaussians(
            means=T.scale * self.means @ R.T + T.translation.to(self.means),
            quats=quat_multiply(q_R.expand_as(self.quats), self.quats),
            scales=self.scales * T.scale,
            opacities=self.opacities,
            sh=rotate_sh(self.sh, T.rotation),
            features=self.features,
        )

    def select(self, index: Tensor | slice) -> Gaussians:
        """Return the Gaussians picked by a bool mask [N] or an index tensor; those of a slice share memory."""
        return Gaussians(
            self.means[index],
            self.quats[index],
            self.scales[index],
            self.opacities[index],
            self.sh[index],
            None if self.features is None else self.features[index],
        )

    @staticmethod
    def concatenate(parts: Sequence[Gaussians]) -> Gaussians:
        """Join sets that live in one frame; SH degrees must agree, features are kept if all have them."""
        if not parts:
            raise InputError("There are no Gaussians to join.", "Pass at least one set.")
        features = [p.features for p in parts if p.features is not None]
        return Gaussians(
            torch.cat([p.means for p in parts]),
            torch.cat([p.quats for p in parts]),
            torch.cat([p.scales for p in parts]),
            torch.cat([p.opacities for p in parts]),
            torch.cat([p.sh for p in parts]),
            torch.cat(features) if len(features) == len(parts) else None,
        )


def quat_from_matrix(R: Tensor) -> Tensor:
    """Return the unit quaternion wxyz [4] (w >= 0) of a rotation [3, 3], float64, by the eigenvector method."""
    m = R.detach().to("cpu", torch.float64)
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = m.tolist()
    K = torch.tensor(
        [
            [xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, xx - yy - zz, xy + yx, xz + zx],
            [xz - zx, xy + yx, yy - xx - zz, yz + zy],
            [yx - xy, xz + zx, yz + zy, zz - xx - yy],
        ],
        dtype=torch.float64,
    )
    q = torch.linalg.eigh(K).eigenvectors[:, -1]
    return -q if q[0] < 0 else q


def quat_multiply(a: Tensor, b: Tensor) -> Tensor:
    """Return the Hamilton product a * b of quaternions wxyz, [..., 4]."""
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)
    return torch.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        -1,
    )


@dataclass(frozen=True)
class ViewFeatures:
    """What a backend computes from one image alone; cached per keyframe and given back to `predict`.

    Attributes:
        backend: name of the backend that made it; another backend refuses it.
        image: [H, W, 3] uint8 RGB, the image as given.
        intrinsics: [3, 3] float32 of the image as given, or None when unknown.
        grid_to_image: [3, 3] float32 affine, model-input pixel -> pixel of the image given.
        tensors: the backend's own tensors (token maps, skips ...), by name.
    """

    backend: str
    image: NDArray[np.uint8]
    intrinsics: Tensor | None
    grid_to_image: Tensor
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True)
class Prediction:
    """What one forward pass says about a set of V views. Frame of everything: camera 0.

    Attributes:
        backend: name of the backend.
        unit: "metric" (the model claims metres) or "relative" (arbitrary unit).
        image_sizes: per view (height, width) of the image given.
        pointmaps: per view [h, w, 3] float32, camera-0 frame, on the model grid.
        confidence: per view [h, w] float32 > 0.
        poses: per view [4, 4] float32 T_cam0_cam_i.
        pose_valid: per view; False where no pose could be found (the matrix is then not to be used).
        validity: in [0, 1], how far this set supports geometry at all (overlap, parallax, inliers).
        intrinsics: per view [3, 3] float32 for the model grid.
        grid_to_image: per view [3, 3] float32 affine: model-grid pixel -> pixel of the image given.
        colors: per view [h, w, 3] uint8 RGB on the model grid.
        gaussians: in camera 0, or None where the backend has none (trunks).
        features: per view [h, w, D] language features, or None; on a grid that covers the model grid, of any size.
        feature_to_image: per view [3, 3] affine: feature-grid pixel -> pixel of the image given, where features
            have a grid of their own (a separate semantic source); None where they cover the model grid.
        stats: figures of the estimate, by name: "inliers", "matches", "overlap" (share of view 0 seen by
            view 1, 0 to 1), "parallax_deg" (median angle between rays), where the backend has them.
        extras: further maps the backend can give (for example descriptors), by name.
    """

    backend: str
    unit: Unit
    image_sizes: list[tuple[int, int]]
    pointmaps: list[Tensor]
    confidence: list[Tensor]
    poses: list[Tensor]
    pose_valid: list[bool]
    validity: float
    intrinsics: list[Tensor]
    grid_to_image: list[Tensor]
    colors: list[NDArray[np.uint8]]
    gaussians: Gaussians | None = None
    features: list[Tensor] | None = None
    feature_to_image: list[Tensor] | None = None
    stats: Mapping[str, float] = field(default_factory=dict)
    extras: Mapping[str, Any] = field(default_factory=dict)

    @property
    def views(self) -> int:
        """Number of views V."""
        return len(self.pointmaps)

    def gaussians_per_pixel(self) -> int:
        """Return how many Gaussians each pixel gave, in the order (view, row, column, Gaussian of the pixel).

        Views without a pose may have given none. 0 where the Gaussians are of another kind.
        """
        count = 0 if self.gaussians is None else len(self.gaussians)
        sizes = [int(p.shape[0] * p.shape[1]) for p in self.pointmaps]
        placed = sum(size for size, valid in zip(sizes, self.pose_valid, strict=True) if valid)
        for pixels in (sum(sizes), placed):
            if pixels and count and count % pixels == 0:
                return count // pixels
        return 0

    def depth(self, view: int) -> Tensor:
        """Return z-depth [h, w] float32 of a view in its own camera, in the prediction's unit."""
        T_cam_cam0 = torch.linalg.inv(self.poses[view].double()).to(self.pointmaps[view])
        return self.pointmaps[view] @ T_cam_cam0[2, :3] + T_cam_cam0[2, 3]

    def camera(self, view: int) -> Camera:
        """Return the camera of a view on the model grid."""
        h, w = self.pointmaps[view].shape[:2]
        return Camera(self.intrinsics[view], int(w), int(h), self.poses[view])

    def transform(self, sim3: Sim3) -> Prediction:
        """Move and rescale everything geometric together: pointmaps, poses, Gaussians.

        Poses stay rigid: rotation by the similarity's, translation scaled. Confidence and stats are unchanged.
        """
        R, t, s = sim3.rotation, sim3.translation, sim3.scale

        def move_pose(T: Tensor) -> Tensor:
            out = T.detach().to("cpu", torch.float64).clone()
            out[:3, :3] = R @ out[:3, :3]
            out[:3, 3] = s * (R @ out[:3, 3]) + t
            return out.to(T)

        return replace(
            self,
            pointmaps=[s * p @ R.T.to(p) + t.to(p) for p in self.pointmaps],
            poses=[move_pose(T) for T in self.poses],
            gaussians=None if self.gaussians is None else self.gaussians.transform(sim3),
        )


@dataclass(frozen=True)
class QueryResult:
    """The answer to a set of texts on the views of a prediction, or on one free camera.

    Attributes:
        texts: the T texts asked, in order.
        masks: masks[v][t] bool [H, W] at the resolution of the image given as view v.
        scores: scores[v][t] float32 [H, W] in [0, 1], comparable between texts of one call.
        presence: per text float in [0, 1]: is it in view at all.
        labels: per view int32 [H, W] index of the best text where its mask is set, -1 elsewhere.
    """

    texts: tuple[str, ...]
    masks: list[list[NDArray[np.bool_]]]
    scores: list[list[NDArray[np.float32]]]
    presence: list[float]
    labels: list[NDArray[np.int32]]


@dataclass(frozen=True)
class RenderResult:
    """What a rasterizer gives for one camera.

    Attributes:
        rgb: [H, W, 3] float32 in [0, 1], composited over the background.
        depth: [H, W] float32 expected z-depth in scene units, 0 where nothing is hit.
        alpha: [H, W] float32 accumulated opacity in [0, 1].
        features: [H, W, D] float32 accumulated features (sum of weight times feature), or None.
        median_depth: [H, W] float32 z-depth of the Gaussian that takes the transmittance to 0.5 or below, 0 where
            none does; without gradient. None if picks were not asked for.
        strongest: [H, W] int32 index of the Gaussian with the largest blending weight (the front one of equals),
            -1 where nothing is hit. None if picks were not asked for.
    """

    rgb: Tensor
    depth: Tensor
    alpha: Tensor
    features: Tensor | None = None
    median_depth: Tensor | None = None
    strongest: Tensor | None = None
