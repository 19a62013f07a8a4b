"""The lifecycle node: load and warm up in configure, work in active, free the device in cleanup."""

from __future__ import annotations

import functools
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.timer import Timer

from lsm_core.backends import Backend, load_backend
from lsm_core.errors import LsmError
from lsm_perception.declaration import ParameterServer
from lsm_perception.diagnostics import DiagnosticsMaker
from lsm_perception.parameters import NodeParameters
from lsm_perception.runtime import Runtime
from lsm_perception.services import Services

BackendLoader = Callable[[str, str, Path | None], Backend]
Transition = Callable[["PerceptionNode", LifecycleState], TransitionCallbackReturn]


def reported(transition: Transition) -> Transition:
    """Log what a transition raises: rclpy only turns it into an error state."""

    @functools.wraps(transition)
    def logged(node: PerceptionNode, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(node, state)
        except Exception:
            node.get_logger().error(f"{transition.__name__} failed:\n{traceback.format_exc()}")
            return TransitionCallbackReturn.ERROR

    return logged


class PerceptionNode(LifecycleNode):
    """From a robot's cameras to clouds, poses, masks and an honest scale. Wires; computes nothing."""

    def __init__(self, load: BackendLoader = load_backend, **node_options: Any) -> None:
        """Declare the parameters, and with autostart configure and activate as soon as the node is spun.

        Args:
            load: gives the backend for (name, device, weights); tests pass their own.
            node_options: for rclpy's Node (namespace, parameter_overrides, context ...).

        Raises:
            InputError: a parameter has a bad value.
        """
        super().__init__("lsm_perception", **node_options)
        self._load_backend = load
        self._runtime: Runtime | None = None
        self._own_timers: list[Timer] = []
        self._server = ParameterServer(self, self._on_parameters)
        self._own_services = Services(self)
        self._group = MutuallyExclusiveCallbackGroup()
        # Steady time: with use_sim_time the node's clock may stand still, and this node must not.
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._autostart: Timer | None = None
        if self._server.tree.autostart:
            self._autostart = self._every(0.0, self._start_once)

    @property
    def runtime(self) -> Runtime | None:
        """The working parts, None while unconfigured."""
        return self._runtime

    @property
    def state_label(self) -> str:
        """Name of the lifecycle state."""
        return str(self._state_machine.current_state[1])

    @reported
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm up the model, and create publishers and services."""
        parameters = self._server.tree
        try:
            torch.set_num_threads(parameters.num_threads or default_threads())
            weights = Path(parameters.weights) if parameters.weights else None
            backend = self._load_backend(parameters.backend, parameters.device, weights)
            self._runtime = Runtime(self, parameters, backend)
            self._runtime.warm_up()
        except Exception as error:  # whatever it is, the node stays up and says why
            kind = "" if isinstance(error, LsmError) else f"{type(error).__name__}: "
            self.get_logger().error(f"Cannot configure: {kind}{error}")
            self._release()
            return TransitionCallbackReturn.FAILURE
        self._own_services.attach(self._runtime, parameters)
        self._diagnostics = DiagnosticsMaker(self.get_fully_qualified_name(), parameters.input.no_data_s)
        self._own_timers = [self._every(parameters.diagnostics_period_s, self._tick)]
        self.get_logger().info(f"Backend {backend.name} is ready on {backend.device}.")
        return super().on_configure(state)

    @reported
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen and work."""
        assert self._runtime is not None
        self._runtime.start()
        self.get_logger().info("Active; listening to " + ", ".join(self._image_topics()) + ".")
        return super().on_activate(state)

    @reported
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening and working; what is known stays."""
        if self._runtime is not None and not self._runtime.stop():
            self.get_logger().warning("An inference is still running; its result will not be published.")
        return super().on_deactivate(state)

    @reported
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the device."""
        self._release()
        return super().on_cleanup(state)

    @reported
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and free everything."""
        self._release()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything, so the node can be configured again."""
        self.get_logger().error("A transition failed; the node is unconfigured now.")
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def stop(self) -> bool:
        """Stop the worker before the process ends; False when an inference did not end in time."""
        return self._runtime is None or self._runtime.stop()

    def _release(self) -> None:
        for timer in self._own_timers:
            self.destroy_timer(timer)
        self._own_timers = []
        self._own_services.detach()
        if self._runtime is not None:
            self._runtime.stop()
            self._runtime.close()
            self._runtime = None

    def _every(self, period_s: float, work: Callable[[], None]) -> Timer:
        return self.create_timer(period_s, work, callback_group=self._group, clock=self._steady)

    def _start_once(self) -> None:
        assert self._autostart is not None
        self._autostart.cancel()
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def _on_parameters(self, parameters: NodeParameters) -> None:
        if self._runtime is not None:
            self._runtime.configure(parameters)
        self._own_services.configure(parameters)

    def _tick(self) -> None:
        """Publish diagnostics, and what late listeners of latched products wait for."""
        if self._runtime is None:
            return
        health = self._runtime.health(self.state_label)
        message = self._diagnostics.message(health, self.get_clock().now().to_msg())
        self._runtime.publishers.publish("diagnostics", message)
        if self._runtime.active:
            self._runtime.refresh()

    def _image_topics(self) -> list[str]:
        assert self._runtime is not None
        return [topic for c in self._runtime.cameras.values() for topic in c.stream.topics[:1]]


def default_threads() -> int:
    """Return one thread less than the cores this process may use, so callbacks have one to themselves."""
    return max(1, len(os.sched_getaffinity(0)) - 1)
