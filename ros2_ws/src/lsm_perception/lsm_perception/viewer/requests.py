"""What the viewer asks the node, as requests of its services."""

from __future__ import annotations

import re
from collections.abc import Sequence

from geometry_msgs.msg import PoseStamped
from lsm_perception_msgs.srv import LoadMap, QueryText, RenderView, SaveMap, SetQueries
from sensor_msgs.msg import CameraInfo

from lsm_perception.conversions import stamp_from_ns
from lsm_perception.conversions.poses import pose_message
from lsm_perception.viewer.lens import Lens
from lsm_perception.viewer.records import Matrix, Source

SERVICE_S = 20
# Where the node splits a list, too (lsm_core.query.text_list); the viewer does without that package and its torch.
SEPARATORS = ",;\n\r\uff0c\uff1b\u3001\u060c\u061b"
PART = re.compile(rf'\s*"[^"]*"\s*(?=[{SEPARATORS}]|$)|[^{SEPARATORS}]+')


def words_in(text: str) -> tuple[str, ...]:
    """Return the things named in a line, "chair, table; sofa", each once and in order.

    A part in double quotes stays whole and keeps its quotes, so that the node does not split it either.
    """
    return tuple(dict.fromkeys(part for piece in PART.findall(text) if (part := piece.strip())))


def question(texts: Sequence[str], keyframe_id: int | None, camera: str) -> QueryText.Request:
    """Return a question about a kept keyframe, or about the newest one (None)."""
    request = QueryText.Request(texts=list(texts))
    if keyframe_id is None:
        request.target, request.camera = QueryText.Request.LATEST, camera
    else:
        request.target, request.keyframe_id = QueryText.Request.ID, keyframe_id
    request.timeout.sec = SERVICE_S
    return request


def standing_queries(texts: Sequence[str]) -> SetQueries.Request:
    """Return the wish to look for these words in every keyframe."""
    return SetQueries.Request(texts=list(texts))


def view_of_map(
    T_map_cam: Matrix, lens: Lens, map_source: Source, texts: Sequence[str] = (), features: bool = False
) -> RenderView.Request:
    """Return the wish for a picture of the map from a pose, with masks of words, or with language features."""
    stamp = stamp_from_ns(map_source.stamp_ns)
    pose = PoseStamped(pose=pose_message(T_map_cam))
    pose.header.frame_id, pose.header.stamp = map_source.frame, stamp
    info = CameraInfo(width=lens.width, height=lens.height, distortion_model="plumb_bob", d=[0.0] * 5)
    info.header.frame_id, info.header.stamp = map_source.frame, stamp
    x, y = (lens.width - 1) / 2, (lens.height - 1) / 2
    info.k = [lens.fx, 0.0, x, 0.0, lens.fy, y, 0.0, 0.0, 1.0]
    info.p = [lens.fx, 0.0, x, 0.0, 0.0, lens.fy, y, 0.0, 0.0, 0.0, 1.0, 0.0]
    info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    request = RenderView.Request(camera_info=info, camera_pose=pose, texts=list(texts), features=features)
    request.timeout.sec = SERVICE_S
    return request


def save(path: str, form: str, overwrite: bool) -> SaveMap.Request:
    """Return the wish to save the map in the node's folder."""
    return SaveMap.Request(path=path, format=form, overwrite=overwrite)


def load(path: str) -> LoadMap.Request:
    """Return the wish to replace the map by a saved one."""
    return LoadMap.Request(path=path)
