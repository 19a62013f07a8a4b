"""What `lsm reconstruct --refine-pose` adds: figures in poses.json, and a picture of before and after."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from lsm_core.cli.console import finite
from lsm_core.geometry.refined_prediction import EXTRA, PoseRefinement
from lsm_core.io import write_png, write_text
from lsm_core.io.colormaps import RgbImage
from lsm_core.io.sheets import Panel, compose_sheet
from lsm_core.render import render
from lsm_core.types import Prediction


def write_refinement(folder: Path, prediction: Prediction) -> dict[str, Any]:
    """Add how poses were refined to the folder's poses.json and draw the views before and after.

    Returns:
        What was added; nothing where no pose was refined.
    """
    records: list[PoseRefinement] = prediction.extras.get(EXTRA, [])
    if not records:
        return {}
    added = {EXTRA: [refinement_record(record) for record in records]}
    path = folder / "poses.json"
    document = json.loads(path.read_text(encoding="utf-8")) | added
    write_text(path, json.dumps(finite(document), indent=2, ensure_ascii=False) + "\n")
    rows = [before_and_after(prediction, record) for record in records]
    method = records[0].method + (", with LPIPS" if records[0].lpips else "")
    title = "Poses made to fit the Gaussians"
    write_png(folder / "pose_refinement.png", compose_sheet(title, f"{prediction.backend}, {method}", rows))
    return added


def refinement_record(record: PoseRefinement) -> dict[str, Any]:
    """Return the record as JSON holds it."""
    return {
        "view": record.view,
        "method": record.method,
        "coarse": record.coarse,
        "T_cam0_cam_before": record.start.double().cpu().numpy().tolist(),
        "psnr_before": record.psnr_before,
        "psnr_after": record.psnr_after,
        "steps": record.steps,
        "lpips": record.lpips,
    }


def before_and_after(prediction: Prediction, record: PoseRefinement) -> list[Panel]:
    """Return the image and the views drawn from the pose before and after."""
    image = prediction.colors[record.view]
    drawn = [_drawn(prediction, record, pose) for pose in (record.start, record.pose)]
    return [
        Panel(image, f"Image {record.view}"),
        Panel(drawn[0], "Drawn before", f"{record.psnr_before:.2f} dB ({record.coarse} pose)"),
        Panel(drawn[1], "Drawn after", f"{record.psnr_after:.2f} dB"),
    ]


def _drawn(prediction: Prediction, record: PoseRefinement, pose: Tensor) -> RgbImage:
    assert prediction.gaussians is not None
    camera = replace(prediction.camera(record.view), T_scene_cam=pose)
    rgb = render(replace(prediction.gaussians, features=None), camera, picks=False).rgb
    return (255 * rgb.detach().cpu().numpy()).round().astype(np.uint8)
