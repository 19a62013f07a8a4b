"""Images between ROS messages and NumPy; stands in for vision_opencv's package of this name."""

from cv_bridge.core import CvBridge, CvBridgeError

__all__ = ["CvBridge", "CvBridgeError"]
