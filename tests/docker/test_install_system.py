"""tools/install_system.sh installs what is missing and nothing else; CI and the images run the same one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Machine:
    """A copy of the script on a machine made of stand-ins: apt-get writes down what it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        (folder / "tools").mkdir()
        shutil.copy(ROOT / "tools" / "install_system.sh", folder / "tools")
        shutil.copytree(ROOT / "requirements", folder / "requirements")
        for name in ("bash", "sed", "grep", "dirname", "cat", "env"):
            found = shutil.which(name)
            assert found is not None
            (self.bin / name).symlink_to(found)
        self.program("dpkg-query", f'grep -qx "$4" "{folder}/installed" 2>/dev/null && echo "install ok installed"')
        self.program("apt-get", f'echo "$@" >> "{folder}/asked"')
        self.program("id", "echo 0")

    def program(self, name: str, script: str) -> None:
        """Put a program on the machine."""
        (self.bin / name).write_text(f"#!/bin/bash\n{script}\n")
        (self.bin / name).chmod(0o755)

    def tools(self) -> None:
        """Let the machine have a compiler, make and a python3 with venv."""
        for name in ("c++", "make", "python3"):
            self.program(name, "exit 0")

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the script with nothing but this machine's programs."""
        script = self.folder / "tools" / "install_system.sh"
        variables = {"PATH": str(self.bin), "HOME": os.environ["HOME"]} | environment
        command = [str(self.bin / "bash"), str(script), *words]
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)

    @property
    def asked(self) -> str:
        """What apt-get was asked to install."""
        file = self.folder / "asked"
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        return " ".join(line for line in lines if line.startswith("install"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_where_all_is_there_nothing_happens(machine: Machine) -> None:
    machine.tools()
    done = machine.run()
    assert (done.returncode, done.stdout, machine.asked) == (0, "", "")


def test_a_bare_machine_gets_a_compiler_and_python(machine: Machine) -> None:
    assert machine.run().returncode == 0
    assert machine.asked.split("recommends ")[1].split() == ["g++", "make", "python3-dev", "python3-venv"]


def test_what_is_installed_is_not_asked_for_again(machine: Machine) -> None:
    (machine.folder / "installed").write_text("make\npython3-dev\n")
    machine.run()
    assert machine.asked.split("recommends ")[1].split() == ["g++", "python3-venv"]


def test_without_root_the_list_is_told(machine: Machine) -> None:
    machine.program("id", "echo 1000")
    done = machine.run()
    assert done.returncode == 1 and "fix: as root: apt-get install g++ make" in done.stderr and not machine.asked


def test_a_sourced_ros_gets_its_packages(machine: Machine) -> None:
    """/opt/ros belongs to the system; the copy of the script looks into the machine's own folder."""
    machine.tools()
    (machine.folder / "opt" / "jazzy").mkdir(parents=True)
    (machine.folder / "opt" / "jazzy" / "setup.bash").touch()
    script = machine.folder / "tools" / "install_system.sh"
    script.write_text(script.read_text(encoding="utf-8").replace("/opt/ros", f"{machine.folder}/opt"))
    machine.run(ROS_DISTRO="jazzy")
    first = machine.asked
    assert "ros-jazzy-cv-bridge" in first and "ros-jazzy-vision-msgs" in first and "rviz" not in first
    machine.run("desktop", ROS_DISTRO="jazzy")
    assert "ros-jazzy-rviz2" in machine.asked and "__DISTRO__" not in machine.asked


def test_desktop_needs_a_ros_of_the_system(machine: Machine) -> None:
    machine.tools()
    done = machine.run("desktop")
    assert done.returncode == 1 and "source /opt/ros/jazzy/setup.bash" in done.stderr


@pytest.mark.parametrize(("word", "by_run"), [("bringup", True), ("lsm", True), ("rviz2", False)])
def test_the_entrypoint_gives_commands_their_environment(tmp_path: Path, word: str, by_run: bool) -> None:
    home = tmp_path / "home"
    (home / "tools").mkdir(parents=True)
    (home / "tools" / "env.sh").write_text("export WORKSPACE=sourced\n")
    (home / "run").write_text('#!/bin/bash\necho "run $* ros=$ROS_SOURCED workspace=$WORKSPACE"\n')
    (home / "run").chmod(0o755)
    (tmp_path / "setup.bash").write_text("export ROS_SOURCED=yes\n")
    (tmp_path / "rviz2").write_text('#!/bin/bash\necho "rviz2 $* ros=$ROS_SOURCED workspace=$WORKSPACE"\n')
    (tmp_path / "rviz2").chmod(0o755)
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LSM_HOME": str(home), "ROS_DISTRO": "jazzy",
                 "ROS_SETUP": str(tmp_path / "setup.bash")}  # fmt: skip
    command = [str(ROOT / "docker" / "entrypoint.sh"), word, "a:=b c"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    expected = f"run {word} a:=b c ros=yes workspace=" if by_run else f"{word} a:=b c ros=yes workspace=sourced"
    assert done.stdout.strip() == expected
