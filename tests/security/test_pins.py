"""Pinned versions: all are exact, and the check of them notices what an index may say."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("check_pins", ROOT / "tools" / "check_pins.py")
assert spec is not None and spec.loader is not None
check_pins = importlib.util.module_from_spec(spec)
sys.modules["check_pins"] = check_pins
spec.loader.exec_module(check_pins)
PIN = check_pins.Pin("pypi", "thing", "1.0", "requirements/x.txt")


def index(files: list[dict[str, Any]] | None, release: dict[str, Any] | None) -> Any:
    """An index that knows one project."""
    answers = {
        "https://pypi.org/pypi/thing/json": None if files is None else {"releases": {"1.0": files}},
        "https://pypi.org/pypi/thing/1.0/json": release,
    }
    return answers.__getitem__


# What builds, and is no part of what runs.
BUILD_TOOLS = {"catkin_pkg", "cmake", "colcon-common-extensions", "empy<4", "setuptools<80"}


@pytest.mark.parametrize("file", ["models.txt", "models-train.txt", "ros-jazzy.txt"])
def test_every_requirement_but_build_tools_is_an_exact_pin(file: str) -> None:
    lines = (ROOT / "requirements" / file).read_text(encoding="utf-8").splitlines()
    wanted = {line for line in lines if line.strip() and not line.startswith("#")} - BUILD_TOOLS
    found = {f"{p.name}=={p.version}" for p in check_pins.python_pins() if p.where == f"requirements/{file}"}
    assert found == wanted and len(found) >= 2


def test_every_npm_package_is_locked_with_a_hash() -> None:
    pins = list(check_pins.npm_pins())
    assert {"three", "@sparkjsdev/spark"} <= {pin.name for pin in pins}
    assert all(pin.integrity.startswith("sha512-") for pin in pins)


@pytest.mark.parametrize(
    ("files", "release", "message"),
    [
        (None, None, "not on the index"),
        ([], None, "not on the index"),
        ([{"yanked": True, "yanked_reason": "broken"}], {}, "yanked: broken"),
        (
            [{"yanked": False}],
            {"vulnerabilities": [{"id": "P-1", "fixed_in": ["1.1"]}]},
            "P-1, fixed in 1.1",
        ),
    ],
)
def test_bad_news_is_told(files: Any, release: Any, message: str) -> None:
    (complaint,) = check_pins.judge(PIN, index(files, release)).complaints
    assert re.search(message, complaint)


def test_no_answer_about_vulnerabilities_is_no_good_news() -> None:
    silent = check_pins.judge(PIN, index([{"yanked": False}], None))
    asked = check_pins.judge(PIN, index([{"yanked": False}], {"vulnerabilities": []}))
    assert (silent.complaints, silent.audited) == ((), False)
    assert (asked.complaints, asked.audited) == ((), True)


def test_a_withdrawn_report_is_none() -> None:
    release = {"vulnerabilities": [{"id": "PYSEC-2", "withdrawn": "2024-01-01", "fixed_in": []}]}
    assert check_pins.judge(PIN, index([{"yanked": False}], release)).complaints == ()


def test_npm_hashes_and_deprecations_are_compared() -> None:
    pin = check_pins.Pin("npm", "@a/b", "2.0", "tools/x/package-lock.json", "sha512-locked")
    document = {"versions": {"2.0": {"deprecated": "old", "dist": {"integrity": "sha512-other"}}}}
    complaints = check_pins.judge(pin, {"https://registry.npmjs.org/@a%2Fb": document}.__getitem__).complaints
    assert complaints == ("is deprecated: old", "has another hash than the lock file")


@pytest.mark.slow
def test_every_pinned_version_is_on_the_index_and_not_withdrawn(capsys: pytest.CaptureFixture[str]) -> None:
    code = check_pins.main()
    said = capsys.readouterr()
    if code == 2:
        pytest.skip(said.err.strip())
    assert code == 0, said.out
