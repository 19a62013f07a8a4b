"""Pixels masked as moving leave points, Gaussians, chain and scale; segmentation keeps them."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fake_backend import FakeBackend
from harness import FRAME, Harness
from lsm_perception.conversions.errors import BadMessageError
from lsm_perception.conversions.stamps import stamp_from_ns, stamp_to_ns
from lsm_perception.dynamic_pixels import DynamicPixels, without_dynamic
from lsm_perception.mask_source import MaskSource
from lsm_perception.parameter_groups import DEFAULT_QUERIES
from lsm_perception.source_image import SourceImage
from sensor_msgs.msg import Image
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header
from synthetic_world import FACES, HEIGHT, WIDTH, View, walk

from lsm_core.mapping import ChainConfig, PairChain, PairGeometry, cloud_from_view, sample_from_depth

SECOND = 1_000_000_000


def mask_message(mask: np.ndarray, stamp_ns: int, **fields: object) -> Image:
    data = array("B", (mask.astype(np.uint8) * 7).tobytes())
    message = Image(height=mask.shape[0], width=mask.shape[1], step=mask.shape[1], encoding="mono8", data=data)
    message.header = Header(stamp=stamp_from_ns(stamp_ns), frame_id=FRAME)
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def image_at(stamp_ns: int, width: int = WIDTH, height: int = HEIGHT) -> SourceImage:
    def unused() -> np.ndarray:
        raise AssertionError("a mask is looked up without decoding the image")

    return SourceImage("", stamp_ns, FRAME, width, height, unused, unused)


LEFT = np.zeros((HEIGHT, WIDTH), bool)
LEFT[:, : WIDTH // 2] = True


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def source(said: list[str]) -> MaskSource:
    return MaskSource(10**6, 0.02, said.append)


def test_the_nearest_mask_in_time_is_taken(source: MaskSource, said: list[str]) -> None:
    for offset_ms, mask in ((-15, ~LEFT), (3, LEFT), (40, ~LEFT)):
        source.add(mask_message(mask, SECOND + offset_ms * 1_000_000))
    found = source.of(image_at(SECOND))
    assert found is not None and np.array_equal(found, LEFT) and said == []


def test_padding_and_any_value_above_zero_count(source: MaskSource) -> None:
    rows = np.concatenate([LEFT.astype(np.uint8), np.full((HEIGHT, 5), 255, np.uint8)], 1)
    source.add(mask_message(LEFT, SECOND, data=array("B", rows.tobytes()), step=WIDTH + 5, encoding="8UC1"))
    found = source.of(image_at(SECOND))
    assert found is not None and np.array_equal(found, LEFT)


def test_without_any_mask_nothing_is_said(source: MaskSource, said: list[str]) -> None:
    assert source.of(image_at(SECOND)) is None and said == []


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (mask_message(LEFT, SECOND + 500_000_000), "0.500 s"),
        (mask_message(LEFT[:100], SECOND), "320x100"),
        (mask_message(LEFT, SECOND, header=Header(stamp=stamp_from_ns(SECOND), frame_id="other")), "'other'"),
    ],
    ids=["late", "other size", "other frame"],
)
def test_a_mask_that_does_not_fit_is_not_used_and_said(
    source: MaskSource, said: list[str], message: Image, words: str
) -> None:
    source.add(message)
    assert source.of(image_at(SECOND)) is None
    assert len(said) == 1 and words in said[0]


@pytest.mark.parametrize(
    "fields",
    [
        {"encoding": "rgb8"},
        {"encoding": "32FC1"},
        {"encoding": "mono16"},
        {"step": 3},
        {"data": array("B", b"12")},
        {"width": 0},
        {"height": 2**31},
    ],
)
def test_a_malformed_mask_is_refused(source: MaskSource, fields: dict) -> None:
    with pytest.raises(BadMessageError):
        source.add(mask_message(LEFT, SECOND, **fields))
    assert source.of(image_at(SECOND)) is None


VIEWS = walk(12)


def pair() -> tuple[FakeBackend, object]:
    backend = FakeBackend(VIEWS)
    return backend, backend.predict([VIEWS[0].rgb, VIEWS[2].rgb])


def test_packing_keeps_every_pixel() -> None:
    mask = np.random.default_rng(0).random((37, 53)) > 0.5
    assert np.array_equal(DynamicPixels.from_mask(mask).mask(), mask)


def test_points_of_masked_pixels_are_gone_and_others_stay() -> None:
    _, prediction = pair()
    before = cloud_from_view(prediction, 1)
    after = cloud_from_view(without_dynamic(prediction, [None, DynamicPixels.from_mask(LEFT)]), 1)
    T = np.linalg.inv(prediction.poses[1].numpy())
    K = prediction.intrinsics[1].numpy()

    def columns(cloud: object) -> np.ndarray:
        p = (cloud.points @ T[:3, :3].T + T[:3, 3]) @ K.T
        return p[:, 0] / p[:, 2]

    middle = prediction.pointmaps[1].shape[1] / 2
    assert (columns(before) < middle - 1).any()
    assert len(after) > 0.3 * len(before) and columns(after).min() >= middle - 1


def test_gaussians_on_moving_surfaces_are_gone_and_those_behind_stay() -> None:
    _, prediction = pair()
    box = np.zeros((HEIGHT, WIDTH), bool)
    box[80:160, 100:200] = True
    left = without_dynamic(prediction, [None, DynamicPixels.from_mask(box)]).gaussians
    per_pixel = prediction.pointmaps[1].shape
    masked = box[2::4, 2::4][: per_pixel[0], : per_pixel[1]]
    gone = len(prediction.gaussians) - len(left)
    assert masked.sum() <= gone <= 2.6 * masked.sum()  # of both views
    farther = prediction.gaussians.transform(torch.diag(torch.tensor([3.0, 3.0, 3.0, 1.0])))
    from dataclasses import replace

    kept = without_dynamic(replace(prediction, gaussians=farther), [DynamicPixels.from_mask(box), None]).gaussians
    assert len(kept) == len(farther)


def test_a_thing_that_moved_does_not_bend_the_chain_once_it_is_masked() -> None:
    """Two pairs share view 2; in the second pair the left half came three times as near."""
    backend = FakeBackend(VIEWS)
    first, second = (backend.predict([VIEWS[a].rgb, VIEWS[b].rgb]) for a, b in ((0, 2), (2, 4)))
    left = torch.from_numpy(LEFT[2::4, 2::4].copy())
    left[:, :60] = True  # most of the image
    second.pointmaps[0][left] /= 3.0
    mask = DynamicPixels.from_mask(np.kron(left.numpy(), np.ones((4, 4), bool)))

    def joined(moving: DynamicPixels | None) -> object:
        chain = PairChain(ChainConfig())
        one = chain.add(PairGeometry.from_prediction(first, 1, 2))
        two = chain.add(PairGeometry.from_prediction(without_dynamic(second, [moving, None]), 2, 3))
        T = np.linalg.inv(VIEWS[2].T_world_cam) @ VIEWS[4].T_world_cam
        step = np.linalg.norm((np.linalg.inv(two.T_map_older) @ two.T_map_newer)[:3, 3])
        first_step = np.linalg.norm((np.linalg.inv(one.T_map_older) @ one.T_map_newer)[:3, 3])
        T_first = np.linalg.inv(VIEWS[0].T_world_cam) @ VIEWS[2].T_world_cam
        return (step / first_step) / (np.linalg.norm(T[:3, 3]) / np.linalg.norm(T_first[:3, 3]))

    assert joined(mask) == pytest.approx(1.0, rel=0.02)
    assert abs(joined(None) - 1.0) > 0.5


def test_masked_pixels_give_no_scale_sample() -> None:
    _, prediction = pair()
    all_of_it = DynamicPixels.from_mask(np.ones((HEIGHT, WIDTH), bool))
    masked = without_dynamic(prediction, [None, all_of_it])
    result = sample_from_depth(
        VIEWS[2].depth, masked.depth(1).numpy(), masked.confidence[1].numpy(), masked.grid_to_image[1].numpy()
    )
    assert result.sample is None and result.reason == "few_pixels"


@pytest.fixture(scope="module")
def running(rclpy_session: None) -> Iterator[Harness]:
    listen = ("points", "gaussians", "segmentation/label", "pair_pose", "keyframes")
    harness = Harness(FakeBackend(VIEWS), {"odometry.source": "none"}, listen=listen)
    harness.wait_active()
    harness.wait_connected(*listen)
    yield harness
    harness.close()


def run(harness: Harness, mask: np.ndarray | None, views: list[View]) -> tuple[list, list, list]:
    """Walk with this mask beside every view; return clouds, Gaussians and labels."""
    harness.renew()
    publisher = harness.client.create_publisher(Image, "mask", 10)
    assert wait_until(lambda: publisher.get_subscription_count() > 0)
    masks = harness.node.runtime.cameras[""].stream.masks  # type: ignore[union-attr]
    for view in views:
        if mask is not None:
            publisher.publish(mask_message(mask, view.stamp_ns))
            at = view.stamp_ns
            assert wait_until(lambda at=at: any(t == at for t, _ in masks._messages))
        harness.walk([view])
    heard = lambda name: len(harness.messages(name))  # noqa: E731
    assert wait_until(lambda: heard("segmentation/label") >= 3 and heard("points") > 0 and heard("gaussians") > 0)
    harness.client.destroy_publisher(publisher)
    return tuple(harness.messages(name) for name in ("points", "gaussians", "segmentation/label"))


def test_a_mask_over_dds_leaves_half_of_the_points_and_all_of_the_labels(running: Harness) -> None:
    plain = run(running, None, VIEWS)
    masked = run(running, LEFT, VIEWS)
    for index in (0, 1):
        for message in masked[index]:
            xyz = point_cloud2.read_points_numpy(message, ["x", "y", "z"])
            # The camera's left half is at negative x; Gaussians are also of the older camera, further left.
            assert xyz[:, 0].min() > -0.02 * xyz[:, 2].max() - 0.7 * index
        assert any((point_cloud2.read_points_numpy(m, ["x"])[:, 0] < 0).any() for m in plain[index])
    of_face = np.array([DEFAULT_QUERIES.index(face) for face in FACES])
    for message in masked[2]:
        view = next(v for v in VIEWS if v.stamp_ns == stamp_to_ns(message.header.stamp))
        labels = np.frombuffer(message.data, np.uint8).reshape(HEIGHT, WIDTH)
        assert (labels == of_face[view.label])[LEFT].mean() > 0.95
    assert all(m.accepted for m in running.messages("pair_pose"))


def test_malformed_and_missing_masks_are_said_and_the_images_are_used(running: Harness) -> None:
    running.renew()
    runtime = running.node.runtime
    assert runtime is not None
    publisher = running.client.create_publisher(Image, "mask", 10)
    assert wait_until(lambda: publisher.get_subscription_count() > 0)
    publisher.publish(mask_message(LEFT, VIEWS[0].stamp_ns, encoding="rgb8", step=3 * WIDTH))
    assert wait_until(lambda: "A mask is not used" in runtime.problems.newest()[0])
    publisher.publish(mask_message(LEFT, VIEWS[0].stamp_ns - 5 * SECOND))
    masks = runtime.cameras[""].stream.masks
    assert wait_until(lambda: len(masks._messages) == 1)
    running.walk(VIEWS)
    assert "The nearest mask is" in runtime.problems.newest()[0]
    assert wait_until(lambda: any(m.accepted for m in running.messages("pair_pose")))
    assert wait_until(lambda: len(running.messages("points")) > 0)
    running.client.destroy_publisher(publisher)
