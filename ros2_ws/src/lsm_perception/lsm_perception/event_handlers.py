"""Middleware events of one topic, handled so that destroying the topic in another thread is safe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from rclpy.event_handler import EventHandler, QoSSubscriptionEventType, UnsupportedEventTypeError
from rclpy.impl.implementation_singleton import rclpy_implementation

Handle = Callable[[Any], None]


class DestroyableEventHandler(EventHandler):
    """An event handler that an executor may still hold when its topic is destroyed.

    The executor of Jazzy collects the handlers of all topics, and asks one whose topic was destroyed meanwhile
    (deactivate, cleanup) to join the wait set; the original then raises out of the executor.
    """

    def add_to_wait_set(self, wait_set: Any) -> None:
        """Join the wait set unless destroyed."""
        self._event_index = None
        try:
            super().add_to_wait_set(wait_set)
        except rclpy_implementation.InvalidHandle:
            self._event_index = None

    def take_data(self) -> Any:
        """Return the event, None when destroyed."""
        try:
            return super().take_data()
        except rclpy_implementation.InvalidHandle:
            return None


class EventCallbacks:
    """What rclpy's create_subscription and create_publisher take as `event_callbacks`."""

    def __init__(self, callbacks: Mapping[Any, Handle]) -> None:
        """Keep the callbacks by event type (rclpy.event_handler.QoSSubscriptionEventType and the publisher's)."""
        self._callbacks = callbacks

    def create_event_handlers(
        self, callback_group: CallbackGroup, entity: Any, _topic_name: str
    ) -> list[EventHandler]:
        """Return a handler per event that this middleware supports.

        Those of a subscription share its group, so that they leave the executor's wait set together with it: Fast
        DDS ends a wait for an event also when a message waits on the same topic, and while the callback of the last
        one runs, nobody takes it. The executor would not sleep meanwhile.
        """
        own = MutuallyExclusiveCallbackGroup()
        handlers: list[EventHandler] = []
        for event_type, callback in self._callbacks.items():
            of_subscription = isinstance(event_type, QoSSubscriptionEventType)
            try:
                handlers.append(
                    DestroyableEventHandler(
                        callback_group=callback_group if of_subscription else own,
                        callback=callback,
                        event_type=event_type,
                        parent_impl=entity,
                    )
                )
            except UnsupportedEventTypeError:
                continue
        return handlers
