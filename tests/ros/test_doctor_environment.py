"""Doctor: what the environment says to ROS, the middleware's ground, and a cv_bridge of another NumPy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.dds_profile import CHOSEN_BY_USER, FILE, VARIABLE, config_file
from lsm_perception.doctor import installation, loopback
from lsm_perception.doctor.environment import ENCLAVE_FILES, environment_findings
from lsm_perception.doctor.middleware import check_buffer, check_profile, check_rmw, check_shared_memory
from lsm_perception.doctor.ros_checks import join

from lsm_core.doctor import read_settings

# Gives back what went in, whatever order of channels is asked for.
FORGETFUL = """
class CvBridge:
    def cv2_to_imgmsg(self, image, encoding):
        return image
    def imgmsg_to_cv2(self, message, desired_encoding):
        return message
"""
GOOD = {"ROS_DISTRO": "jazzy", "ROS_DOMAIN_ID": "7", "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}


def codes(**changes: str) -> dict[str, str]:
    """Return the levels of what is not well in an environment, by code."""
    return {f.code: f.level for f in environment_findings(GOOD | changes) if f.code}


def enclave_at(keystore: Path, name: str, *missing: str) -> Path:
    """Make a keystore with an enclave, less some of its files."""
    folder = keystore / "enclaves" / name
    folder.mkdir(parents=True)
    for file in set(ENCLAVE_FILES) - set(missing):
        (folder / file).touch()
    return keystore


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"ROS_DISTRO": "humble"}, {"ros.distribution": "note"}),
        ({"ROS_DOMAIN_ID": "233"}, {"dds.domain": "problem"}),
        ({"ROS_DOMAIN_ID": "robot"}, {"dds.domain": "problem"}),
        ({"ROS_DOMAIN_ID": "150"}, {"dds.domain": "note"}),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "EVERYWHERE"}, {"dds.range": "problem"}),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}, {"dds.range": "problem"}),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, {"dds.local_only": "note"}),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "", "ROS_LOCALHOST_ONLY": "1"}, {"dds.local_only": "note"}),
        ({"ROS_LOCALHOST_ONLY": "1"}, {"dds.two_ways": "note"}),
    ],
)
def test_variables_that_keep_nodes_apart_are_found(changes: dict[str, str], expected: dict[str, str]) -> None:
    assert codes(**changes) == expected


def test_security_without_a_keystore_is_a_problem_where_it_is_enforced(tmp_path: Path) -> None:
    on = {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_KEYSTORE": str(tmp_path / "none")}
    assert codes(**on, ROS_SECURITY_STRATEGY="Enforce") == {"security.keystore": "problem"}
    assert codes(**on) == {"security.keystore": "note"}


def test_an_enclave_with_missing_files_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    keystore = enclave_at(tmp_path, "robot/doctor", "permissions.p7s")
    variables = GOOD | {
        "ROS_SECURITY_ENABLE": "true",
        "ROS_SECURITY_STRATEGY": "Enforce",
        "ROS_SECURITY_KEYSTORE": str(keystore),
        "ROS_SECURITY_ENCLAVE_OVERRIDE": "/robot/doctor",
    }
    (found,) = [f for f in environment_findings(variables) if f.code]
    assert found.code == "security.enclave" and "lacks permissions.p7s" in found.found
    assert f"create_enclave {keystore} /robot/doctor" in found.fix
    (keystore / "enclaves/robot/doctor/permissions.p7s").touch()
    assert not [f for f in environment_findings(variables) if f.code]
    assert codes(**variables | {"ROS_SECURITY_STRATEGY": ""}) == {"security.permissive": "note"}


def test_settings_of_fast_dds_are_judged_by_what_they_hold(tmp_path: Path) -> None:
    assert check_profile({VARIABLE: str(config_file(FILE))}).level == "ok"
    assert check_profile({}).level == "ok"
    missing = check_profile({VARIABLE: str(tmp_path / "none.xml")})
    assert missing.code == "dds.profile_missing" and f"unset {VARIABLE}" in missing.fix
    small = tmp_path / "small.xml"
    small.write_text("<profiles><segment_size>524288</segment_size></profiles>", encoding="utf-8")
    assert check_profile({VARIABLE: str(small)}).code == "dds.segment"
    small.write_text("<profiles>", encoding="utf-8")
    assert check_profile({VARIABLE: str(small)}).code == "dds.profile_missing"


def test_small_socket_buffers_are_noted_with_the_command(tmp_path: Path) -> None:
    limit = tmp_path / "rmem_max"
    limit.write_text("212992\n", encoding="ascii")
    (found,) = check_buffer(limit)
    assert (
        found.code == "dds.socket_buffer" and found.level == "note" and "sysctl -w net.core.rmem_max" in found.fix
    )
    limit.write_text("16777216\n", encoding="ascii")
    assert [f.level for f in check_buffer(limit)] == ["ok"]
    assert not list(check_buffer(tmp_path / "none"))


def test_left_over_segments_are_noted(tmp_path: Path) -> None:
    assert [f.level for f in check_shared_memory(tmp_path)] == ["ok"]
    for number in range(1001):
        (tmp_path / f"fastrtps_{number}").touch()
    (found,) = check_shared_memory(tmp_path)
    assert found.code == "dds.shm_leftovers" and "1001 files" in found.found


def test_the_middleware_in_use_is_told() -> None:
    assert check_rmw().found.startswith("rmw_")


def test_the_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CHOSEN_BY_USER:
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    with join(read_settings(["namespace:=robot1"])) as probe:
        assert probe.node.get_fully_qualified_name() == "/robot1/lsm_doctor"
    assert dict(os.environ) == before


def test_a_missing_interface_is_named() -> None:
    found = installation.check_interfaces(("std_msgs.msg", "no_such_msgs.msg"))
    assert found.code == "ros.interfaces" and "no_such_msgs.msg" in found.found and "std_msgs" not in found.found
    assert installation.check_interfaces().level == "ok"


def test_library_and_package_must_be_of_one_version() -> None:
    assert installation.check_versions("0.2.0", "0.1.0").code == "ros.versions"
    assert installation.check_versions("0.1.0", "0.1.0").level == "ok"
    assert installation.package_version()


def test_this_cv_bridge_converts_exactly() -> None:
    found = installation.judge_round_trip(*installation.run_round_trip())
    assert found.level == "ok", found


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("raise ImportError('numpy.core.multiarray failed to import')", "cv_bridge.numpy"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "cv_bridge.numpy"),
        ("raise ImportError('libboost_python312.so: cannot open')", "cv_bridge.broken"),
        (FORGETFUL, "cv_bridge.broken"),
    ],
)
def test_a_cv_bridge_that_does_not_fit_is_found_in_whatever_way_it_fails(
    tmp_path: Path, body: str, code: str
) -> None:
    package = tmp_path / "cv_bridge"
    package.mkdir()
    (package / "__init__.py").write_text(body + "\n", encoding="utf-8")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{installation.ROUND_TRIP.replace('torch, ', '')}"
    found = installation.judge_round_trip(*installation.run_round_trip(program))
    assert (found.code, found.level) == (code, "problem"), found


def test_what_arrives_from_another_process_is_judged_by_size() -> None:
    assert loopback.judge(10, 10).level == "ok"
    assert loopback.judge(10, 0).code == "dds.large_lost" and VARIABLE in loopback.judge(10, 0).fix
    assert loopback.judge(0, 0).code == "dds.deaf" and loopback.judge(0, 0).level == "problem"
    assert "no module" in loopback.judge(0, 0, "no module").found
