"""Commands of the documents that are not run by the tests, each with its reason; what can be checked of them is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from document_commands import Command


@dataclass(frozen=True)
class NotRun:
    """Commands that no test runs.

    Attributes:
        pattern: regular expression that matches the beginning of `Command.name`.
        reason: why, in words.
    """

    pattern: str
    reason: str


DOWNLOAD = "downloads official weights; tests/core/cli/test_official_weights.py runs it from a folder and a mirror"
DATA_SETS = "measures on a data set that is not in the repository; its test is in tests/core/evaluation"
HOURS = "trains for minutes to hours; tests/core/cli/test_lsm_train.py and --config smoke run the same program"
TIMES = "measures for minutes, and numbers of a busy machine say nothing"
PACKAGES = "installs packages into the system or the environment that runs the tests"
DOCKER = "needs Docker with access to a registry; tests/docker checks the files"
FULL_ROS = "needs a full ROS 2 installation; no package index has it"
RENDERS = "renders for minutes, with furniture packs and OpenGL; tests/core/data/test_sample.py renders a little"
STUDY = "maps a whole recording; tests/ros/test_chain_study.py maps a short one"
PICTURE = "plays the whole sample to make a picture of the documents"
FURNITURE = "needs the furniture packs; tests/core/data/test_attribution.py runs it where they are"
BROWSER = "needs a Chromium; tests run its functions where there is one"
ITSELF = "runs these tests"

NOT_RUN: tuple[NotRun, ...] = (
    NotRun(r"lsm weights fetch ", DOWNLOAD),
    NotRun(r"lsm eval (?!--help)", DATA_SETS),
    NotRun(r"lsm train tiny(-gaussians)?(?! --config smoke) (?!.*--show-config)--", HOURS),
    NotRun(r"lsm train (?!tiny)\w+ (?!.*(--config smoke|--show-config))--", HOURS),
    NotRun(r"torchrun ", "needs several GPUs for hours"),
    NotRun(r"lsm bench \w", TIMES),
    NotRun(r"lsm parity ", "the fixtures are not in the repository; tests/core/parity runs it on its own"),
    NotRun(r"\./run soak", "runs for hours, or reports on that; tests/ros/test_soak.py runs a short one"),
    NotRun(r"python tools/check_pins\.py", "asks the package indexes; tests/security/test_pins.py runs it without"),
    NotRun(r"\./run test|\.ci/run", ITSELF),
    NotRun(r"python -m lsm_core\.data\.(generate|contact_sheet|sample_bag) ", RENDERS),
    NotRun(r"python tools/(tiny_ablation|instance_report)\.py ", DATA_SETS),
    NotRun(r"python -m lsm_perception\.chain_study ", STUDY),
    NotRun(r"python tests/chromium\.py ", BROWSER),
    NotRun(r"python3? -m (build|venv)( |$)", "tests/packaging/test_wheel.py builds and installs the wheel"),
    NotRun(r"pytest ", "part of these tests, with another selection"),
    NotRun(r"(sudo )?apt(-get)? |pip3? |rosdep |(sudo )?tools/install_system\.sh", PACKAGES),
    NotRun(r"git clone|cd |npm |touch \.venv|\. \.venv|source (/opt|install)", "makes or enters another workspace"),
    NotRun(r"docker |xhost ", DOCKER),
    NotRun(r"colcon (build|list)", "tests/packaging/test_colcon.py runs it on a copy of the packages"),
    NotRun(r"ros2 (security|bag) |ros2 run (nav2|tf2|camera_calibration)", FULL_ROS),
    NotRun(r".*(rviz:=true|rviz\.launch\.py)", "needs RViz, which no package index has, and a screen"),
    NotRun(r"\./run docs", "makes site/ in the repository; tests/docs/test_site.py builds the same site elsewhere"),
    NotRun(r"\./run lint", "the linters of the whole project; run beside the tests"),
    NotRun(r"python -m lsm_perception\.examples\.picture ", PICTURE),
    NotRun(r"python -m lsm_core\.data\.attribution", FURNITURE),
    NotRun(r"tools/try_ros2_launch\.sh", "brings the real ros2 launch from GitHub, which tests do not reach"),
    NotRun(r"kill -INT %1|tools/drop_cut_off_packages", "part of a transcript or of ./run"),
)


def why_not_run(command: Command) -> NotRun | None:
    """Return the entry of the table that a command falls under, or None."""
    return next((entry for entry in NOT_RUN if re.match(entry.pattern, command.name)), None)
