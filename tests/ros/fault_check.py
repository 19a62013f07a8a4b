"""What every fault test shows: counted by reason, named in the log, still ACTIVE, and the next good image works."""

from __future__ import annotations

import time
from collections.abc import Sequence

from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from lsm_perception_msgs.srv import Stats
from node_process import StubProcess
from robot import Robot
from sensor_msgs.msg import Image
from synthetic_world import View
from waiting import wait_until
from walker import Walker


class FaultCheck:
    """A stub process, the robot beside it, and a walk of good images."""

    def __init__(self, process: StubProcess, robot: Robot, views: Sequence[View]) -> None:
        assert wait_until(lambda: robot.images.get_subscription_count() > 0)
        self.process = process
        self.robot = robot
        self.walker = Walker(robot, views)
        self._published = 0

    def counts(self) -> dict[str, int]:
        """Return the counters: delivered, used, and each drop reason; they add up."""
        reply = self.robot.call(Stats, "stats")
        dropped = {entry.reason: int(entry.count) for entry in reply.dropped}
        assert reply.delivered == reply.used + sum(dropped.values())
        return {"delivered": int(reply.delivered), "used": int(reply.used)} | dropped

    def publish(self, image: Image) -> None:
        """Publish an image; all that go to the process go through here."""
        self._published += 1
        self.robot.images.publish(image)

    def step(self) -> View:
        """Send the next good image as a camera of 10 Hz would."""
        self._published += 1
        return self.walker.step()

    def settled(self) -> dict[str, int]:
        """Return the counters once every image that was published is decided, or was lost on the way."""
        wait_until(lambda: self.counts()["delivered"] >= self._published, 3.0)
        counts = self.counts()
        self._published = counts["delivered"]
        return counts

    def deliver(self, image: Image) -> dict[str, int]:
        """Publish an image until the node has decided on one more, and return what was counted since."""
        before = self.counts()
        for _ in range(5):  # best effort: one may be lost
            self.publish(image)
            if wait_until(lambda: self.counts()["delivered"] > before["delivered"], 2.0):
                break
        after = self.counts()
        assert after["delivered"] > before["delivered"], self.process.text[-2000:]
        return {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}

    def refuses(self, image: Image, reason: str) -> None:
        """Check that an image is counted as dropped for one reason and nothing else."""
        change = self.deliver(image)
        assert set(change) == {"delivered", reason}, change

    def diagnosed(self, key: str) -> bool:
        """Whether any recent /diagnostics has this key with a value other than 0."""
        found = [
            value.value
            for message in self.robot.messages("diagnostics")[-3:]
            for status in message.status
            for value in status.values
            if value.key == key
        ]
        return bool(found) and found[-1] not in ("", "0")

    def works(self) -> None:
        """Check that the node is ACTIVE, without a traceback, and that good images give a pair and a cloud."""
        assert self.process.alive and "Traceback" not in self.process.text, self.process.text[-3000:]
        state = self.robot.call(GetState, "get_state").current_state
        assert state.id == State.PRIMARY_STATE_ACTIVE, state.label
        first_ns = self.walker.next().stamp_ns

        def fresh() -> bool:
            pairs = [m for m in self.robot.messages("pair_pose") if m.accepted]
            stamps = [[m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in found]
                      for found in (pairs, self.robot.messages("points"))]  # fmt: skip
            return all(any(stamp >= first_ns for stamp in found) for found in stamps)

        deadline = time.monotonic() + 30.0
        while not fresh():
            assert time.monotonic() < deadline, self.process.text[-3000:]
            self.step()
        self.settled()

    def logged(self, *words: str) -> bool:
        """Whether a line of the log has all these words, now or soon."""

        def found() -> bool:
            return any(all(word in line for word in words) for line in self.process.text.splitlines())

        return wait_until(found, 8.0)

    def complained(self, *words: str) -> bool:
        """Whether the newest complaint in /diagnostics has all these words, now or soon."""

        def found() -> bool:
            values = [v.value for m in self.robot.messages("diagnostics") for s in m.status for v in s.values]
            return any(all(word in value for word in words) for value in values)

        return wait_until(found, 8.0)
