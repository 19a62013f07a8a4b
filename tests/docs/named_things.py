"""What commands that are not run name: packages, files of the repository, Docker stages and services, tests."""

from __future__ import annotations

import re
import subprocess
import tomllib
from itertools import pairwise
from pathlib import Path

import yaml
from document_commands import ROOT, Command

OPTIONS_WITH_VALUE = (
    "-c",
    "-r",
    "-f",
    "-t",
    "-v",
    "-k",
    "-m",
    "-n",
    "--python-version",
    "--only-binary",
    "--platform",
)
OUTSIDE = ("ros-jazzy-sros2",)  # tools of a full ROS 2 installation that the project itself does not need
WORKSPACE = ("~/ws", "~/ws/src", "lsm_perception", "/opt/ros/jazzy/setup.bash", "install/setup.bash")


def positionals(words: list[str]) -> list[str]:
    """Return the words that are neither options nor values of options."""
    return [
        word
        for index, word in enumerate(words)
        if not word.startswith("-") and not (index and words[index - 1] in OPTIONS_WITH_VALUE)
    ]


def pip_faults(command: Command) -> list[str]:
    """Return what a `pip install` names that the project does not: extras, packages, files."""
    words = command.words
    if words[1] != "install":
        return [] if words[1] in ("cache", "config", "list", "show") else [words[1]]
    files = [words[i + 1] for i, word in enumerate(words) if word in ("-r", "-c")]
    faults = [file for file in files if not (ROOT / file).is_file()]
    known = project()["optional-dependencies"]
    for word in positionals(words[2:]):
        extras = re.search(r"\[([\w,]+)\]$", word)
        name = re.split(r"[\[=<>~ ]", word)[0]
        if extras:
            faults += [extra for extra in extras.group(1).split(",") if extra not in known]
        if name not in (".", "...", "lsm_core", "build") and not name.startswith("dist/lsm_core"):
            faults += [] if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", requirements()) else [name]
    return faults


def project() -> dict[str, dict[str, list[str]]]:
    """Return the table `project` of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def requirements() -> str:
    """Return the text of everything that names packages for pip."""
    files = [ROOT / "pyproject.toml", *(ROOT / "requirements").glob("*.txt"), *ROOT.glob("constraints*.txt")]
    return "\n".join(path.read_text("utf-8") for path in files)


def apt_faults(command: Command) -> list[str]:
    """Return the Debian packages that no file of the repository but the documents names."""
    names = positionals(command.words[command.words.index("install") + 1 :])
    return [name for name in names if name not in OUTSIDE and not (is_named(name) or is_named(ros_package(name)))]


def ros_package(name: str) -> str:
    """Return the ROS package of a Debian package: ros-jazzy-tf2-ros is tf2_ros."""
    return f">{name.removeprefix('ros-jazzy-').replace('-', '_')}<" if name.startswith("ros-") else name


def is_named(text: str) -> bool:
    """Whether a file of the repository that is no document has a text."""
    found = subprocess.run(
        ["git", "grep", "-qF", "-e", text, "--", ":!*.md", ":!tests"], cwd=ROOT, check=False, timeout=60
    )
    return found.returncode == 0


def docker_faults(command: Command) -> list[str]:
    """Return the files, stages, profiles and variables of a docker command that do not exist."""
    words = command.words
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text("utf-8"))
    profiles = {name for service in compose["services"].values() for name in service.get("profiles", ())}
    stages = re.findall(r"^FROM \S+ AS (\S+)", (ROOT / "docker" / "Dockerfile").read_text("utf-8"), re.M)
    known = {"-f": lambda word: (ROOT / word).is_file(), "--profile": profiles.__contains__}
    known["--target"] = stages.__contains__
    pairs = list(pairwise(words))
    faults = [value for option, value in pairs if option in known and not known[option](value)]
    variables = re.findall(r"(?:^| )([A-Z_]+)=", command.text) if "compose" in words else []
    text = (ROOT / "docker" / "compose.yaml").read_text("utf-8")
    return faults + [name for name in variables if f"${{{name}" not in text]


def pytest_faults(command: Command) -> list[str]:
    """Return files, markers and test names of a pytest command that do not exist."""
    words = command.words[1:]
    files = positionals(words)
    faults = [file for file in files if not (ROOT / file).exists()]
    for option, value in pairwise(words):
        if option == "-m" and not re.search(rf'^  "{value}: ', (ROOT / "pyproject.toml").read_text("utf-8"), re.M):
            faults.append(value)
        if option == "-k" and not any(f"{value}" in (ROOT / file).read_text("utf-8") for file in files):
            faults.append(value)
    return faults


def path_faults(command: Command) -> list[str]:
    """Return the paths of this repository that a command names and that do not exist."""
    words = [word.removesuffix("FILE") for word in positionals(command.words[1:]) if word not in WORKSPACE]
    words += [command.words[0]] if "/" in command.words[0] else []
    named = [word for word in words if re.match(r"(\./run|tools|tests|docs|docker|\.ci|requirements)\b", word)]
    return [word for word in named if not (ROOT / Path(word)).exists()]


def npm_faults(command: Command) -> list[str]:
    """Return the script of `npm run` that no package.json has."""
    words = command.words
    if words[1] != "run":
        return [] if words[1] == "ci" else [words[1]]
    scripts = [path.read_text("utf-8") for path in (ROOT / "tools").glob("*/package.json")]
    return [] if any(f'"{words[2]}":' in text for text in scripts) else [words[2]]


def run_faults(command: Command) -> list[str]:
    """Return the command of ./run that it does not have, and paths that do not exist."""
    words = command.words
    has = re.search(rf"^  {words[1]} ", (ROOT / "run").read_text("utf-8"), re.M) if len(words) > 1 else True
    tests = [
        word for word in words[2:] if word.startswith("tests/") and not (ROOT / word.split("FILE")[0]).exists()
    ]
    return ([] if has else [words[1]]) + tests
