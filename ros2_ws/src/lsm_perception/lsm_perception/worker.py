"""One inference thread for all cameras: per camera the newest image waits, older ones are dropped."""

from __future__ import annotations

import logging
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from lsm_perception.accounting import Drop, Ticket
from lsm_perception.symptoms import Symptom, see

logger = logging.getLogger(__name__)
Payload = TypeVar("Payload")


@dataclass(frozen=True)
class Job(Generic[Payload]):
    """One image in line.

    Attributes:
        camera: the slot it waits in.
        payload: what the processing function gets.
        ticket: its account; settled by the processing function, by the worker otherwise.
        generation: how often its camera had been reset when it was submitted.
        run: how often the worker had been started by then.
    """

    camera: str
    payload: Payload
    ticket: Ticket
    generation: int
    run: int = 0


class Worker(Generic[Payload]):
    """Runs `process` on one job at a time in its own thread; nothing it raises stops the thread.

    `process(job, is_current)` may call `is_current()` between steps: False after a reset or stop, and what it
    computed must then not be published.
    """

    def __init__(
        self,
        process: Callable[[Job[Payload], Callable[[], bool]], None],
        name: str = "worker",
        on_drop: Callable[[str, Payload, Drop], None] = lambda _camera, _payload, _reason: None,
    ) -> None:
        """Prepare; nothing runs before `start`.

        Args:
            process: does one job and settles its ticket.
            name: of the thread.
            on_drop: told of (camera, payload, reason) of each job that was dropped here.
        """
        self._process = process
        self._on_drop = on_drop
        self._name = name
        self._condition = threading.Condition()
        self._slots: OrderedDict[str, Job[Payload]] = OrderedDict()
        self._generations: Counter[str] = Counter()
        self._runs = 0
        self._running = False
        self._busy = False
        self._thread: threading.Thread | None = None
        self.last_error = ""

    @property
    def waiting(self) -> int:
        """Number of images in line."""
        with self._condition:
            return len(self._slots)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def start(self) -> None:
        """Start working. A thread still inside its last job goes on afterwards: there are never two of them."""
        with self._condition:
            if self._running:
                return
            self._running = True
            self._runs += 1
            if not self.alive:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Stop after the job in work, dropping those in line; False when it did not end in time."""
        with self._condition:
            self._running = False
            waiting = list(self._slots.values())
            self._slots.clear()
            self._condition.notify_all()
            thread = self._thread
        for job in waiting:
            self._drop(job, Drop.INACTIVE)
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout_s)
        return not thread.is_alive()

    def submit(self, camera: str, payload: Payload, ticket: Ticket, yields: bool = False) -> None:
        """Put an image in line; the one of the same camera that waits there is dropped as superseded.

        Args:
            camera: its slot.
            payload: what the processing function gets.
            ticket: its account.
            yields: this image gives way to one that waits already, instead of replacing it.
        """
        with self._condition:
            job = Job(camera, payload, ticket, self._generations[camera], self._runs)
            dropped: Job[Payload] | None = None
            reason = Drop.SUPERSEDED
            older = self._slots.get(camera)
            if not self._running:
                dropped, reason = job, Drop.INACTIVE
            elif older is not None and yields:
                dropped = job
            else:
                # A replaced image keeps its place in line, so a fast camera cannot starve a slow one.
                dropped, self._slots[camera] = older, job
                self._condition.notify()
        if dropped is not None:
            self._drop(dropped, reason)

    def reset(self, camera: str) -> None:
        """Drop what waits of a camera and outdate what is in work."""
        with self._condition:
            self._generations[camera] += 1
            waiting = self._slots.pop(camera, None)
        if waiting is not None:
            self._drop(waiting, Drop.RESET)

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing waits or is in work; False when that takes longer."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._slots and not self._busy, timeout_s)

    def _drop(self, job: Job[Payload], reason: Drop) -> None:
        if not job.ticket.drop(reason):
            return
        try:
            self._on_drop(job.camera, job.payload, reason)
        except Exception:
            logger.exception(see("Telling of a dropped image failed; the node goes on.", Symptom.INTERNAL_ERRORS))

    def _run(self) -> None:
        while True:
            with self._condition:
                self._busy = False
                self._condition.notify_all()
                self._condition.wait_for(lambda: self._slots or not self._running)
                if not self._running:
                    self._thread = None  # under the lock, so `start` cannot take this thread for one that works
                    return
                _, job = self._slots.popitem(last=False)
                self._busy = True
            self._run_one(job)

    def _run_one(self, job: Job[Payload]) -> None:
        def is_current() -> bool:
            with self._condition:
                current = self._runs == job.run and self._generations[job.camera] == job.generation
                return self._running and current

        try:
            self._process(job, is_current)
        except BaseException as error:  # also what a model raises to end its process: this thread must live
            self.last_error = f"{type(error).__name__}: {error}"
            logger.exception(see("Processing an image failed; the node goes on.", Symptom.INTERNAL_ERRORS))
        finally:
            # Whatever the processing function did not settle is settled here.
            self._drop(job, Drop.INTERNAL)
