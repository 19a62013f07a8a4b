"""./run says what is wrong with a machine, and what to do, before it has downloaded anything."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of what setup reads, without an environment."""
    target = tmp_path / "clone"
    for name in ("run", "pyproject.toml", "constraints-jazzy.txt"):
        target.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, target / name)
    for name in ("tools", "requirements"):
        shutil.copytree(ROOT / name, target / name)
    for name in ("src", "overlay"):
        package = target / "ros2_ws" / name / "some_package"
        package.mkdir(parents=True)
        (package / "package.xml").write_text("<package/>")
    return target


def _run(clone: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    keep = {key: value for key, value in os.environ.items() if not key.startswith(("ROS_", "AMENT_", "LSM_"))}
    return subprocess.run(
        [str(clone / "run"), *arguments],
        env=keep | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def _fake(folder: Path, name: str, script: str) -> str:
    """Put a program in front of the PATH."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_help_lists_every_command_and_installs_nothing(clone: Path) -> None:
    done = _run(clone, "help")
    assert done.returncode == 0
    for command in ("setup", "demo", "bringup", "replay", "policy", "soak", "lsm", "test", "lint", "docs"):
        assert f"\n  {command} " in done.stdout
    assert not (clone / ".venv").exists()


def test_unknown_command_is_refused_with_the_list(clone: Path) -> None:
    done = _run(clone, "frobnicate")
    assert done.returncode == 1
    assert "unknown command: frobnicate" in done.stderr
    assert "usage: ./run" in done.stderr
    assert not (clone / ".venv").exists()


def test_no_suitable_python(clone: Path) -> None:
    done = _run(clone, "setup", LSM_PYTHON="/no/such/python")
    assert done.returncode == 1
    assert "no usable Python 3.11 or 3.12" in done.stderr
    assert "fix: install it" in done.stderr
    assert not (clone / ".venv").exists()


def test_python_of_another_version_is_not_taken(clone: Path, tmp_path: Path) -> None:
    _fake(tmp_path / "bin", "old", "exit 1")
    done = _run(clone, "setup", LSM_PYTHON=str(tmp_path / "bin" / "old"))
    assert "no usable Python 3.11 or 3.12" in done.stderr


def test_no_compiler(clone: Path) -> None:
    done = _run(clone, "setup", CXX="no-such-compiler")
    assert done.returncode == 1
    assert "no C++ compiler (no-such-compiler is missing)" in done.stderr
    assert "apt install g++ make" in done.stderr
    assert not (clone / ".venv").exists()


def test_no_disk_space(clone: Path, tmp_path: Path) -> None:
    path = _fake(
        tmp_path / "bin", "df", "echo 'Filesystem 1024-blocks Used Available'; echo 'disk 9 9 1048576 99% /'"
    )
    done = _run(clone, "setup", PATH=path)
    assert done.returncode == 1
    assert "setup needs 5 GiB, and only 1024 MiB are free" in done.stderr
    assert not (clone / ".venv").exists()


@pytest.mark.slow
def test_no_network_and_then_again_from_where_it_stopped(clone: Path) -> None:
    """Nothing listens on the address given, so pip fails as it does without a network."""
    offline = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_FIND_LINKS": "",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_RETRIES": "1",
        "PIP_NO_CACHE_DIR": "1",
    }
    first = _run(clone, "setup", **offline)
    assert first.returncode == 1
    assert "the package index cannot be reached" in first.stderr
    assert "[1/6]" in first.stderr
    again = _run(clone, "setup", **offline)
    assert again.returncode == 1
    assert "[1/6]" not in again.stderr
    assert "[2/6]" in again.stderr


def test_after_the_build_the_command_begins_where_the_user_is(clone: Path, tmp_path: Path) -> None:
    """Relative paths on the command line are the user's."""
    script = f"""
        eval "$(sed -n '/^build_workspace()/,/^}}/p' {clone}/run)"
        missing_packages() {{ :; }}
        python() {{ pwd; }}
        WS={clone}/ros2_ws
        build_workspace
        pwd
    """
    done = subprocess.run(["bash", "-euc", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(clone / "ros2_ws"), str(tmp_path)]
