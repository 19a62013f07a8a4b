"""`lsm doctor`: findings, fixes, exit code."""

from __future__ import annotations

import json
from collections import namedtuple

import pytest
from lsm_runner import Lsm

from lsm_core.cli import doctor as module


def test_every_finding_has_a_level_and_problems_have_a_fix(lsm: Lsm) -> None:
    code, text, _ = lsm("doctor", "--json")
    findings = json.loads(text)["findings"]
    names = {f["name"] for f in findings}
    assert {"Python", "NumPy", "OpenCV", "PyTorch", "ROS 2", "Free disk", "Text encoder"} <= names
    assert all(f["found"] for f in findings)
    assert all(f["fix"] for f in findings if f["level"] == "problem")
    assert code == int(any(f["level"] == "problem" for f in findings))


def test_a_full_disk_is_a_problem(lsm: Lsm, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage(10**12, 10**12, 10**8))
    code, text, _ = lsm("doctor", "--json")
    disk = next(f for f in json.loads(text)["findings"] if f["name"] == "Free disk")
    assert code == 1 and disk["level"] == "problem" and "Free at least" in disk["fix"]


def test_a_missing_package_is_named_with_its_install_command() -> None:
    finding = module.check_package("no_such_module_here", "no-such-package", "Thing")
    assert finding.level == "problem" and finding.fix == "pip install no-such-package"
    assert module.check_package("no_such_module_here", "x", "Thing", needed=False).level == "note"
