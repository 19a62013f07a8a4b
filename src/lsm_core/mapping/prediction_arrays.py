"""A kept view (a prediction of one view) as named arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping
from operator import index
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.types import Gaussians, Prediction

GAUSSIANS = ("means", "quats", "scales", "opacities", "sh")
MAPS = ("pointmap", "confidence", "pose", "intrinsics", "grid_to_image")


def prediction_arrays(prediction: Prediction) -> dict[str, NDArray[Any]]:
    """Return the arrays of a one-view prediction; features in half precision."""
    found: dict[str, NDArray[Any]] = {
        "pointmap": _array(prediction.pointmaps[0]),
        "confidence": _array(prediction.confidence[0]),
        "pose": _array(prediction.poses[0]),
        "intrinsics": _array(prediction.intrinsics[0]),
        "grid_to_image": _array(prediction.grid_to_image[0]),
        "colors": np.asarray(prediction.colors[0], np.uint8),
    }
    if prediction.features is not None:
        found["features"] = prediction.features[0].detach().half().cpu().numpy()
    if prediction.feature_to_image is not None:
        found["feature_to_image"] = _array(prediction.feature_to_image[0])
    if prediction.gaussians is not None:
        found |= {f"gaussians/{name}": _array(getattr(prediction.gaussians, name)) for name in GAUSSIANS}
        if prediction.gaussians.features is not None:
            found["gaussians/features"] = prediction.gaussians.features.detach().half().cpu().numpy()
    return found


def prediction_record(prediction: Prediction) -> dict[str, Any]:
    """Return what of it is no array, as JSON values."""
    return {
        "backend": prediction.backend,
        "unit": prediction.unit,
        "image_size": [int(n) for n in prediction.image_sizes[0]],
        "pose_valid": bool(prediction.pose_valid[0]),
        "validity": float(prediction.validity),
    }


def prediction_from(record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Prediction:
    """Build the prediction again.

    Raises:
        ValueError, KeyError, TypeError, InputError: something is missing, or of a shape or type that does not fit.
    """
    pointmap = arrays["pointmap"]
    h, w = pointmap.shape[:2]
    shapes = {"pointmap": (h, w, 3), "confidence": (h, w), "pose": (4, 4)}
    for name in MAPS:
        expected = shapes.get(name, (3, 3))
        if arrays[name].shape != expected or arrays[name].dtype != np.float32:
            raise ValueError(f"{name} is {arrays[name].dtype} {arrays[name].shape}, not float32 {expected}")
    if record["pose_valid"] and not is_rigid(arrays["pose"]):  # one that was not found is NaN
        raise ValueError("the pose of a view is not rigid")
    if arrays["colors"].shape != (h, w, 3) or arrays["colors"].dtype != np.uint8:
        raise ValueError("colors do not fit the pointmap")
    height, width = (index(n) for n in record["image_size"])
    if not (0 < height <= 65536 and 0 < width <= 65536):
        raise ValueError(f"an image of {width}x{height}")
    own = arrays.get("feature_to_image")
    return Prediction(
        backend=str(record["backend"]),
        unit=_unit(record["unit"]),
        image_sizes=[(height, width)],
        pointmaps=[torch.from_numpy(pointmap)],
        confidence=[torch.from_numpy(arrays["confidence"])],
        poses=[torch.from_numpy(arrays["pose"])],
        pose_valid=[bool(record["pose_valid"])],
        validity=float(record["validity"]),
        intrinsics=[torch.from_numpy(arrays["intrinsics"])],
        grid_to_image=[torch.from_numpy(arrays["grid_to_image"])],
        colors=[arrays["colors"]],
        gaussians=_gaussians(arrays) if "gaussians/means" in arrays else None,
        features=[_features(arrays["features"], 3)] if "features" in arrays else None,
        feature_to_image=None if own is None else [torch.from_numpy(_affine(own))],
    )


def is_rigid(T: NDArray[Any]) -> bool:
    """Whether a 4x4 matrix is a finite rotation and translation, to 1e-3."""
    R = np.asarray(T[:3, :3], np.float64)
    plain = bool(np.isfinite(T).all()) and np.allclose(R @ R.T, np.eye(3), atol=1e-3)
    return plain and bool(np.linalg.det(R) > 0) and np.allclose(T[3], [0, 0, 0, 1], atol=1e-6)


def _gaussians(arrays: Mapping[str, NDArray[Any]]) -> Gaussians:
    parts = [arrays[f"gaussians/{name}"] for name in GAUSSIANS]
    if any(part.dtype != np.float32 for part in parts):
        raise ValueError("Gaussians are not float32")
    means, quats, scales, opacities, sh = (torch.from_numpy(part) for part in parts)
    features = arrays.get("gaussians/features")
    return Gaussians(means, quats, scales, opacities, sh, None if features is None else _features(features, 2))


def _features(array: NDArray[Any], sides: int) -> Tensor:
    if array.ndim != sides or array.dtype != np.float16 or array.shape[-1] < 1:
        raise ValueError(f"features are {array.dtype} {array.shape}")
    return torch.from_numpy(array)


def _affine(array: NDArray[Any]) -> NDArray[np.float32]:
    if array.shape != (3, 3) or array.dtype != np.float32:
        raise ValueError("feature_to_image is no 3x3 float32 matrix")
    return array


def _unit(word: object) -> Literal["metric", "relative"]:
    if word == "metric":
        return "metric"
    if word == "relative":
        return "relative"
    raise ValueError(f"unit {word!r}")


def _array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().to("cpu", torch.float32).numpy()
    return array
