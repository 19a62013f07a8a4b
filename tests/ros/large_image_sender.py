"""Sends raw images as a camera driver would: `python large_image_sender.py TOPIC BYTES COUNT`, with our profile."""

from __future__ import annotations

import sys
import time

import rclpy
from lsm_perception.dds_profile import use_profile
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

topic, size, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
assert use_profile() is not None
rclpy.init()
node = Node("large_image_sender")
publisher = node.create_publisher(Image, topic, QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
deadline = time.monotonic() + 60
while not publisher.get_subscription_count() and time.monotonic() < deadline:
    time.sleep(0.05)
time.sleep(1.0)
image = Image()
image.data.frombytes(bytes(size))
for _ in range(count):
    publisher.publish(image)
    time.sleep(0.1)
time.sleep(1.0)
