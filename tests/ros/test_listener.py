"""Listener: what was sent is received or lost, counted by the publisher's sequence numbers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")

from lsm_perception.graph import Graph
from lsm_perception.listener import Listener, LossCounter, message_type
from lsm_perception.loss_watch import LossWatch
from lsm_perception.topic_events import TopicEvents
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, CompressedImage, Image


def test_gaps_count_while_one_publisher_is_there() -> None:
    counter = LossCounter()
    assert [counter.of_message(n, 1) for n in (5, 6, 9, 10)] == [0, 0, 2, 0]
    assert counter.of_report(7) == 0  # the gap says the same
    assert [counter.of_message(n, 1) for n in (1, 2)] == [0, 0]  # the publisher began anew


def test_numbers_of_several_publishers_are_not_compared() -> None:
    counter = LossCounter()
    assert [counter.of_message(n, 2) for n in (1000, 1, 1001, 2)] == [0, 0, 0, 0]
    assert counter.of_report(3) == 3  # now the middleware's own report counts
    assert [counter.of_message(n, 1) for n in (1010, 1012)] == [0, 1]
    counter.start_anew()
    assert counter.of_message(5000, 1) == 0


def test_a_middleware_without_numbers_has_its_reports() -> None:
    counter = LossCounter()
    assert [counter.of_message(None, 1) for _ in range(3)] == [0, 0, 0] and counter.of_report(2) == 2


def test_type_names_are_those_of_the_graph() -> None:
    assert [message_type(k) for k in (Image, CompressedImage, CameraInfo)] == [
        "sensor_msgs/msg/Image",
        "sensor_msgs/msg/CompressedImage",
        "sensor_msgs/msg/CameraInfo",
    ]


@dataclass
class Counted:
    """The counters of a listener."""

    received: int = 0
    lost: int = 0
    name: str = "image"
    topic: str = "/image"


def test_a_large_share_of_losses_is_logged_once_per_window() -> None:
    lines: list[str] = []
    now = [50.0]
    watch = LossWatch(lines.append, lambda: now[0])
    heard = Counted()
    for _ in range(61):
        watch.look([heard])  # type: ignore[list-item]
        heard.received += 7
        heard.lost += 3
        now[0] += 1
    assert len(lines) == 2 and "30 % of image on /image (90 of 300) were lost on the way" in lines[0]
    lines.clear()
    for _ in range(61):
        watch.look([heard])  # type: ignore[list-item]
        heard.received += 9
        heard.lost += 1
        now[0] += 1
    assert len(lines) <= 1  # the window in which it changed


class Heard:
    """A listener that is slow on demand, spun in a thread, and a publisher beside it."""

    def __init__(self) -> None:
        self.node = Node("listener_test")
        self.delay_s = 0.0
        self.lost = 0
        self.listener = Listener(
            self.node, "image", Image, "pictures", self._take, TopicEvents(Graph(self.node), print), self._lose
        )
        self.publishers: list[Publisher] = []
        self._executor = MultiThreadedExecutor(4)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._executor.shutdown(timeout_sec=2.0)
        self._thread.join(5.0)
        self.node.destroy_node()

    def publisher(self) -> Publisher:
        self.publishers.append(self.node.create_publisher(Image, "pictures", 10))
        count = len(self.publishers)
        assert wait_until(lambda: self.publishers[-1].get_subscription_count() == 1)
        assert wait_until(lambda: self.listener._subscription.get_publisher_count() == count)
        time.sleep(0.2)  # the matched event is handled
        return self.publishers[-1]

    def _take(self, _message: Image) -> None:
        time.sleep(self.delay_s)

    def _lose(self, count: int) -> None:
        self.lost += count


@pytest.fixture
def heard(rclpy_session: None) -> Iterator[Heard]:
    out = Heard()
    yield out
    out.close()


def test_what_a_slow_callback_misses_is_lost(heard: Heard) -> None:
    publisher = heard.publisher()
    publisher.publish(Image())
    assert wait_until(lambda: heard.listener.received == 1)
    heard.delay_s = 0.1
    for _ in range(20):
        publisher.publish(Image())
        time.sleep(0.01)
    heard.delay_s = 0.0
    time.sleep(0.3)
    publisher.publish(Image())
    # The last one always arrives, so every gap is seen.
    assert wait_until(lambda: heard.listener.received + heard.listener.lost == 22)
    assert heard.listener.lost == heard.lost > 0


def test_a_second_publisher_is_no_loss(heard: Heard) -> None:
    first = heard.publisher()
    for _ in range(5):
        first.publish(Image())
        time.sleep(0.05)
    assert wait_until(lambda: heard.listener.received == 5)
    second = heard.publisher()
    for _ in range(3):
        second.publish(Image())
        time.sleep(0.05)
        first.publish(Image())
        time.sleep(0.05)
    assert wait_until(lambda: heard.listener.received == 11)
    assert heard.listener.lost == 0
