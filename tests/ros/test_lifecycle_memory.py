"""Cleanup gives the model's memory back: nothing holds on to the backend, also after work and after failures."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

import torch
from fake_backend import FakeBackend
from lsm_perception.node_executor import NodeExecutor
from lsm_perception.perception_node import PerceptionNode
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from robot import Robot
from synthetic_world import View, walk
from walker import Walker

from lsm_core.backends import Backend, load_backend

DONE = TransitionCallbackReturn.SUCCESS


class Loader:
    """Loads backends and remembers them without keeping them."""

    def __init__(self, kind: str, views: list[View]) -> None:
        self._kind = kind
        self._views = views
        self.loaded: list[weakref.ref[Backend]] = []
        self.broken = False

    def __call__(self, name: str, device: str, weights: Path | None) -> Backend:
        backend = FakeBackend(self._views) if self._kind == "fake" else load_backend("lsm-tiny", device)
        if self.broken:
            backend.encode = None  # type: ignore[method-assign, assignment]  # so that warming up fails
        self.loaded.append(weakref.ref(backend))
        return backend

    @property
    def alive(self) -> int:
        return sum(ref() is not None for ref in self.loaded)


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(30)


@pytest.fixture
def executor(rclpy_session: None) -> Iterator[NodeExecutor]:
    out = NodeExecutor()
    yield out
    out.finish(5.0)


def make_node(loader: Loader, **parameters: object) -> PerceptionNode:
    given = {"autostart": False, "odometry.source": "none"} | parameters
    return PerceptionNode(loader, parameter_overrides=[Parameter(n, value=v) for n, v in given.items()])


@pytest.mark.parametrize("kind", ["fake", pytest.param("lsm-tiny", marks=pytest.mark.slow)])
def test_nothing_holds_on_to_the_backend_after_cleanup(
    rclpy_session: None, executor: NodeExecutor, views: list[View], kind: str
) -> None:
    loader = Loader(kind, views)
    node = make_node(loader)
    robot = Robot(("points", "segmentation/label"))
    executor.add_node(node)
    stop = threading.Event()
    thread = threading.Thread(target=executor.spin_until, args=(stop.is_set,), daemon=True)
    thread.start()
    try:
        for _ in range(2):
            assert node.trigger_configure() == DONE and node.trigger_activate() == DONE
            walker = Walker(robot, views, start_ns=views[0].stamp_ns + 10**12)
            assert wait_until(lambda: robot.images.get_subscription_count() > 0)
            robot.forget()
            assert walker.walk_until(lambda: len(robot.messages("segmentation/label")) > 2, 60.0)
            assert loader.alive == 1
            assert node.trigger_deactivate() == DONE and node.trigger_cleanup() == DONE
            # A callback that was in work may hold on to its camera for a moment.
            assert wait_until(lambda: collected(loader), 5.0), loader.alive
    finally:
        stop.set()
        thread.join(10.0)
        robot.close()
        node.destroy_node()


def collected(loader: Loader) -> bool:
    gc.collect()
    return loader.alive == 0


def test_a_configure_that_fails_keeps_nothing_and_can_be_repeated(rclpy_session: None, views: list[View]) -> None:
    loader = Loader("fake", views)
    node = make_node(loader)
    try:
        loader.broken = True
        for _ in range(2):
            assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
            assert node.state_label == "unconfigured" and loader.alive == 0
        loader.broken = False
        assert node.trigger_configure() == DONE and loader.alive == 1
        assert node.trigger_shutdown() == DONE and node.state_label == "finalized" and loader.alive == 0
    finally:
        node.destroy_node()


@pytest.mark.gpu
def test_memory_of_the_gpu_is_back_after_cleanup(rclpy_session: None, views: list[View]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    loader = Loader("lsm-tiny", views)
    node = make_node(loader, device="cuda")
    try:
        reserved = []
        for _ in range(3):
            assert node.trigger_configure() == DONE
            assert torch.cuda.memory_allocated() > 10 * 2**20
            assert node.trigger_cleanup() == DONE
            reserved.append((torch.cuda.memory_allocated(), torch.cuda.memory_reserved()))
        # cuBLAS keeps a workspace of its own after the first use.
        assert reserved[1] == reserved[2] and reserved[2][0] < 10 * 2**20, reserved
    finally:
        node.destroy_node()
