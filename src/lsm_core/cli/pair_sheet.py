"""The contact sheet of one pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.cli.pair_files import scene_cloud, usable_views
from lsm_core.io.cloud_views import draw_cloud
from lsm_core.io.colormaps import RgbImage, color_confidence, color_depth, palette
from lsm_core.io.overlays import overlay_labels
from lsm_core.io.sheets import Panel, compose_sheet
from lsm_core.io.trajectories import interpolate
from lsm_core.render import render
from lsm_core.types import Camera, Prediction, QueryResult

RENDER_WIDTH = 512


def legend(texts: Sequence[str]) -> tuple[tuple[tuple[int, int, int], str], ...]:
    """Return (colour, text) pairs in the colours of `overlay_labels`."""
    return tuple(
        ((int(r), int(g), int(b)), text) for (r, g, b), text in zip(palette(len(texts)), texts, strict=True)
    )


def pair_sheet(
    prediction: Prediction, images: Sequence[NDArray[np.uint8]], title: str, query: QueryResult | None = None
) -> RgbImage:
    """Show images, depth, confidence, what was asked for, the cloud, and new views where there is a pose."""
    rows = [_image_row(prediction, images, query), _geometry_row(prediction)]
    rows.append(_scene_row(prediction, query))
    return compose_sheet(title, _summary(prediction), rows)


def _summary(prediction: Prediction) -> str:
    unit = "metric" if prediction.unit == "metric" else "arbitrary unit"
    figures = [f"{prediction.backend}, {unit}", f"validity {prediction.validity:.2f}"]
    names = {"overlap": "overlap {:.2f}", "parallax_deg": "parallax {:.1f}°", "inliers": "{:.0f} inliers"}
    figures += [text.format(prediction.stats[key]) for key, text in names.items() if key in prediction.stats]
    if not all(prediction.pose_valid):
        figures.append("no relative pose could be found: only the first view is shown in 3D")
    return " · ".join(figures)


def _image_row(
    prediction: Prediction, images: Sequence[NDArray[np.uint8]], query: QueryResult | None
) -> list[Panel]:
    row = [Panel(image, f"Image {view}") for view, image in enumerate(images)]
    if query is not None:
        for view, image in enumerate(images):
            picture = overlay_labels(image, query.labels[view], len(query.texts))
            row.append(Panel(picture, f"Asked for, image {view}", legend=legend(query.texts)))
    return row


def _geometry_row(prediction: Prediction) -> list[Panel]:
    row = []
    for view in usable_views(prediction):
        depth = prediction.depth(view).detach().cpu().numpy()
        low, high = np.percentile(depth, (2, 98))
        unit = " m" if prediction.unit == "metric" else ""
        row.append(Panel(color_depth(depth), f"Depth {view}", f"{low:.2f} (red) to {high:.2f}{unit} (blue)"))
    for view in usable_views(prediction):
        confidence = prediction.confidence[view].detach().cpu().numpy()
        row.append(Panel(color_confidence(confidence), f"Confidence {view}", "low violet, high yellow"))
    return row


def _scene_row(prediction: Prediction, query: QueryResult | None) -> list[Panel]:
    cloud = scene_cloud(prediction, query)
    centres = np.stack([prediction.poses[v][:3, 3].double().cpu().numpy() for v in usable_views(prediction)])
    size = (640, 480)
    row = [
        Panel(draw_cloud(cloud.points, cloud.rgb, "oblique", size, centres), "Points", f"{len(cloud):,} points"),
        Panel(draw_cloud(cloud.points, cloud.rgb, "top", size, centres), "Points from above", "red: the cameras"),
    ]
    if prediction.gaussians is not None and all(prediction.pose_valid):
        row.append(Panel(render_between(prediction), "Gaussians, a view between the images"))
    return row


def render_between(prediction: Prediction, share: float = 0.5) -> RgbImage:
    """Draw the Gaussians from between the first two cameras; [h, w, 3] uint8.

    Args:
        prediction: with Gaussians and a valid pose of view 1.
        share: 0 at camera 0, 1 at camera 1.
    """
    if prediction.gaussians is None:
        raise ValueError("the prediction has no Gaussians")
    first, second = prediction.camera(0), prediction.camera(1)
    ends = [c.T_scene_cam.double().cpu().numpy() for c in (first, second)]
    pose = torch.from_numpy(interpolate(ends[0], ends[1], share)).float()
    view: Camera = replace(first, T_scene_cam=pose)
    view = view.resized(RENDER_WIDTH, round(RENDER_WIDTH * first.height / first.width))
    picture = render(prediction.gaussians, view, background=(0.98, 0.98, 0.99)).rgb
    return (255 * picture.detach().cpu().numpy()).round().astype(np.uint8)
