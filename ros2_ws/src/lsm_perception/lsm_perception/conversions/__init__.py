"""Between ROS messages and arrays: images, clouds, poses, labels. Nothing here needs a node."""

from lsm_perception.conversions.stamps import stamp_from_ns, stamp_to_ns

__all__ = ["stamp_from_ns", "stamp_to_ns"]
