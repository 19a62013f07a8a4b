"""Fault 12: weights that cannot be used. Configure fails by name; after the repair the same node works."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from node_process import ACTIVE, NodeProcess
from supervisor import ACTIVATE, CLEANUP, CONFIGURE, DEACTIVATE, Supervisor

from lsm_core.backends.tiny_weights import PACKAGED

FAILURE_LIMIT_S = 10.0  # it takes a few milliseconds; the limit leaves room for a loaded machine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module")
def weights(folder: Path) -> Path:
    return folder / "own.safetensors"


@pytest.fixture(scope="module")
def supervisor(rclpy_session: None) -> Iterator[Supervisor]:
    out = Supervisor()
    yield out
    out.close()


@pytest.fixture(scope="module")
def process(folder: Path, weights: Path, supervisor: Supervisor) -> Iterator[NodeProcess]:
    """A node with autostart whose weights are missing: it stays up."""
    out = NodeProcess(folder / "node.log", "--ros-args", "-p", f"weights:={weights}")
    out.wait_for("Cannot configure")
    supervisor.wait_for_node()
    yield out
    out.end()


def repair(weights: Path) -> None:
    for path in (weights, weights.with_suffix(".json")):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    shutil.copy(PACKAGED, weights)
    shutil.copy(PACKAGED.with_suffix(".json"), weights.with_suffix(".json"))


def truncated(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:1_000_000])


def with_another_hash(weights: Path) -> None:
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(bytes(content))


def unreadable(weights: Path) -> None:
    size = weights.stat().st_size
    weights.unlink()
    weights.symlink_to("/proc/self/mem")  # exists and fails on reading, also for root
    card = weights.with_suffix(".json")
    card.write_text(card.read_text().replace(f'"bytes": {size}', '"bytes": 0'))


def a_directory(weights: Path) -> None:
    weights.unlink()
    weights.mkdir()


def without_card(weights: Path) -> None:
    weights.with_suffix(".json").unlink()


def missing(weights: Path) -> None:
    weights.unlink()


def test_an_autostart_that_fails_leaves_a_node_that_can_be_configured_after_the_repair(
    process: NodeProcess, supervisor: Supervisor, weights: Path
) -> None:
    assert supervisor.state() == "unconfigured"
    assert f"There is no weights file {weights}" in process.text and "sha256sum" in process.text
    repair(weights)
    assert supervisor.change(CONFIGURE) and supervisor.change(ACTIVATE)
    process.wait_for(ACTIVE)
    assert not supervisor.change(CONFIGURE)  # active: refused, with a reply
    assert supervisor.state() == "active"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (with_another_hash, "SHA-256"),
        *(
            pytest.param(damage, words, marks=pytest.mark.slow)
            for damage, words in (
                (missing, "There is no weights file"),
                (truncated, "truncated"),
                (unreadable, "cannot be read"),
                (a_directory, "There is no weights file"),
                (without_card, "The card"),
            )
        ),
    ],
)
def test_configure_fails_by_name_and_works_after_the_repair(
    process: NodeProcess,
    supervisor: Supervisor,
    weights: Path,
    damage: Callable[[Path], None],
    words: str,
) -> None:
    bring_to_unconfigured(supervisor)
    repair(weights)
    damage(weights)
    logged = len(process.text)
    started = time.monotonic()
    assert not supervisor.change(CONFIGURE)
    elapsed_s = time.monotonic() - started
    print(f"{damage.__name__}: configure failed after {elapsed_s:.3f} s")
    assert elapsed_s < FAILURE_LIMIT_S
    assert supervisor.state() == "unconfigured"
    said = process.text[logged:]
    assert "Cannot configure" in said and words in said and str(weights) in said and "sha256sum" in said, said
    repair(weights)
    assert supervisor.change(CONFIGURE), process.text[logged:]
    assert process.alive and "Traceback" not in process.text


def bring_to_unconfigured(supervisor: Supervisor) -> None:
    if supervisor.state() == "active":
        assert supervisor.change(DEACTIVATE)
    if supervisor.state() == "inactive":
        assert supervisor.change(CLEANUP)
