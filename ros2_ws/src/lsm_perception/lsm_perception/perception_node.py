"""The lifecycle node: load and warm up in configure, work in active, free the device in cleanup."""

from __future__ import annotations

import functools
import os
import time
import traceback
from collections.abc import Callable
from typing import Any

import torch
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.timer import Timer

from lsm_core.backends import load_backend
from lsm_core.device_faults import DeviceFault, device_fault
from lsm_core.errors import LsmError
from lsm_perception.declaration import ParameterServer
from lsm_perception.device_memory import give_back_memory
from lsm_perception.device_watch import one_line
from lsm_perception.diagnostics import DiagnosticsMaker
from lsm_perception.health import collect_health
from lsm_perception.models import BackendLoader, load_models
from lsm_perception.parameters import NodeParameters
from lsm_perception.process_memory import return_free_memory
from lsm_perception.runtime import Runtime
from lsm_perception.services import Services
from lsm_perception.symptoms import Symptom, see
from lsm_perception.transitions import Transitions

EXIT_DEVICE_LOST = 3
DEACTIVATE_S = 3.0  # wait for the inference in work before its result is given up
CLEANUP_S = 10.0  # wait for it before its memory is freed
STOP_S = 2.5  # wait for a transition or an inference when the process ends
LAST_WORDS_S = 1.0  # wait for diagnostics to be heard before they end
RETURN_MEMORY_S = 30.0

Transition = Callable[["PerceptionNode", LifecycleState], TransitionCallbackReturn]


