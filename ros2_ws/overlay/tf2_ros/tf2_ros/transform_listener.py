"""`TransformListener`: fills a buffer from /tf and /tf_static."""

from threading import Thread

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from tf2_ros.buffer import Buffer

DEFAULT_TF_TOPIC = "/tf"
DEFAULT_STATIC_TF_TOPIC = "/tf_static"


class TransformListener:
    """Subscribes to transforms for as long as it lives, or until `unregister`."""

    def __init__(
        self,
        buffer: Buffer,
        node: Node,
        *,
        spin_thread: bool = False,
        qos: QoSProfile | int | None = None,
        static_qos: QoSProfile | int | None = None,
        tf_topic: str = DEFAULT_TF_TOPIC,
        tf_static_topic: str = DEFAULT_STATIC_TF_TOPIC,
    ) -> None:
        """Start listening.

        Args:
            buffer: Where transforms go.
            node: Node that subscribes.
            spin_thread: Spin the node in a thread of its own.
            qos: Of the subscription to `tf_topic`; reliable, volatile, depth 100 by default.
            static_qos: Of the subscription to `tf_static_topic`; transient local by default.
            tf_topic: Topic of moving transforms.
            tf_static_topic: Topic of fixed transforms.
        """
        self.buffer = buffer
        self.node = node
        # Callbacks of the default group would be held up by one that waits for a transform.
        self.group = ReentrantCallbackGroup()
        self.tf_sub = node.create_subscription(
            TFMessage,
            tf_topic,
            self.callback,
            qos or _keep_last(DurabilityPolicy.VOLATILE),
            callback_group=self.group,
        )
        self.tf_static_sub = node.create_subscription(
            TFMessage,
            tf_static_topic,
            self.static_callback,
            static_qos or _keep_last(DurabilityPolicy.TRANSIENT_LOCAL),
            callback_group=self.group,
        )
        self.executor: SingleThreadedExecutor | None = None
        if spin_thread:
            self.executor = SingleThreadedExecutor(context=node.context)
            self.dedicated_listener_thread = Thread(target=self._spin, daemon=True)
            self.dedicated_listener_thread.start()

    def __del__(self) -> None:
        executor: SingleThreadedExecutor | None = getattr(self, "executor", None)
        if executor is not None:
            executor.shutdown()
            self.dedicated_listener_thread.join(timeout=1.0)
        if hasattr(self, "tf_static_sub"):
            self.unregister()

    def unregister(self) -> None:
        """Stop listening."""
        self.node.destroy_subscription(self.tf_sub)
        self.node.destroy_subscription(self.tf_static_sub)

    def callback(self, data: TFMessage) -> None:
        """Store moving transforms."""
        for transform in data.transforms:
            self.buffer.set_transform(transform, "default_authority")

    def static_callback(self, data: TFMessage) -> None:
        """Store fixed transforms."""
        for transform in data.transforms:
            self.buffer.set_transform_static(transform, "default_authority")

    def _spin(self) -> None:
        assert self.executor is not None
        self.executor.add_node(self.node)
        self.executor.spin()
        self.executor.remove_node(self.node)


def _keep_last(durability: DurabilityPolicy) -> QoSProfile:
    """Return tf's own profile: reliable, the last 100."""
    return QoSProfile(depth=100, durability=durability, history=HistoryPolicy.KEEP_LAST)
