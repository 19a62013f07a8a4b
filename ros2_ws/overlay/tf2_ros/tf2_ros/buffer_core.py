"""The tree of frames over time, without anything of a node."""

import logging
import math
import threading

import numpy as np
from geometry_msgs.msg import TransformStamped

from tf2_ros.exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
)
from tf2_ros.link import Link, Sample
from tf2_ros.rigid import Rigid

_log = logging.getLogger(__name__)
# How far a quaternion's squared length may be from 1.
_NORM_TOLERANCE = 1e-2


class BufferCore:
    """Stores transforms and answers where a frame was in another one. Safe to use from any thread.

    Attributes:
        cache_ns: How long transforms are kept, nanoseconds, counted back from each frame's newest.
    """

    def __init__(self, cache_ns: int) -> None:
        self.cache_ns = cache_ns
        self._links: dict[str, Link] = {}  # by child frame
        self._names: set[str] = set()  # of all frames heard of, as a child or as a parent
        self._changed = threading.Condition(threading.RLock())

    def insert(self, msg: TransformStamped, authority: str, *, static: bool) -> bool:
        """Store a transform; False, with a logged reason, when it is unusable or too old."""
        child, parent = _strip(msg.child_frame_id), _strip(msg.header.frame_id)
        fault = _fault(msg, parent, child)
        if fault:
            _log.warning("ignoring transform from %s: %s", authority, fault)
            return False
        stamp_ns = msg.header.stamp.sec * 1_000_000_000 + msg.header.stamp.nanosec
        sample = Sample(stamp_ns, parent, Rigid.from_msg(msg.transform))
        with self._changed:
            link = self._links.get(child)
            if link is None or link.static != static:
                link = self._links[child] = Link(child, static)
            if not link.insert(sample, self.cache_ns):
                _log.warning("ignoring old data for frame %s from %s", child, authority)
                return False
            link.authority = authority
            self._names |= {child, parent}
            self._changed.notify_all()
        return True

    def clear(self) -> None:
        """Forget all but the static transforms."""
        with self._changed:
            self._links = {name: link for name, link in self._links.items() if link.static}
            self._names = self._links.keys() | {link.samples[0].parent for link in self._links.values()}
            self._changed.notify_all()

    def lookup(self, target: str, source: str, time_ns: int) -> tuple[Rigid, int]:
        """Return `T_target_source` at a time, and that time; 0 asks for the latest common one.

        Raises:
            InvalidArgumentException: A frame name is empty.
            LookupException: A frame is not known.
            ConnectivityException: The frames are in different trees.
            ExtrapolationException: The time is outside what is stored.
        """
        target, source = _strip(target), _strip(source)
        with self._changed:
            self._require(target, source)
            if time_ns == 0:
                time_ns = self._latest_common(target, source)
            if target == source:
                return Rigid.identity(), time_ns
            source_chain, source_end = self._climb(source, time_ns, {target})
            if target in source_chain:
                return source_chain[target], time_ns
            target_chain, target_end = self._climb(target, time_ns, set(source_chain))
        common = next((frame for frame in target_chain if frame in source_chain), None)
        if common is None:
            raise source_end or target_end or ConnectivityException(_not_connected(target, source))
        return target_chain[common].inverse() @ source_chain[common], time_ns

    def frames_as_yaml(self) -> str:
        """Return the tree as YAML, one mapping per frame."""
        lines = []
        with self._changed:
            for name, link in sorted(self._links.items()):
                newest, oldest = link.samples[-1], link.samples[0]
                span = (newest.stamp_ns - oldest.stamp_ns) / 1e9
                rate = (len(link.samples) - 1) / span if span > 0 else 10000.0
                lines += [
                    f"{name}: ",
                    f"  parent: '{newest.parent}'",
                    f"  broadcaster: '{link.authority}'",
                    f"  rate: {rate:.3f}",
                    f"  most_recent_transform: {newest.stamp_ns / 1e9:.6f}",
                    f"  oldest_transform: {oldest.stamp_ns / 1e9:.6f}",
                    f"  buffer_length: {span:.3f}",
                ]
        return "\n".join(lines) + "\n" if lines else "{}"

    def _require(self, *frames: str) -> None:
        """Check that frames have a name and are known as a child or as a parent."""
        for frame in frames:
            if not frame:
                raise InvalidArgumentException("a frame id is empty")
            if frame not in self._names:
                raise LookupException(f'"{frame}" passed to lookupTransform does not exist. ')

    def _climb(
        self, frame: str, time_ns: int, stop: set[str]
    ) -> tuple[dict[str, Rigid], ExtrapolationException | None]:
        """Climb from a frame towards the root.

        Returns:
            The pose of `frame` in itself and in each of its ancestors, nearest first, up to the first
            one in `stop`; and why the climb ended early, where a link does not reach to `time_ns`. That
            matters only if the other frame is not met below.
        """
        chain = {frame: Rigid.identity()}
        pose, current = chain[frame], frame
        while current not in stop and current in self._links:
            try:
                sample = self._links[current].at(time_ns)
            except ExtrapolationException as error:
                return chain, error
            pose, current = sample.pose @ pose, sample.parent
            if current in chain:
                raise ConnectivityException(f"the tf tree has a loop through frame [{current}]")
            chain[current] = pose
        return chain, None

    def _latest_common(self, target: str, source: str) -> int:
        """Return the latest time at which all links between two frames are known; 0 if all are static."""
        if target == source:
            link = self._links.get(target)
            return (link.latest_ns or 0) if link else 0
        target_path, source_path = self._ancestors(target), self._ancestors(source)
        common = next((frame for frame in target_path if frame in source_path), None)
        if common is None:
            raise ConnectivityException(_not_connected(target, source))
        used = target_path[: target_path.index(common)] + source_path[: source_path.index(common)]
        stamps = [latest for frame in used if (latest := self._links[frame].latest_ns) is not None]
        return min(stamps, default=0)

    def _ancestors(self, frame: str) -> list[str]:
        """Return a frame and its ancestors as of the newest samples."""
        path = [frame]
        while path[-1] in self._links:
            parent = self._links[path[-1]].samples[-1].parent
            if parent in path:
                raise ConnectivityException(f"the tf tree has a loop through frame [{parent}]")
            path.append(parent)
        return path


def _strip(frame: str) -> str:
    """Drop the leading slash that frame names of ROS 1 had."""
    return frame.removeprefix("/")


def _not_connected(target: str, source: str) -> str:
    """Say that two frames are in different trees, in geometry2's words."""
    return (
        f"Could not find a connection between '{target}' and '{source}' because they are not part of the same "
        "tree.Tf has two or more unconnected trees."
    )


def _fault(msg: TransformStamped, parent: str, child: str) -> str:
    """Return what makes a transform unusable, or nothing."""
    if not child or not parent:
        return "a frame id is empty"
    if child == parent:
        return f"frame [{child}] would be its own parent"
    t, r = msg.transform.translation, msg.transform.rotation
    if not all(math.isfinite(value) for value in (t.x, t.y, t.z, r.x, r.y, r.z, r.w)):
        return f"frame [{child}] has a value that is not finite"
    if abs(float(np.dot([r.x, r.y, r.z, r.w], [r.x, r.y, r.z, r.w])) - 1.0) > _NORM_TOLERANCE:
        return f"frame [{child}] has a quaternion that is not of unit length"
    return ""
