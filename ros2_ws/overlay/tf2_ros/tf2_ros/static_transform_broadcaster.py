"""`StaticTransformBroadcaster`: sends fixed transforms."""

from collections.abc import Iterable

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from tf2_msgs.msg import TFMessage


class StaticTransformBroadcaster:
    """Publishes on /tf_static; who subscribes later gets all transforms sent so far."""

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        """Create the publisher, transient local with depth 1 by default."""
        default = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL, history=HistoryPolicy.KEEP_LAST)
        self.pub_tf = node.create_publisher(TFMessage, "/tf_static", qos or default)
        self.net_message = TFMessage()

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:
        """Send one transform or several, together with all sent before (by child frame)."""
        many = [transform] if isinstance(transform, TransformStamped) else list(transform)
        known = {known.child_frame_id: known for known in self.net_message.transforms}
        known.update({new.child_frame_id: new for new in many})
        self.net_message = TFMessage(transforms=list(known.values()))
        self.pub_tf.publish(self.net_message)
