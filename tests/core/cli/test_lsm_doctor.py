"""`lsm doctor`: findings, fixes, exit code, and a page that lists all of them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from lsm_runner import Lsm

from lsm_core.cli import doctor as module
from lsm_core.doctor import Finding, RosHalf, find_ros_half
from lsm_core.doctor.machine import check_disk
from lsm_core.doctor.ros_half import judge_join, try_to_join

ROOT = Path(__file__).resolve().parents[3]


def test_every_finding_has_a_level_and_problems_have_a_fix(lsm: Lsm) -> None:
    code, text, _ = lsm("doctor", "--part", "machine", "--json")
    findings = json.loads(text)["findings"]
    names = {f["name"] for f in findings}
    assert {"Python", "NumPy", "OpenCV", "PyTorch", "Free disk", "Text encoder", "Weights of lsm-tiny"} <= names
    assert all(f["found"] for f in findings)
    assert all(f["fix"] for f in findings if f["level"] != "ok")
    assert code == int(any(f["level"] == "problem" for f in findings))


def test_weights_that_are_not_there_end_in_exit_code_1(lsm: Lsm, tmp_path: Path) -> None:
    code, text, _ = lsm("doctor", "--part", "machine", "backend:=mast3r", f"weights:={tmp_path / 'none.pth'}")
    assert code == 1
    assert "none.pth" in text and "Fix: lsm weights fetch mast3r" in text
    assert "problem(s): " in text and "Weights of mast3r" in text.splitlines()[-1]


def test_a_word_that_means_nothing_is_answered_with_the_nearest_key(lsm: Lsm) -> None:
    code, _, text = lsm("doctor", "image_topik:=/camera/image_raw")
    assert code == 1 and "Did you mean image_topic:=/camera/image_raw?" in text
    assert lsm("doctor", "/camera/image_raw")[0] == 1


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("image_topic:=/camera image", "no name in ROS"),
        ("odom_topic:=/2d/odom", "no name in ROS"),
        ("namespace:=robot/", "no name in ROS"),
        ("image_transport:=theora", "Choose one of: raw, compressed"),
        ("use_sim_time:=yes", "Choose one of: true, false"),
    ],
)
def test_a_value_that_the_graph_would_refuse_is_refused_at_once(lsm: Lsm, word: str, told: str) -> None:
    code, _, text = lsm("doctor", word)
    assert code == 1 and told in " ".join(text.split())


def test_names_of_ros_are_taken_and_empty_values_stand_for_nothing() -> None:
    given = module.read_settings(["image_topic:=/camera_1/image_raw", "namespace:=robot1", "odom_topic:="])
    assert given.get("image_topic") == "/camera_1/image_raw" and given.get("odom_topic", "odom") == "odom"


def test_a_full_disk_is_a_problem(tmp_path: Path) -> None:
    found = check_disk(tmp_path, 10**8)
    assert found.level == "problem" and found.fix.startswith("Free at least") and str(tmp_path) in found.found
    assert check_disk(tmp_path, 10**11).level == "ok"


def test_without_ros_it_says_how_to_get_it_and_has_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    visible = [p for p in sys.path if not (Path(p) / "rclpy").exists()]
    monkeypatch.setattr(sys, "path", visible)
    monkeypatch.delitem(sys.modules, "rclpy", raising=False)
    half = find_ros_half({})
    (found,) = half.findings(module.read_settings([]), 0.1, print)
    assert (found.code, found.level) == ("ros.absent", "note") and "setup.bash" in found.fix


def test_a_broken_rclpy_is_told_by_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rclpy.py").write_text("raise ImportError('librcl.so: cannot open')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "rclpy", raising=False)
    half = find_ros_half({"ROS_DISTRO": "jazzy", "PYTHONPATH": str(tmp_path)})
    (found,) = half.findings(module.read_settings([]), 0.1, print)
    assert found.code == "ros.broken" and found.found == "jazzy: ImportError: librcl.so: cannot open"


@pytest.mark.parametrize(
    ("body", "wanted", "code", "words"),
    [
        ("import sys; sys.exit('[rcl]: Expected RMW implementation identifier of rmw_x, exiting with 102.')",
         "rmw_x", "dds.no_rmw", "ros-jazzy-rmw-x"),
        ("def init(args):\n    raise SystemExit('\x1b[31mdomainId is high\x1b[m')", "", "dds.refused", "domain"),
        ("def init(args):\n    import os\n    os.abort()", "", "dds.refused", "domain"),
    ],
)  # fmt: skip
def test_a_middleware_that_ends_the_process_does_not_end_the_doctor(
    tmp_path: Path, body: str, wanted: str, code: str, words: str
) -> None:
    (tmp_path / "rclpy.py").write_text(body + "\n", encoding="utf-8")
    variables = {"PYTHONPATH": str(tmp_path), "RMW_IMPLEMENTATION": wanted}
    found = judge_join(*try_to_join(variables), variables)
    assert found is not None and (found.code, found.level) == (code, "problem")
    assert words in found.fix and "\x1b" not in found.found


def test_a_check_that_fails_itself_is_a_finding_and_what_was_found_before_stays() -> None:
    def checks():  # type: ignore[no-untyped-def]
        yield Finding("First", "ok", "fine")
        raise ValueError("surprise\nof two lines")

    first, second = module.guarded(checks)
    assert first.name == "First"
    assert second.code == "doctor.failed" and second.found == "ValueError: surprise of two lines"


def test_the_page_lists_every_finding_with_its_fix() -> None:
    half = find_ros_half()
    if half.module is None:
        half = RosHalf()
    page = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    printed = module.catalogue_text(half)
    missing = [line for line in printed.splitlines() if line and line not in page]
    assert not missing, "write what `lsm doctor --list` prints into docs/doctor.md"
    if half.module is not None:
        listed = set(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", page, re.MULTILINE))
        assert listed == set(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", printed, re.MULTILINE))


def test_every_link_of_the_catalogue_leads_to_a_heading() -> None:
    links = {see for see in re.findall(r"\[more\]\(([^)]+)\)", module.catalogue_text(find_ros_half()))}
    assert links
    for link in links:
        page, _, anchor = link.partition("#")
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}
        assert not anchor or anchor in anchors, link