def reported(transition: Transition) -> Transition:
    """Take the turn for a transition and log what it raises: rclpy only turns that into an error state."""

    @functools.wraps(transition)
    def logged(node: PerceptionNode, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            with node.transitions.turn():
                return transition(node, state)
        except Exception:
            line = see(f"{transition.__name__} failed.", Symptom.INTERNAL_ERRORS)
            node.get_logger().error(f"{line}\n{traceback.format_exc()}")
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
        self.exit_code: int | None = None  # set when the process is to end by itself
        self._load_backend = load
        self._runtime: Runtime | None = None
        self._fault = ""
        self.transitions = Transitions(self)
        self._server = ParameterServer(self, self._on_parameters)
        self._own_services = Services(self)
        self._group = MutuallyExclusiveCallbackGroup()
        parameters = self._server.tree
        # Steady time: with use_sim_time the node's clock may stand still, and this node must not.
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._every(parameters.diagnostics_period_s, self._tick)
        self._every(RETURN_MEMORY_S, return_free_memory)
        self._fault_signal = self.create_guard_condition(self._on_fault, callback_group=self._group)
        self._autostart: Timer | None = None
        if parameters.autostart:
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
        complaint = self._build(self._server.tree)
        if complaint:
            self.get_logger().error(see(f"Cannot configure: {complaint}", Symptom.CANNOT_CONFIGURE))
            self._release()
            return TransitionCallbackReturn.FAILURE
        assert self._runtime is not None
        self.get_logger().info(f"Backend {self._runtime.backend.name} is ready on {self._runtime.backend.device}.")
        return super().on_configure(state)

    @reported
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen and work."""
        assert self._runtime is not None
        self._runtime.start()
        self._server.warn_of_unused_qos()
        self.get_logger().info("Active; listening to " + ", ".join(self._image_topics()) + ".")
        return super().on_activate(state)

    @reported
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening and working; what is known stays. With a fault this fails: all is freed."""
        if self._runtime is not None and not self._runtime.stop(DEACTIVATE_S):
            line = "An inference is still running; its result will not be published."
            self.get_logger().warning(see(line, Symptom.LIFECYCLE))
        return TransitionCallbackReturn.ERROR if self._fault else super().on_deactivate(state)

    @reported
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the device; refused while an inference still uses it."""
        if self._runtime is not None and not self._runtime.stop(CLEANUP_S):
            line = "Cannot clean up: an inference is still running. Try again later."
            self.get_logger().error(see(line, Symptom.LIFECYCLE))
            return TransitionCallbackReturn.FAILURE
        self._release()
        return TransitionCallbackReturn.ERROR if self._fault else super().on_cleanup(state)

    @reported
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and free everything."""
        self._release()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything, so the node can be configured again."""
        line = (
            "A transition failed; the node is unconfigured now. Fix: mend what was logged before, configure anew."
        )
        self.get_logger().error(see(line, Symptom.LIFECYCLE))
        self._release()
        self._fault = ""
        return TransitionCallbackReturn.SUCCESS

    def stop(self, timeout_s: float = STOP_S) -> bool:
        """Stop for good before the process ends; False when a transition or an inference does not end in time."""
        deadline = time.monotonic() + timeout_s
        if not self.transitions.close(timeout_s):
            return False
        return self._runtime is None or self._runtime.stop(max(0.0, deadline - time.monotonic()))

    def destroy_node(self) -> None:
        """Destroy all entities and leave the ROS graph.

        rclpy's lifecycle part keeps the node until the interpreter ends. Other nodes would take it for alive for
        20 s more, and Fast DDS would leave its shared memory behind.
        """
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    def _build(self, parameters: NodeParameters) -> str:
        """Make the working parts; return why that failed, "" when it did not. Whatever it is, the node stays up."""
        try:
            torch.set_num_threads(parameters.num_threads or default_threads())
            models = load_models(parameters, self._load_backend)
            self._runtime = Runtime(self, parameters, models, self._fail)
            self._runtime.warm_up()
            self._own_services.attach(self._runtime, parameters)
            self._diagnostics = DiagnosticsMaker(self.get_fully_qualified_name())
        except Exception as error:
            if device_fault(error) is DeviceFault.LOST:
                self._fail(one_line(error))
            return str(error) if isinstance(error, LsmError) else f"{type(error).__name__}: {error}"
        return ""

    def _release(self) -> None:
        """Let go of everything, and of the device's memory once nothing refers to it."""
        self._dismantle()
        give_back_memory()

    def _dismantle(self) -> None:
        """Stop and destroy all parts; what fails on the way is logged."""
        self._own_services.detach()
        steps: list[Callable[[], object]] = []
        if self._runtime is not None:
            steps += [functools.partial(self._runtime.stop, DEACTIVATE_S), self._runtime.close]
        self._runtime = None
        for step in steps:
            try:
                step()
            except Exception as error:
                line = f"Freeing something failed: {one_line(error)}"
                self.get_logger().error(see(line, Symptom.INTERNAL_ERRORS))

    def _fail(self, reason: str) -> None:
        """Note, in any thread, that work cannot go on; the executor does what `fatal_action` says."""
        self._fault = reason
        self._fault_signal.trigger()

    def _on_fault(self) -> None:
        with self.transitions.turn() as open_:
            if not open_ or not self._fault:
                return
            action = self._server.tree.fatal_action
            line = f"Work cannot go on: {self._fault}. fatal_action: {action}. Fix: start the process anew."
            self.get_logger().fatal(see(line, Symptom.DEVICE_LOST))
            if self._runtime is not None:
                self._publish_diagnostics(self._runtime)
                self._runtime.publishers.wait_until_heard("diagnostics", LAST_WORDS_S)
            if action == "exit":
                self.exit_code = EXIT_DEVICE_LOST
            elif self.state_label == "active":
                self.trigger_deactivate()
            elif self.state_label == "inactive":
                self.trigger_cleanup()
            self._fault = ""

    def _every(self, period_s: float, work: Callable[[], None]) -> Timer:
        return self.create_timer(period_s, work, callback_group=self._group, clock=self._steady)

    def _start_once(self) -> None:
        assert self._autostart is not None
        self._autostart.cancel()
        with self.transitions.turn() as open_:
            due = open_ and self.state_label == "unconfigured"
            if due and self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
                self.trigger_activate()

    def _on_parameters(self, parameters: NodeParameters) -> None:
        with self.transitions.turn():
            if self._runtime is not None:
                self._runtime.configure(parameters)
            self._own_services.configure(parameters)

    def _tick(self) -> None:
        """Publish diagnostics, and what late listeners of latched products wait for; not during a transition."""
        if not self.transitions.try_turn():
            return
        try:
            if self._runtime is None:
                return
            self._runtime.clock.tick()
            if self._runtime.active and not self._runtime.worker.alive:
                self._fail("the inference thread has ended")
            self._publish_diagnostics(self._runtime)
            if self._runtime.active:
                self._runtime.refresh()
        finally:
            self.transitions.release()

    def _publish_diagnostics(self, runtime: Runtime) -> None:
        health = collect_health(runtime, self.state_label)
        message = self._diagnostics.message(health, self.get_clock().now().to_msg())
        runtime.publishers.publish("diagnostics", message)

    def _image_topics(self) -> list[str]:
        assert self._runtime is not None
        return [heard.topic for c in self._runtime.cameras.values() for s in c.streams for heard in s.listeners[:1]]


def default_threads() -> int:
    """Return one thread less than the cores this process may use, so callbacks have one to themselves."""
    return max(1, len(os.sched_getaffinity(0)) - 1)
