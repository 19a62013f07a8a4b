"""Middleware events of one topic, handled so that destroying the topic in another thread is safe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from rclpy.event_handler import EventHandler, UnsupportedEventTypeError
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
        self, _callback_group: CallbackGroup, entity: Any, _topic_name: str
    ) -> list[EventHandler]:
        """Return a handler per event that this middleware supports, in a group that holds up no message."""
        callback_group = MutuallyExclusiveCallbackGroup()
        handlers: list[EventHandler] = []
        for event_type, callback in self._callbacks.items():
            try:
                handlers.append(
                    DestroyableEventHandler(
                        callback_group=callback_group,
                        callback=callback,
                        event_type=event_type,
                        parent_impl=entity,
                    )
                )
            except UnsupportedEventTypeError:
                continue
        return handlers
