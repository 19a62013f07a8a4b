"""The folder a demo leaves: clouds and Gaussians as PLY, overlays and sheet as PNG, paths as TUM, summary."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sensor_msgs_py import point_cloud2

from lsm_core.cli.console import finite
from lsm_core.evaluation.odometry_check import align_to_truth
from lsm_core.io import (
    Frame,
    PointCloud,
    Trajectory,
    write_gaussians,
    write_png,
    write_point_cloud,
    write_text,
    write_tum,
)
from lsm_core.io.overlays import overlay_labels
from lsm_core.mapping import NO_LABEL, union_clouds
from lsm_core.mapping import PointCloud as MapCloud
from lsm_core.types import Gaussians, Sim3
from lsm_perception.demo.options import DemoOptions
from lsm_perception.demo.recording import PathRecord, Recording
from lsm_perception.demo.sheet import demo_sheet
from lsm_perception.demo.source import Source

MAX_MAP_POINTS = 500_000
MAX_OVERLAYS = 12
PLACED_VOXEL_M = 0.02


def write_results(
    folder: Path, recording: Recording, source: Source, options: DemoOptions, summary: dict[str, Any]
) -> None:
    """Write everything there is; what did not come out is left out."""
    main = longest_segment(recording)
    for segment, path in recording.paths.items():
        ending = "" if segment == main else f"_{segment:02d}"
        unit = "metres" if path.metric else "arbitrary unit"
        comment = f"T_map_camera, {path.frame}, {unit}\ntime tx ty tz qx qy qz qw"
        write_tum(folder / f"trajectory{ending}.tum", trajectory_of(path), comment)
    scene = segment_cloud(recording, main) if main is not None else None
    if scene is not None and len(scene):
        write_point_cloud(folder / "map.ply", file_cloud(scene, recording.label_names))
    together = placed_segments(recording, source)
    if together is not None:
        write_point_cloud(folder / "map_all_segments.ply", file_cloud(together, recording.label_names))
    if recording.map_message is not None:
        latched = file_cloud(read_cloud(recording.map_message), recording.label_names)
        write_point_cloud(folder / "map_points.ply", latched)
    if recording.clouds:
        newest = recording.clouds[max(recording.clouds)]
        write_point_cloud(folder / "points.ply", file_cloud(read_cloud(newest.message), recording.label_names))
    gaussians = read_gaussians_message(recording.gaussians) if recording.gaussians is not None else None
    if gaussians is not None:
        write_gaussians(folder / "gaussians.ply", gaussians)
    overlays = _write_overlays(folder / "overlays", recording, source)
    sheet = demo_sheet(recording, source, summary, main, scene, together, gaussians, overlays)
    write_png(folder / "contact_sheet.png", sheet)
    text = json.dumps(finite(summary), indent=2, ensure_ascii=False) + "\n"
    write_text(folder / "summary.json", text)
    if options.json_file is not None:
        write_text(options.json_file, text)


def longest_segment(recording: Recording) -> int | None:
    """Return the segment with most keyframes, None when there is none."""
    return max(recording.paths, key=lambda s: (len(recording.paths[s].poses), s), default=None)


def trajectory_of(path: PathRecord) -> Trajectory:
    """Return a path's poses as a trajectory."""
    return Trajectory.from_unsorted(list(path.poses), list(path.poses.values()))


def segment_cloud(recording: Recording, segment: int) -> MapCloud:
    """Join the clouds of a segment's keyframes in its map frame, in the unit of its last path.

    Clouds that were sent in another unit (before the scale was known, or with another estimate of it) are brought
    to the last one.
    """
    path = recording.paths[segment]
    final = recording.scale.metres_per_unit if path.metric else 1.0
    parts = []
    for stamp, record in recording.clouds.items():
        pose = path.poses.get(stamp)
        if pose is None:
            continue
        ratio = final / record.factor if np.isfinite(record.factor) and np.isfinite(final) else 1.0
        moved = Sim3(ratio, torch.from_numpy(pose[:3, :3].copy()), torch.from_numpy(pose[:3, 3].copy()))
        parts.append(read_cloud(record.message).transform(moved))
    if not parts:
        return MapCloud.empty()
    everything = np.concatenate([part.points for part in parts])
    extent = float(np.linalg.norm(np.percentile(everything, 95, 0) - np.percentile(everything, 5, 0)))
    return union_clouds(parts, extent / 400, MAX_MAP_POINTS)


