"""The files that `lsm reconstruct A B` leaves: clouds, Gaussians, poses, depth, masks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsm_core.cli.console import finite
from lsm_core.io import PointCloud, write_depth_png, write_gaussians, write_png, write_point_cloud, write_text
from lsm_core.io.file_words import file_word
from lsm_core.io.overlays import overlay_labels
from lsm_core.mapping import NO_LABEL, cloud_from_view
from lsm_core.mapping import PointCloud as MapCloud
from lsm_core.types import Prediction, QueryResult

INTRINSICS_SOURCE = "intrinsics_source"  # of a prediction's extras: "given", "shared" or "estimated" per view
GREY_STEPS = 50_000  # of the 16 bits of a depth image, for units that are not metres


def usable_views(prediction: Prediction) -> list[int]:
    """Return the views whose place is known; view 0 always is, it defines the frame."""
    return [view for view in range(prediction.views) if view == 0 or prediction.pose_valid[view]]


def scene_cloud(prediction: Prediction, query: QueryResult | None = None) -> PointCloud:
    """Return the filtered points of all usable views in camera 0, labelled by the query where there is one."""
    parts = [cloud_from_view(prediction, view, *_labels(query, view)) for view in usable_views(prediction)]
    return file_cloud(MapCloud.concatenate(parts), query.texts if query else ())


def file_cloud(cloud: MapCloud, names: Sequence[str] = ()) -> PointCloud:
    """Return a map's cloud as PLY files hold it: label -1 for none, no labels at all without names."""
    label = np.where(cloud.label == NO_LABEL, -1, cloud.label.astype(np.int32)).astype(np.int32)
    return PointCloud(cloud.points, cloud.rgb, cloud.confidence, label if names else None, tuple(names))


def _labels(query: QueryResult | None, view: int) -> tuple[NDArray[np.int32] | None, NDArray[np.float32] | None]:
    """Return labels [H, W] of a view and their scores, or nothing."""
    if query is None:
        return None, None
    labels = query.labels[view]
    scores = np.take_along_axis(np.stack(query.scores[view]), np.maximum(labels, 0)[None], 0)[0]
    return labels, np.where(labels >= 0, scores, 0).astype(np.float32)


def write_pair(
    folder: Path,
    prediction: Prediction,
    names: Sequence[str],
    query: QueryResult | None = None,
    sources: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Write everything a prediction supports; what needs a pose is left out where there is none.

    Args:
        folder: made where missing.
        prediction: of the images.
        names: per view, what to call the image in poses.json.
        query: found texts, for labels of the points.
        sources: where poses and intrinsics come from ("poses_from", "intrinsics_from"), if not from the backend.

    Returns:
        The contents of poses.json.
    """
    cloud = scene_cloud(prediction, query)
    write_point_cloud(folder / "points.ply", cloud)
    complete = all(prediction.pose_valid)
    if prediction.gaussians is not None and complete:
        write_gaussians(folder / "gaussians.ply", prediction.gaussians)
    record: dict[str, Any] = {
        "backend": prediction.backend,
        **(sources or {}),
        "unit": "metre" if prediction.unit == "metric" else "relative",
        "frame": "camera of the first image (x right, y down, z forward); T_cam0_cam maps points into it",
        "validity": prediction.validity,
        "stats": dict(prediction.stats),
        "points": len(cloud),
        "gaussians": len(prediction.gaussians) if prediction.gaussians is not None and complete else 0,
        "views": [_view_record(folder, prediction, view, name) for view, name in enumerate(names)],
    }
    write_text(folder / "poses.json", json.dumps(finite(record), indent=2, ensure_ascii=False) + "\n")
    return record


def _view_record(folder: Path, prediction: Prediction, view: int, name: str) -> dict[str, Any]:
    """Write the depth of a view and describe it."""
    placed = view in usable_views(prediction)
    height, width = prediction.image_sizes[view]
    grid_to_image = prediction.grid_to_image[view].double().cpu().numpy()
    K = prediction.intrinsics[view].double().cpu().numpy()
    record: dict[str, Any] = {
        "image": name,
        "size": [width, height],
        "pose_valid": placed,
        "T_cam0_cam": prediction.poses[view].double().cpu().numpy().tolist() if placed else None,
        "K": (grid_to_image @ K).tolist() if placed else None,
    }
    if INTRINSICS_SOURCE in prediction.extras:
        record["K_from"] = prediction.extras[INTRINSICS_SOURCE][view]
    if placed:
        depth = prediction.depth(view).detach().cpu().numpy()
        step = 0.001 if prediction.unit == "metric" else max(float(np.percentile(depth, 99.5)), 1e-6) / GREY_STEPS
        write_depth_png(folder / f"depth_{view}.png", depth, step)
        record |= {
            "depth": f"depth_{view}.png",
            "depth_unit_per_step": step,
            "depth_pixel_to_image_pixel": grid_to_image.tolist(),
        }
    return record


def write_masks(folder: Path, query: QueryResult, images: Sequence[NDArray[np.uint8]]) -> list[str]:
    """Write one mask per view and text, and one overlay per view; returns the file names."""
    names = []
    for view, image in enumerate(images):
        for text, mask in zip(query.texts, query.masks[view], strict=True):
            names.append(f"mask_{view}_{file_word(text)}.png")
            write_png(folder / names[-1], np.asarray(mask, bool))
        names.append(f"overlay_{view}.png")
        write_png(folder / names[-1], overlay_labels(image, query.labels[view], len(query.texts)))
    return names
