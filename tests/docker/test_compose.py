"""The compose files: profiles, and commands whose arguments are those of bring-up and replay."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.bringup import parse_arguments
from lsm_perception.replay_options import parse_arguments as parse_replay

from lsm_core.data.sample import sample_path
from lsm_core.io.bags import open_bag

pytestmark = pytest.mark.ros
FOLDER = Path(__file__).resolve().parents[2] / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


def filled_in(text: str) -> str:
    """Return a text with the defaults of its variables."""
    return VARIABLE.sub(lambda found: found[2], text)


def words_of(service: str) -> list[str]:
    return [filled_in(str(word)) for word in SERVICES[service]["command"]]


def test_the_profiles() -> None:
    profiles = {name: service["profiles"] for name, service in SERVICES.items()}
    assert profiles == {
        "node": ["camera"], "camera": ["camera"], "node-replay": ["replay"], "bag": ["replay"], "rviz": ["rviz"],
    }  # fmt: skip


@pytest.mark.parametrize("service", ["node", "node-replay"])
def test_bringup_takes_what_compose_passes(service: str) -> None:
    command, *words = words_of(service)
    assert command == "bringup" and len(words) >= 4
    _, extra = parse_arguments(words)  # names and choices are checked by it
    assert not extra


def test_replay_takes_what_compose_passes() -> None:
    command, *words = words_of("bag")
    options = parse_replay(words)
    assert command == "replay" and str(options.bag) == "/bag"


def test_the_default_recording_has_the_topic_that_the_node_hears() -> None:
    values, _ = parse_arguments(words_of("node-replay")[1:])
    (source,) = [filled_in(v).split(":")[0] for v in SERVICES["bag"]["volumes"]]
    assert (FOLDER / source).resolve() == sample_path().resolve()
    with open_bag(sample_path()) as bag:
        assert f"{values['image_topic']}/{values['image_transport']}" in bag.topics


def test_every_service_gives_up_its_rights() -> None:
    for name, service in SERVICES.items():
        assert service["cap_drop"] == ["ALL"] and not service.get("privileged"), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "user" not in service, name


def test_targets_are_those_of_the_dockerfile() -> None:
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", text, re.MULTILINE))
    assert {filled_in(service["build"]["target"]) for service in SERVICES.values()} <= stages


def test_the_gpu_file_changes_services_that_exist() -> None:
    added = yaml.safe_load((FOLDER / "compose.cuda.yaml").read_text(encoding="utf-8"))["services"]
    assert set(added) <= set(SERVICES)
    for service in added.values():
        (device,) = service["deploy"]["resources"]["reservations"]["devices"]
        assert device["driver"] == "nvidia"
