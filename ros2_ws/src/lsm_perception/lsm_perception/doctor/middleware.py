"""The middleware's ground: which one, its settings for large messages, socket buffers, shared memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

from rclpy.utilities import get_rmw_implementation_identifier

from lsm_core.doctor import Fault, Finding, ok
from lsm_perception.dds_profile import CHOSEN_BY_USER, FILE, VARIABLE, config_file

OTHER_RMW = Fault(
    "dds.rmw",
    "note",
    "Another middleware than Fast DDS, the one this is tested with.",
    "export RMW_IMPLEMENTATION=rmw_fastrtps_cpp, the same for all nodes of the robot; or go on and measure.",
    "performance.md#raw-images-and-fast-dds",
)
NO_PROFILE = Fault(
    "dds.profile_missing",
    "problem",
    "The file of Fast DDS settings that the environment names is not there, or is no XML: the defaults are taken.",
    "export {variable}={file}, or unset {variable}.",
    "performance.md#raw-images-and-fast-dds",
)
SMALL_SEGMENT = Fault(
    "dds.segment",
    "note",
    "The settings of Fast DDS give less shared memory than one raw image needs; a driver with them loses images.",
    "Raise segment_size of its shared-memory transport to 16777216, as in config/fastdds.xml.",
    "performance.md#raw-images-and-fast-dds",
)
SMALL_BUFFER = Fault(
    "dds.socket_buffer",
    "note",
    "The kernel's largest socket buffer is small: large messages from other machines lose fragments.",
    "sudo sysctl -w net.core.rmem_max=16777216 (and a file in /etc/sysctl.d to keep it); no matter on one machine.",
    "troubleshooting.md#lost-images",
)
FULL_SHM = Fault(
    "dds.shm_full",
    "problem",
    "/dev/shm has no room for the shared memory of nodes (a container gives 64 MB by default).",
    "docker run --shm-size=1g (or --ipc=host); remove leftovers of killed nodes: fastdds shm clean.",
    "docker.md",
)
LEFTOVERS = Fault(
    "dds.shm_leftovers",
    "note",
    "Many segments of Fast DDS lie in /dev/shm; killed nodes leave theirs behind.",
    "fastdds shm clean (or, with no node running: rm -f /dev/shm/fastrtps_* /dev/shm/sem.fastrtps_*).",
)
FAULTS = (OTHER_RMW, NO_PROFILE, SMALL_SEGMENT, SMALL_BUFFER, FULL_SHM, LEFTOVERS)

TESTED = "rmw_fastrtps_cpp"
RAW_IMAGE = 640 * 480 * 3
MIN_BUFFER = 4 * 2**20  # what config/fastdds.xml asks of the kernel
MIN_SHM = 64 * 2**20  # four senders' segments of 16 MiB
MANY_SEGMENTS = 1000  # a node has about five, a busy robot some hundreds
BUFFER_FILE = Path("/proc/sys/net/core/rmem_max")
SHM = Path("/dev/shm")
OWN_FILES = (VARIABLE, "FASTDDS_DEFAULT_PROFILES_FILE")


def middleware_findings(environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Check the middleware's ground.

    Args:
        environment: of the user, before our own profile is named in it.
    """
    found = check_rmw()
    yield found
    if "fastrtps" in found.found:
        yield check_profile(environment)
        yield from check_shared_memory()
    yield from check_buffer()


def check_rmw() -> Finding:
    """Which middleware carries the messages?"""
    name = get_rmw_implementation_identifier()
    return ok("Middleware", name) if name == TESTED else OTHER_RMW.seen("Middleware", name)


def check_profile(environment: Mapping[str, str]) -> Finding:
    """Do the settings of Fast DDS that are in force hold a raw image?"""
    name = "Fast DDS settings"
    chosen = {key: environment[key] for key in CHOSEN_BY_USER if environment.get(key)}
    if not chosen:
        return ok(name, f"the node takes its own ({FILE}); drivers started here take the defaults")
    variable = next((key for key in OWN_FILES if key in chosen), "")
    if not variable:
        return ok(name, ", ".join(f"{key}={value}" for key, value in chosen.items()))
    path = Path(chosen[variable])
    try:
        tree = ElementTree.parse(path)
    except (OSError, ElementTree.ParseError) as error:
        return NO_PROFILE.seen(name, f"{variable}={path}: {error}", variable=variable, file=config_file(FILE))
    sizes = [int(e.text or 0) for e in tree.iter() if e.tag.endswith("segment_size") and (e.text or "").isdigit()]
    if not sizes or max(sizes) < RAW_IMAGE:
        told = f"{max(sizes)} bytes" if sizes else "no segment_size, so 512 KB"
        return SMALL_SEGMENT.seen(name, f"{variable}={path}: {told}")
    return ok(name, f"{variable}={path}, {max(sizes) / 2**20:.0f} MiB of shared memory per sender")


def check_buffer(file: Path = BUFFER_FILE) -> Iterator[Finding]:
    """May a socket have a buffer that holds a burst of fragments?"""
    try:
        size = int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):  # another kernel, or a container that hides it
        return
    text = f"net.core.rmem_max {size}"
    yield ok("Socket buffers", text) if size >= MIN_BUFFER else SMALL_BUFFER.seen("Socket buffers", text)


def check_shared_memory(folder: Path = SHM) -> Iterator[Finding]:
    """Is there room for segments, and are there left-over ones?"""
    if not folder.is_dir():
        return
    room = os.statvfs(folder)
    free = room.f_bavail * room.f_frsize
    segments = sum(1 for _ in folder.glob("fastrtps_*"))
    text = f"{free / 2**20:.0f} MiB free in {folder}, {segments} files of Fast DDS"
    if free < MIN_SHM:
        yield FULL_SHM.seen("Shared memory", text)
    elif segments > MANY_SEGMENTS:
        yield LEFTOVERS.seen("Shared memory", text)
    else:
        yield ok("Shared memory", text)
