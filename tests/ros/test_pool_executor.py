"""The node's executor: it sleeps while its threads are busy, loses no callback, and logs what one raises."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import rclpy
from lsm_perception.event_handlers import EventCallbacks
from lsm_perception.pool_executor import PoolExecutor
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.event_handler import QoSSubscriptionEventType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Empty
from waiting import wait_until

THREADS = 2
pytestmark = pytest.mark.ros


@pytest.fixture
def node(rclpy_session: None) -> Iterator[Node]:
    made = Node("pool_executor_test")
    yield made
    made.destroy_node()


@pytest.fixture
def executor(node: Node) -> Iterator[PoolExecutor]:
    made = PoolExecutor(num_threads=THREADS)
    made.add_node(node)
    yield made
    made.shutdown(timeout_sec=2.0)


def once(node: Node, work: object) -> None:
    """Let work be done once, as soon as the node is spun."""

    def fire() -> None:
        timer.cancel()
        work()  # type: ignore[operator]

    timer = node.create_timer(0.0, fire, callback_group=ReentrantCallbackGroup())


def spin_for(executor: PoolExecutor, seconds: float) -> None:
    """Spin for a while."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        executor.spin_once(timeout_sec=0.1)


def count_submissions(executor: PoolExecutor) -> list[object]:
    """Return a list that grows by one with each task that the executor's threads are given."""
    given: list[object] = []
    pool = executor._executor
    submit = pool.submit

    def noted(*words: object) -> object:
        given.append(words)
        return submit(*words)  # type: ignore[arg-type]

    pool.submit = noted  # type: ignore[method-assign, assignment]
    return given


def test_a_callback_that_waits_for_a_thread_is_handed_over_once(executor: PoolExecutor, node: Node) -> None:
    release, done = threading.Event(), []
    for _ in range(THREADS + 3):
        once(node, lambda: (release.wait(30.0), done.append(1)))
    handed_over = count_submissions(executor)
    for _ in range(30):  # rclpy's own executor offers the three that wait once more at each turn
        executor.spin_once(timeout_sec=0.02)
    assert len(handed_over) == THREADS + 3
    assert done == []
    release.set()
    assert wait_until(lambda: len(done) == THREADS + 3)


def test_every_callback_runs_exactly_once(executor: PoolExecutor, node: Node) -> None:
    counts = [0] * 40
    lock = threading.Lock()

    def count(index: int) -> None:
        with lock:
            counts[index] += 1

    for index in range(len(counts)):
        once(node, lambda index=index: count(index))
    for _ in range(400):
        executor.spin_once(timeout_sec=0.02)
        if all(counts):
            break
    spin_for(executor, 0.2)
    assert counts == [1] * len(counts)


def test_a_callback_that_raises_is_logged_and_the_next_one_runs(
    executor: PoolExecutor, node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    done = threading.Event()

    def fail() -> None:
        raise RuntimeError("broken on purpose")

    once(node, fail)
    spin_for(executor, 0.2)
    once(node, done.set)
    spin_for(executor, 0.2)
    assert done.wait(10.0)
    assert wait_until(lambda: "broken on purpose" in caplog.text)
    assert "the node goes on" in caplog.text


def test_a_coroutine_that_waits_is_resumed(executor: PoolExecutor, node: Node) -> None:
    waited_for = rclpy.Future(executor=executor)
    done = threading.Event()

    async def wait() -> None:
        assert await waited_for == 3
        done.set()

    executor.create_task(wait)
    spin_for(executor, 0.2)
    assert not done.is_set()
    waited_for.set_result(3)
    spin_for(executor, 0.3)
    assert done.wait(10.0)


class CountingExecutor(PoolExecutor):
    """Counts how often it looks for work."""

    looks = 0

    def get_nodes(self) -> list[Node]:
        self.looks += 1
        return super().get_nodes()  # type: ignore[no-any-return]


@pytest.mark.parametrize("busy", ["in the callback", "before a thread is free"])
def test_messages_that_wait_for_a_busy_callback_do_not_keep_the_executor_busy(node: Node, busy: str) -> None:
    executor = CountingExecutor(num_threads=THREADS)
    executor.add_node(node)
    release, begun, heard = threading.Event(), threading.Event(), []

    def take(message: Empty) -> None:
        heard.append(message)
        begun.set()
        release.wait(30.0)

    node.create_subscription(
        Empty,
        "piling_up",
        take,
        QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT),
        callback_group=MutuallyExclusiveCallbackGroup(),
        event_callbacks=EventCallbacks(
            {QoSSubscriptionEventType.RCL_SUBSCRIPTION_MESSAGE_LOST: lambda event: None}
        ),
    )
    publisher = node.create_publisher(Empty, "piling_up", 10)
    assert wait_until(lambda: publisher.get_subscription_count() == 1)
    try:
        if busy == "before a thread is free":
            for _ in range(THREADS):
                once(node, lambda: release.wait(30.0))
            spin_for(executor, 0.3)
        publisher.publish(Empty())
        spin_for(executor, 0.3)
        assert begun.is_set() == (busy == "in the callback")
        for _ in range(5):
            publisher.publish(Empty())
        spin_for(executor, 0.3)
        executor.looks = 0
        spin_for(executor, 1.0)
        assert executor.looks < 60, "the executor does not sleep while messages wait"
    finally:
        release.set()
    spin_for(executor, 1.0)
    assert len(heard) == (2 if busy == "in the callback" else 1)  # the queue holds one, the newest
    executor.shutdown(timeout_sec=2.0)