def placed_segments(recording: Recording, source: Source) -> MapCloud | None:
    """Join the clouds of all segments, each put in place by the recording's odometry; metres, odom frame.

    Returns:
        None without odometry, or when there is only one segment: that is the map.
    """
    if source.truth is None or len(recording.paths) < 2:
        return None
    parts = []
    for segment, path in recording.paths.items():
        sim3 = align_to_truth(trajectory_of(path), source.truth)
        if sim3 is not None:
            parts.append(segment_cloud(recording, segment).transform(sim3))
    return union_clouds(parts, PLACED_VOXEL_M, MAX_MAP_POINTS) if parts else None


def read_cloud(message: Any) -> MapCloud:
    """Return the points of a ~/points message."""
    names = ["x", "y", "z", "rgb", "confidence", "label", "score"]
    rows = point_cloud2.read_points(message, field_names=names)
    packed = np.ascontiguousarray(rows["rgb"], np.float32).view(np.uint32)
    rgb = np.stack([packed >> 16 & 255, packed >> 8 & 255, packed & 255], 1).astype(np.uint8)
    points = np.stack([rows[axis] for axis in "xyz"], 1).astype(np.float32)
    columns = [np.ascontiguousarray(rows[name]) for name in ("confidence", "label", "score")]
    return MapCloud(points, rgb, *columns)


def read_gaussians_message(message: Any) -> Gaussians | None:
    """Return the Gaussians of a ~/gaussians message; None for an empty one."""
    rows = point_cloud2.read_points(message)

    def tensor(*names: str) -> torch.Tensor:
        return torch.from_numpy(np.stack([rows[name] for name in names], 1).astype(np.float32))

    if len(rows) == 0:
        return None
    return Gaussians(
        tensor("x", "y", "z"),
        torch.nn.functional.normalize(tensor("rot_0", "rot_1", "rot_2", "rot_3"), dim=-1),
        tensor("scale_0", "scale_1", "scale_2").exp(),
        tensor("opacity")[:, 0].sigmoid(),
        tensor("f_dc_0", "f_dc_1", "f_dc_2")[:, None],
    )


def file_cloud(cloud: MapCloud, names: Sequence[str]) -> PointCloud:
    """Return a cloud as PLY files hold it."""
    label: NDArray[np.int32] = np.where(cloud.label == NO_LABEL, -1, cloud.label.astype(np.int32)).astype(np.int32)
    return PointCloud(cloud.points, cloud.rgb, cloud.confidence, label, tuple(names))


def _write_overlays(folder: Path, recording: Recording, source: Source) -> list[tuple[Frame, NDArray[np.uint8]]]:
    """Draw the label images of keyframes spread over the recording; returns them with their frames."""
    stamps = sorted(recording.labels)
    chosen = [
        stamps[i] for i in np.unique(np.linspace(0, len(stamps) - 1, min(MAX_OVERLAYS, len(stamps))).astype(int))
    ]
    frames = source.frames_at(set(chosen)) if chosen else {}
    drawn = []
    for stamp in chosen:
        frame, label = frames.get(stamp), recording.labels[stamp]
        if frame is None or frame.image.shape[:2] != label.shape:
            continue
        picture = overlay_labels(
            frame.image, np.where(label == 255, -1, label.astype(np.int32)), len(recording.label_names)
        )
        write_png(folder / f"{stamp}.png", picture)
        drawn.append((frame, picture))
    return drawn
