"""Sends small and large messages as a driver started in this shell would: `python echo.py TOPIC COUNT BYTES`.

Run as a file, so that nothing heavy is imported; a process of its own, because messages within one process do not
take the way that a driver's take.
"""

from __future__ import annotations

import sys
import time

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

NODE = "lsm_doctor_echo"
SMALL, PERIOD_S, PATIENCE_S, SETTLE_S = 100, 0.05, 4.0, 0.3


def main() -> int:
    """Wait to be heard, send, and give the last message time to leave."""
    topic, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rclpy.init(args=[])
    node = Node(NODE, start_parameter_services=False, enable_rosout=False)
    qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = node.create_publisher(Image, topic, qos)
    deadline = time.monotonic() + PATIENCE_S
    while not publisher.get_subscription_count() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(SETTLE_S)  # the other side has to know this end, too
    for payload in (SMALL, size):
        image = Image()
        image.data.frombytes(bytes(payload))
        for _ in range(count):
            publisher.publish(image)
            time.sleep(PERIOD_S)
    time.sleep(SETTLE_S)
    node.destroy_node()
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
