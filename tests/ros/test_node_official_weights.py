"""Backend lsm whose official files are missing or wrong: configure fails by name, at once, and the node stays."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

import torch
from full_size_headers import write_header, write_headers
from node_process import NodeProcess
from supervisor import CONFIGURE, Supervisor

from lsm_core.backends.lsm_files import FILES

FAILURE_LIMIT_S = 60.0  # the aim is 2 s, and it takes about 1; the limit leaves room for a loaded machine
FETCH = "lsm weights fetch lsm --accept-licence --to {folder}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("official") / "lsm"


@pytest.fixture(scope="module")
def supervisor(rclpy_session: None) -> Iterator[Supervisor]:
    out = Supervisor()
    yield out
    out.close()


@pytest.fixture(scope="module")
def process(folder: Path, supervisor: Supervisor) -> Iterator[NodeProcess]:
    chosen = ("backend:=lsm", f"weights:={folder}", "device:=cpu", "autostart:=false")
    arguments = [word for parameter in chosen for word in ("-p", parameter)]
    out = NodeProcess(folder.parent / "node.log", "--ros-args", *arguments)
    supervisor.wait_for_node()
    yield out
    out.end()


def nothing(folder: Path) -> None:
    """The folder is not there."""


def one_is_missing(folder: Path) -> None:
    write_headers(folder)
    (folder / FILES["lseg"]).unlink()


def one_does_not_fit(folder: Path) -> None:
    """All files of full size, one tensor of another shape."""
    write_header(folder / FILES["lseg"], "lseg")
    spoiled = {"gaussian_head.gaussian_proj.bias": torch.empty(7)}
    write_header(folder / FILES["lsm"], "lsm", lambda state: state.update(spoiled))


def one_is_cut_off(folder: Path) -> None:
    os.truncate(folder / FILES["dust3r"], 1_000_000)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (nothing, ("{folder} does not exist", FETCH)),
        (one_is_missing, ("{folder} lacks demo_e200.ckpt", FETCH)),
        (one_does_not_fit, ("{folder}/checkpoint-final.pth", "has shape [7], not [120]", "lsm weights verify")),
        (one_is_cut_off, ("{folder}/DUSt3R_ViTLarge_BaseDecoder_512_dpt.pth", "cut off", "lsm weights fetch")),
    ],
)
def test_configure_fails_with_the_path_and_the_command_that_helps(
    process: NodeProcess,
    supervisor: Supervisor,
    folder: Path,
    damage: Callable[[Path], None],
    words: tuple[str, ...],
) -> None:
    damage(folder)
    logged = len(process.text)
    started = time.monotonic()
    assert not supervisor.change(CONFIGURE, 120.0)
    elapsed_s = time.monotonic() - started
    print(f"{damage.__name__}: configure failed after {elapsed_s:.2f} s")
    said = process.text[logged:]
    assert "Cannot configure" in said and all(word.format(folder=folder) in said for word in words), said
    assert elapsed_s < FAILURE_LIMIT_S
    assert supervisor.state() == "unconfigured" and process.alive and "Traceback" not in process.text


def test_without_weights_the_error_names_the_folder_that_is_usual_and_the_command(
    rclpy_session: None, tmp_path: Path
) -> None:
    process = NodeProcess(tmp_path / "node.log", "--ros-args", "-p", "backend:=lsm", "-p", "device:=cpu")
    try:
        process.wait_for("Cannot configure")
        assert FETCH.format(folder="weights/lsm") in process.text and "weights:=weights/lsm" in process.text
    finally:
        process.end()
