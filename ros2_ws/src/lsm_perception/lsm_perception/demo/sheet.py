"""The demo's contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.evaluation.odometry_check import align_path
from lsm_core.io import Frame, Trajectory
from lsm_core.io.cloud_views import draw_cloud, draw_paths
from lsm_core.io.colormaps import RgbImage, color_depth, palette
from lsm_core.io.overlays import overlay_labels
from lsm_core.io.sheets import Panel, compose_sheet
from lsm_core.mapping import NO_LABEL
from lsm_core.mapping import PointCloud as MapCloud
from lsm_core.render import render
from lsm_core.types import Camera, Gaussians
from lsm_perception.demo.recording import PathRecord, QueryReply, Recording
from lsm_perception.demo.source import Source

CAMERA_UP = (0.0, -1.0, 0.0)
WORLD_UP = (0.0, 0.0, 1.0)
SIZE = (760, 500)
Up = tuple[float, float, float]


def demo_sheet(
    recording: Recording,
    source: Source,
    summary: dict[str, Any],
    segment: int | None,
    scene: MapCloud | None,
    together: MapCloud | None,
    gaussians: Gaussians | None,
    overlays: Sequence[tuple[Frame, RgbImage]],
) -> RgbImage:
    """Show keyframes with their labels, a query's answer, depth, Gaussians, the map and the path."""
    from lsm_perception.demo.summary import lines

    rows = [_label_row(recording, overlays), _single_row(recording, source, gaussians)]
    if segment is not None and scene is not None and len(scene):
        rows += _map_rows(recording, source, segment, scene, together)
    if not any(rows):
        rows = [[Panel(np.full((60, 300, 3), 240, np.uint8), "Nothing came out")]]
    return compose_sheet(f"lsm_perception · {source.path.name}", "\n".join(lines(summary)), rows)


def _label_row(recording: Recording, overlays: Sequence[tuple[Frame, RgbImage]], count: int = 4) -> list[Panel]:
    """Return keyframes spread over time, labelled by the standing queries."""
    chosen = [
        overlays[i] for i in np.unique(np.linspace(0, len(overlays) - 1, min(count, len(overlays))).astype(int))
    ]
    start = min(recording.labels, default=0)
    names = _legend(recording.label_names)
    panels = []
    for k, (frame, picture) in enumerate(chosen):
        title = f"~/segmentation at {(frame.stamp_ns - start) / 1e9:.1f} s"
        panels.append(Panel(picture, title, legend=names if k == 0 else ()))
    return panels


def _legend(names: Sequence[str]) -> tuple[tuple[tuple[int, int, int], str], ...]:
    """Return (colour, text) pairs."""
    return tuple(((int(r), int(g), int(b)), n) for (r, g, b), n in zip(palette(len(names)), names, strict=True))


def _single_row(recording: Recording, source: Source, gaussians: Gaussians | None) -> list[Panel]:
    """Return the answer to a query, a depth image, and the newest Gaussians from their own camera."""
    panels = []
    reply = max(recording.replies, key=lambda r: sum(m.mean() for m in r.masks), default=None)
    wanted = {reply.stamp_ns} if reply is not None else set()
    if gaussians is not None:
        wanted.add(_stamp(recording.gaussians))
    frames = source.frames_at(wanted) if wanted else {}
    if reply is not None and reply.stamp_ns in frames:
        panels.append(_query_panel(reply, frames[reply.stamp_ns]))
    if recording.depths:
        stamp = max(recording.depths)
        depth = recording.depths[stamp]
        if np.isfinite(depth).any():
            low, high = np.nanpercentile(depth, (2, 98))
            panels.append(Panel(color_depth(depth), "~/depth/image", f"{low:.2f} m (red) to {high:.2f} m (blue)"))
    frame = frames.get(_stamp(recording.gaussians)) if gaussians is not None else None
    if gaussians is not None and frame is not None and frame.K is not None:
        panels.append(Panel(frame.image, "Camera image"))
        panels.append(
            Panel(_draw_gaussians(gaussians, frame), "~/gaussians, drawn", f"{len(gaussians):,} Gaussians")
        )
    return panels


def _query_panel(reply: QueryReply, frame: Frame) -> Panel:
    label = np.where(reply.label_map == 255, -1, reply.label_map.astype(np.int32))
    picture = overlay_labels(frame.image, label, len(reply.texts))
    found = ", ".join(f"{t} {p:.2f}" for t, p in zip(reply.texts, reply.presence, strict=True))
    return Panel(picture, "~/query_text", f"in view: {found}")


def _stamp(message: Any) -> int:
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def _draw_gaussians(gaussians: Gaussians, frame: Frame) -> RgbImage:
    """Draw from the image's own camera, where the Gaussians' frame is."""
    assert frame.K is not None
    height, width = frame.image.shape[:2]
    camera = Camera(torch.from_numpy(frame.K).float(), width, height)
    picture = render(gaussians, camera, background=(0.13, 0.14, 0.16)).rgb
    return (255 * picture.numpy()).round().astype(np.uint8)


