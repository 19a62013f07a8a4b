"""Family `covariance_xyzw`: covariances of Gaussians."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lsm_core.parity.fixture import Fixture
from lsm_core.parity.registry import Family
from lsm_core.render.projection import rotation_matrices


def answer_covariance(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Build rotations and covariances; the recorded quaternions are xyzw, ours are wxyz."""
    R = rotation_matrices(inputs["in.quaternion_xyzw"].roll(1, -1))
    half = R * inputs["in.scale"][:, None, :]
    return {"out.rotation": R, "out.covariance": half @ half.transpose(1, 2)}


FAMILIES = (Family("covariance_xyzw", answer_covariance),)
