"""The node with backend:=lsm over DDS, on small checkpoints in the official formats that know a walk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from torch import nn
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from harness import FRAME, Harness
from known_scene import walk_slowly, write_room_checkpoints
from lsm_perception.conversions.poses import matrix_from_pose, matrix_from_transform
from lsm_perception.conversions.stamps import stamp_to_ns
from lsm_perception_msgs.msg import PairPose, ResultCode
from lsm_perception_msgs.srv import QueryText
from sensor_msgs_py import point_cloud2
from synthetic_world import FACES, HEIGHT, WIDTH, View, walk

from lsm_core import load_backend
from lsm_core.backends import Backend

CROP = slice((WIDTH - HEIGHT) // 2, (WIDTH + HEIGHT) // 2)  # columns that the square crop of the model keeps
PATIENCE_S = 180.0  # a loaded machine takes its time
LISTEN = ("keyframes", "points", "map_points", "pair_pose", "segmentation/label")


class CountingLoader:
    """Loads what the node asks for, and counts the passes through each network."""

    def __init__(self) -> None:
        self.asked: tuple[str, str] = ("", "")
        self.passes: Counter[str] = Counter()

    def __call__(self, name: str, device: str, weights: Path | None) -> Backend:
        self.asked = (name, str(weights))
        backend = load_backend(name, device, weights)
        network = backend.network  # type: ignore[attr-defined]
        self._count("geometry", network.dust3r.patch_embed)
        self._count("language", network.lseg.vit.patch_embed)
        self._count("fusion", network.point_transformer)
        return backend

    def _count(self, what: str, module: nn.Module) -> None:
        module.register_forward_hook(lambda *_: self.passes.update([what]))


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(5, step_m=0.15)[::2]


@pytest.fixture(scope="module")
def loader() -> CountingLoader:
    return CountingLoader()


@pytest.fixture(scope="module")
def weights(views: list[View], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lsm")
    write_room_checkpoints(folder, views)
    return folder


@pytest.fixture(scope="module")
def node(rclpy_session: None, views: list[View], weights: Path, loader: CountingLoader) -> Iterator[Harness]:
    """A node of backend lsm after the walk."""
    chosen = {"backend": "lsm", "weights": str(weights), "device": "cpu", "queries.texts": list(FACES)}
    harness = Harness(None, chosen, LISTEN, load=loader)
    try:
        assert wait_until(lambda: harness.node.state_label == "active", PATIENCE_S)
        harness.wait_active()
        harness.wait_connected(*LISTEN)
        loader.passes.clear()  # of the warm-up
        walk_slowly(harness, views)
        assert wait_until(lambda: len(harness.messages("segmentation/label")) >= len(views), PATIENCE_S)
        yield harness
    finally:
        harness.close()


def view_of(views: list[View], message: object) -> View:
    stamp = stamp_to_ns(message.header.stamp)  # type: ignore[attr-defined]
    return next(view for view in views if view.stamp_ns == stamp)


def test_the_parameters_choose_backend_and_weights(node: Harness, loader: CountingLoader, weights: Path) -> None:
    assert loader.asked == ("lsm", str(weights))


def test_every_image_is_encoded_once_and_every_pair_fused_once(
    node: Harness, views: list[View], loader: CountingLoader
) -> None:
    # The first keyframe is paired with itself, for its masks.
    assert loader.passes == {"geometry": len(views), "language": len(views), "fusion": len(views)}


def test_poses_of_all_pairs_are_accepted_and_right(node: Harness, views: list[View]) -> None:
    assert wait_until(lambda: len(node.messages("pair_pose")) == len(views) - 1)
    pairs: list[PairPose] = node.messages("pair_pose")
    assert len(pairs) == len(views) - 1 and all(pair.accepted for pair in pairs), [p.reason for p in pairs]
    for pair, older, newer in zip(pairs, views, views[1:], strict=False):
        T = np.linalg.inv(older.T_world_cam) @ newer.T_world_cam
        found = matrix_from_pose(pair.pose.pose)
        assert found[:3, :3] == pytest.approx(T[:3, :3], abs=0.002)
        assert found[:3, 3] / np.linalg.norm(found[:3, 3]) == pytest.approx(
            T[:3, 3] / np.linalg.norm(T[:3, 3]), abs=0.02
        )


def test_clouds_lie_on_what_the_image_shows(node: Harness, views: list[View]) -> None:
    assert wait_until(lambda: len(node.messages("points")) == len(views) - 1)
    for cloud in node.messages("points"):
        view = view_of(views, cloud)
        points = point_cloud2.read_points_numpy(cloud, ["x", "y", "z"])
        assert cloud.header.frame_id == "lsm_camera_unscaled" and len(points) > 1000
        u = np.rint(260 * points[:, 0] / points[:, 2] + 159.5).astype(int).clip(0, WIDTH - 1)
        v = np.rint(260 * points[:, 1] / points[:, 2] + 119.5).astype(int).clip(0, HEIGHT - 1)
        ratio = points[:, 2] / view.depth[v, u]
        assert np.percentile(np.abs(ratio / np.median(ratio) - 1), 95) < 0.05
    assert wait_until(lambda: node.messages("map_points")[-1].width > node.messages("points")[0].width)


def test_the_tree_of_frames_follows_the_walk(node: Harness, views: list[View]) -> None:
    sent = [t for message in node.messages("tf") for t in message.transforms]
    of = {t.child_frame_id: t for t in sent if stamp_to_ns(t.header.stamp) == views[-1].stamp_ns}
    assert of["lsm_keyframe_unscaled"].header.frame_id == "lsm_map_unscaled"
    assert of["lsm_camera_unscaled"].header.frame_id == "lsm_keyframe_unscaled"
    T_map_cam = matrix_from_transform(of["lsm_keyframe_unscaled"].transform) @ matrix_from_transform(
        of["lsm_camera_unscaled"].transform
    )
    T = np.linalg.inv(views[0].T_world_cam) @ views[-1].T_world_cam
    assert T_map_cam[:3, :3] == pytest.approx(T[:3, :3], abs=0.005)
    assert T_map_cam[:3, 3] / np.linalg.norm(T_map_cam[:3, 3]) == pytest.approx(
        T[:3, 3] / np.linalg.norm(T[:3, 3]), abs=0.03
    )


def test_standing_queries_give_the_label_of_each_pixel(node: Harness, views: list[View]) -> None:
    for message in node.messages("segmentation/label"):
        labels = np.asarray(message.data, np.uint8).reshape(HEIGHT, WIDTH)
        assert (labels == view_of(views, message).label)[:, CROP].mean() > 0.9
        assert (labels[:, : CROP.start - 1] == 255).all()  # the model does not see it


def test_words_asked_again_and_again_cost_no_pass_through_the_networks(
    node: Harness, views: list[View], loader: CountingLoader
) -> None:
    before = Counter(loader.passes)
    for texts in (["wall", "floor"], ["cabinet"], ["floor", "wall", "door"]):
        reply = node.call(QueryText, "query_text", PATIENCE_S, texts=texts)
        assert reply.success and reply.code == ResultCode.NO_SCALE and reply.header.frame_id == FRAME
        view = view_of(views, reply)
        for text, mask in zip(texts, reply.masks, strict=True):
            found = np.asarray(mask.data, np.uint8).reshape(HEIGHT, WIDTH)[:, CROP] == 255
            assert (found == (view.label == FACES.index(text))[:, CROP]).mean() > 0.9, text
    assert loader.passes == before