def _map_rows(
    recording: Recording, source: Source, segment: int, scene: MapCloud, together: MapCloud | None
) -> list[list[Panel]]:
    """Return the longest segment's map, all segments from above in colour and by label, and the path."""
    path = recording.paths[segment]
    trajectory, truth = _trajectory(path), source.truth
    up = map_up(trajectory, truth)
    centres = trajectory.poses[:, :3, 3]
    unit = "metres" if path.metric else "arbitrary unit"
    picture = draw_cloud(scene.points, scene.rgb, "oblique", SIZE, centres, up)
    caption = f"{len(path.poses)} keyframes, {len(scene):,} points, {unit}; red: the camera's path"
    panels = [Panel(picture, "Map of the longest segment", caption)]
    if together is not None and truth is not None:
        played = (truth.stamps_ns >= source.start_ns) & (truth.stamps_ns <= source.end_ns)
        scene, centres, up = together, truth.poses[played, :3, 3], WORLD_UP
        caption = f"{len(recording.paths)} segments, {len(scene):,} points; red: odometry, by which they are placed"
    title = "Map from above" if together is None else "All segments from above"
    scene = without_ceiling(scene, centres, up)
    caption += "; cut a little above the camera"
    panels.append(Panel(draw_cloud(scene.points, scene.rgb, "top", SIZE, centres, up), title, caption))
    second = []
    if (scene.label != NO_LABEL).any():
        names = recording.label_names
        labelled = draw_cloud(scene.points, _label_colours(scene, len(names)), "top", SIZE, None, up)
        second.append(Panel(labelled, "The same by label", legend=_legend(names)))
    second.append(_path_panel(recording, source, segment, map_up(trajectory, truth)))
    return [panels, second]


def without_ceiling(cloud: MapCloud, centres: NDArray[np.float64], up: Up) -> MapCloud:
    """Return the points that are not much higher than the camera, so that one can look into a room from above.

    The limit is the camera's height above the floor (the lowest points), times 1.3.
    """
    heights = cloud.points @ np.array(up)
    floor, camera = float(np.percentile(heights, 3)), float(np.median(centres @ np.array(up)))
    kept = heights < camera + 0.3 * max(camera - floor, 0.0)
    return cloud.select(kept) if kept.sum() > 0.1 * len(kept) else cloud


def _trajectory(path: PathRecord) -> Trajectory:
    return Trajectory.from_unsorted(list(path.poses), list(path.poses.values()))


def _label_colours(scene: MapCloud, count: int) -> NDArray[np.uint8]:
    """Return [N, 3] colours: the label's, mixed with a little of the point's own; pale grey without one."""
    table = np.concatenate([palette(count), [[205, 208, 214]]]).astype(np.float64)
    index = np.where(scene.label < count, scene.label, count)
    shade = 0.7 + 0.3 * scene.rgb.mean(1, keepdims=True) / 255
    return (table[index] * shade).astype(np.uint8)


def _path_panel(recording: Recording, source: Source, segment: int, up: Up) -> Panel:
    """Return the path from above: all segments over the odometry where there is one, else the longest alone."""
    truth = source.truth
    aligned = [] if truth is None else _aligned_segments(recording, truth)
    if truth is None or not aligned:
        centres = np.stack(list(recording.paths[segment].poses.values()))[:, :3, 3]
        return Panel(draw_paths([centres], None, SIZE, up), "Path of the longest segment")
    played = (truth.stamps_ns >= source.start_ns) & (truth.stamps_ns <= source.end_ns)
    picture = draw_paths([line for line, _ in aligned], truth.poses[played, :3, 3], SIZE, WORLD_UP)
    length = float(np.linalg.norm(np.diff(truth.poses[played, :3, 3], axis=0), axis=1).sum())
    distance = np.sqrt(np.mean(np.square(np.concatenate([errors for _, errors in aligned]))))
    caption = (
        f"red: {len(aligned)} chained segment(s), each aligned; grey: odometry ({length:.1f} m); grid in metres\n"
    )
    return Panel(picture, "Path", caption + f"root mean square distance {distance:.2f} m")


def _aligned_segments(recording: Recording, truth: Trajectory) -> list[tuple[NDArray[np.float64], list[float]]]:
    """Return per segment its positions [N, 3] brought onto the truth, and their distances to it, metres."""
    out = []
    for path in recording.paths.values():
        trajectory = _trajectory(path)
        positions = align_path(trajectory, truth)
        if positions is None:
            continue
        true = [truth.at(stamp) for stamp in trajectory.stamps_ns.tolist()]
        errors = [
            float(np.linalg.norm(p - T[:3, 3])) for p, T in zip(positions, true, strict=True) if T is not None
        ]
        out.append((positions, errors))
    return out


def map_up(trajectory: Trajectory, truth: Trajectory | None) -> Up:
    """Return the up direction in the map: from odometry (z up) where known, else the first camera's."""
    if truth is None:
        return CAMERA_UP
    ups = [
        estimated[:3, :3] @ true[:3, :3].T @ np.array([0.0, 0.0, 1.0])
        for stamp, estimated in zip(trajectory.stamps_ns.tolist(), trajectory.poses, strict=True)
        if (true := truth.at(stamp)) is not None
    ]
    if not ups:
        return CAMERA_UP
    mean = np.mean(ups, 0)
    x, y, z = mean / np.linalg.norm(mean)
    return float(x), float(y), float(z)
