"""The files that `lsm reconstruct BAG` leaves: trajectories, map clouds, summary, contact sheet."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lsm_core.cli.bag_map import BagMapper, Segment
from lsm_core.cli.console import finite
from lsm_core.cli.pair_files import file_cloud
from lsm_core.evaluation.odometry_check import align_path, compare_with_odometry
from lsm_core.io import Trajectory, write_gaussians, write_png, write_point_cloud, write_text, write_tum
from lsm_core.io.cloud_views import draw_cloud, draw_paths
from lsm_core.io.sheets import Panel, compose_sheet


def write_bag_map(folder: Path, mapper: BagMapper, source: Path, truth: Trajectory | None) -> dict[str, Any]:
    """Write all segments; the one with most keyframes is `trajectory.tum` and `map.ply`.

    Args:
        folder: made where missing.
        mapper: after the last frame.
        source: the bag, for titles.
        truth: T_odom_optical, to compare with, or None.

    Returns:
        The contents of summary.json.
    """
    segments = mapper.segments()
    rows = []
    for index, segment in enumerate(segments):
        ending = "" if index == 0 else f"_{segment.number:02d}"
        unit = "metres" if segment.metres_per_unit is not None else "arbitrary unit"
        comment = f"T_map_camera of {source.name}, segment {segment.number}, {unit}\ntime tx ty tz qx qy qz qw"
        write_tum(folder / f"trajectory{ending}.tum", segment.trajectory, comment)
        write_point_cloud(folder / f"map{ending}.ply", file_cloud(segment.cloud))
        if segment.gaussians is not None:
            write_gaussians(folder / f"gaussians{ending}.ply", segment.gaussians)
        rows.append(
            {
                "segment": segment.number,
                "keyframes": len(segment.trajectory),
                "points": len(segment.cloud),
                "metres_per_unit": segment.metres_per_unit,
                "trajectory": f"trajectory{ending}.tum",
                "map": f"map{ending}.ply",
                "gaussians": 0 if segment.gaussians is None else len(segment.gaussians),
            }
        )
    lens = mapper.lens
    summary: dict[str, Any] = {
        "backend": mapper.backend,
        "lens": None if lens is None else {"K": lens.K.double().tolist(), "size": [lens.width, lens.height]},
        "keyframes": mapper.keyframes,
        "pairs_accepted": len(mapper.pairs),
        "pairs_rejected": dict(mapper.rejected),
        "frames_skipped": dict(mapper.skipped),
        "segments": rows,
        "odometry": None if truth is None else asdict(compare_with_odometry(mapper.pairs, truth)),
    }
    write_text(folder / "summary.json", json.dumps(finite(summary), indent=2) + "\n")
    if segments:
        write_png(folder / "sheet.png", _sheet(segments[0], summary, source, truth))
    return summary


def _sheet(segment: Segment, summary: dict[str, Any], source: Path, truth: Trajectory | None) -> Any:
    """Draw the largest segment."""
    centres = segment.trajectory.poses[:, :3, 3]
    cloud = segment.cloud
    size = (760, 520)
    panels = [
        Panel(draw_cloud(cloud.points, cloud.rgb, "oblique", size, centres), "Map", f"{len(cloud):,} points"),
        Panel(
            draw_cloud(cloud.points, cloud.rgb, "top", size, centres), "Map from above", "red: the camera's path"
        ),
    ]
    second = [Panel(draw_cloud(cloud.points, cloud.rgb, "side", size, centres), "Map from the side")]
    onto_truth = align_path(segment.trajectory, truth) if truth is not None else None
    if onto_truth is not None and truth is not None:
        stamps = segment.trajectory.stamps_ns
        span = (truth.stamps_ns >= stamps[0]) & (truth.stamps_ns <= stamps[-1])
        picture = draw_paths([onto_truth], truth.poses[span, :3, 3], size, up=(0.0, 0.0, 1.0))
        second.append(Panel(picture, "Path against odometry", "red: ours, aligned; grey: odometry; grid in metres"))
    else:
        second.append(Panel(draw_paths([centres], None, size), "Path"))
    text = f"{summary['keyframes']} keyframes · {summary['pairs_accepted']} pairs accepted"
    text += f" · {len(summary['segments'])} segment(s)"
    check = summary["odometry"]
    if check and check["compared"]:
        text += f" · rotation error {check['rotation_median_deg']:.2f}° median against odometry"
    return compose_sheet(f"Map of {source.name}", text, [panels, second])
