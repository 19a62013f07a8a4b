"""Do the pieces fit: our messages, the library's version, ROS's cv_bridge and this NumPy?"""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from lsm_core import __version__ as core_version
from lsm_core.doctor import Fault, Finding, ok

INTERFACES = Fault(
    "ros.interfaces",
    "problem",
    "Message packages that the node needs are not built, or not visible to this Python.",
    "./run setup builds them; on a full ROS 2: sudo tools/install_system.sh, colcon build, and source "
    "install/setup.bash.",
    "install.md",
)
VERSIONS = Fault(
    "ros.versions",
    "problem",
    "The library and the ROS package are of different versions: one of them was not installed again.",
    "git pull both: pip install -e . and colcon build --packages-select lsm_perception lsm_perception_msgs.",
    "install.md",
)
NUMPY_ABI = Fault(
    "cv_bridge.numpy",
    "problem",
    "cv_bridge was compiled against NumPy 1 and NumPy 2 is loaded: it does not import, or ends the process.",
    "pip install -c constraints-jazzy.txt numpy opencv-python-headless (NumPy 1.26, OpenCV 4.11), in the "
    "environment that runs the node.",
    "install.md#on-a-full-ros-2-installation",
)
CV_BRIDGE = Fault(
    "cv_bridge.broken",
    "problem",
    "cv_bridge is missing or does not give back the image that went in.",
    "./run setup builds the overlay's; on a full ROS 2: sudo apt install ros-jazzy-cv-bridge.",
    "install.md",
)
FAULTS = (INTERFACES, VERSIONS, NUMPY_ABI, CV_BRIDGE)

MESSAGES = ("lsm_perception_msgs.srv", "vision_msgs.msg", "tf2_msgs.msg", "diagnostic_msgs.msg", "nav_msgs.msg")
OTHERS = ("tf2_ros", "cv_bridge", "sensor_msgs_py")
TIMEOUT_S = 30.0
# In a process of its own: a cv_bridge of another NumPy can end the process that imports it. torch and cv_bridge
# must live side by side, so the round trip is made beside it.
ROUND_TRIP = """
import json, numpy, torch, cv2, cv_bridge
image = numpy.arange(4 * 6 * 3, dtype=numpy.uint8).reshape(4, 6, 3)
bridge = cv_bridge.CvBridge()
message = bridge.cv2_to_imgmsg(image, encoding="rgb8")
same = numpy.array_equal(bridge.imgmsg_to_cv2(message, desired_encoding="rgb8"), image)
turned = numpy.array_equal(bridge.imgmsg_to_cv2(message, desired_encoding="bgr8"), image[..., ::-1])
print(json.dumps({"ok": bool(same and turned), "file": cv_bridge.__file__, "numpy": numpy.__version__}))
"""


def installation_findings() -> Iterator[Finding]:
    """Check what is installed beside each other, but cv_bridge, which takes seconds."""
    yield check_interfaces()
    yield check_versions(core_version, package_version())


def check_interfaces(names: Sequence[str] = MESSAGES + OTHERS) -> Finding:
    """Are the messages and ROS packages visible that the node imports?"""
    missing = []
    for name in names:
        try:
            if name in OTHERS:  # found, not imported: the round trip does that in a process of its own
                found = importlib.util.find_spec(name) is not None
            else:
                found = importlib.import_module(name) is not None
        except Exception as error:  # libraries that do not load raise many kinds
            missing.append(f"{name} ({type(error).__name__}: {' '.join(str(error).split())[:120]})")
        else:
            missing += [] if found else [name]
    if missing:
        return INTERFACES.seen("Interfaces", f"not usable: {', '.join(missing)}")
    return ok("Interfaces", ", ".join(dict.fromkeys(name.split(".")[0] for name in names)))


def check_versions(core: str, package: str) -> Finding:
    """Are library and ROS package of one version?

    Args:
        core: of lsm_core.
        package: of lsm_perception, "" where package.xml is not found.
    """
    if package in ("", core):
        return ok("Versions", f"lsm_core {core}, lsm_perception {package or 'without package.xml'}")
    return VERSIONS.seen("Versions", f"lsm_core {core}, lsm_perception {package}")


def package_version() -> str:
    """Return the version of the ROS package that is imported, from its package.xml; "" where there is none."""
    from xml.etree import ElementTree

    source = Path(__file__).resolve().parents[2] / "package.xml"
    files = [source]
    try:
        from ament_index_python.packages import get_package_share_directory

        files.append(Path(get_package_share_directory("lsm_perception")) / "package.xml")
    except Exception:  # not installed, or no index: the source tree's is all there is
        pass
    found = next((file for file in files if file.is_file()), None)
    return "" if found is None else (ElementTree.parse(found).findtext("version") or "")


def run_round_trip(program: str = ROUND_TRIP) -> tuple[int, str, str]:
    """Convert an image with cv_bridge there and back; return exit code, standard output and error."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return 124, "", f"no answer within {TIMEOUT_S:g} s"
    return done.returncode, done.stdout, done.stderr


def judge_round_trip(code: int, said: str, complained: str) -> Finding:
    """Say what the round trip shows.

    Args:
        code: exit code; negative for a signal.
        said: its JSON line.
        complained: what it wrote to standard error.
    """
    name = "cv_bridge"
    lines = [line.strip() for line in complained.splitlines() if line.strip()]
    last = lines[-1] if lines else f"the process ended with code {code}"
    if code == 0 and said.strip():
        answer = json.loads(said.strip().splitlines()[-1])
        where = f"{answer['file']}, NumPy {answer['numpy']}, beside torch"
        if answer["ok"]:
            return ok(name, f"round trip is exact: {where}")
        return CV_BRIDGE.seen(name, f"the image came back changed: {where}")
    signs = ("compiled using NumPy 1", "numpy.core.multiarray failed", "_ARRAY_API not found", "NumPy 1.x")
    if any(sign in complained for sign in signs):
        return NUMPY_ABI.seen(name, last)
    if code < 0:
        return NUMPY_ABI.seen(name, f"the process was ended by signal {-code} while it used cv_bridge; {last}")
    return CV_BRIDGE.seen(name, last)
