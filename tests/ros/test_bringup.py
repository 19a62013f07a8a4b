"""Bring-up without ros2 launch: arguments, parameters and remappings of the node's command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from lsm_perception.bringup import companions, main, node_command, parse_arguments, remappings
from lsm_perception.bringup_arguments import ARGUMENTS, argument_names, camera_info_topic, parameter_text
from lsm_perception.launch_argument import ArgumentError


def command(*words: str) -> list[str]:
    values, extra = parse_arguments(words)
    return node_command(values, extra)


def test_values_become_parameters_of_the_right_type() -> None:
    line = command(
        "image_transport:=compressed",
        "publish_tf:=false",
        "queries:=chair, a red sofa",
        "weights:=/a b/w.safetensors",
    )
    given = [line[i + 1] for i, word in enumerate(line) if word == "-p"]
    assert 'image_transport:="compressed"' in given and "publish_tf:=false" in given
    assert 'queries.texts:=["chair", "a red sofa"]' in given and 'weights:="/a b/w.safetensors"' in given


def test_defaults_leave_the_node_alone() -> None:
    assert "-p" not in command()


def test_image_topic_moves_camera_info_and_the_compressed_topic_along() -> None:
    values, _ = parse_arguments(["image_topic:=/cam/image_raw"])
    assert dict(remappings(values)) == {
        "image": "/cam/image_raw",
        "image/compressed": "/cam/image_raw/compressed",
        "camera_info": "/cam/camera_info",
        "odom": "odom",
        "depth": "depth",
    }
    values, _ = parse_arguments(["image_topic:=/cam/image_raw", "camera_info_topic:=/other"])
    assert dict(remappings(values))["camera_info"] == "/other"


@pytest.mark.parametrize(
    ("image", "info"),
    [("image", "camera_info"), ("/image", "/camera_info"), ("a/b/image", "a/b/camera_info")],
)
def test_camera_info_is_beside_the_image(image: str, info: str) -> None:
    assert camera_info_topic(image) == info


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("colour:=red", "no argument 'colour'"),
        ("autostart=true", "not of the form"),
        ("autostart:=maybe", "not one of"),
    ],
)
def test_bad_arguments_are_named(word: str, complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ArgumentError, match=complaint):
        parse_arguments([word])
    assert main([word]) == 2 and complaint in capsys.readouterr().err


def test_a_missing_parameter_file_is_named() -> None:
    with pytest.raises(ArgumentError, match=r"nowhere\.yaml"):
        command("params_file:=nowhere.yaml")


def test_parameter_file_namespace_and_extra_words_are_handed_on(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("/**:\n  ros__parameters: {}\n", encoding="utf-8")
    line = command(f"params_file:={file}", "namespace:=/robot/", "--ros-args", "-p", "device:=cpu")
    assert line[line.index("--params-file") + 1] == str(file)
    assert "__ns:=/robot" in line and line[-2:] == ["-p", "device:=cpu"] and line.count("--ros-args") == 1


def test_every_argument_sets_a_parameter_that_exists() -> None:
    pytest.importorskip("torch")
    from lsm_perception.parameters import settings

    names = {entry.name for entry in settings()} | {"use_sim_time"}
    assert {a.parameter for a in ARGUMENTS if a.parameter} <= names
    assert len(set(argument_names())) == len(ARGUMENTS)


def test_texts_with_quotes_survive_yaml() -> None:
    import yaml

    argument = next(a for a in ARGUMENTS if a.name == "queries")
    assert yaml.safe_load(parameter_text(argument, 'a "big" box, C:\\x')) == ['a "big" box', "C:\\x"]


def test_arguments_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--show-args"]) == 0
    shown = capsys.readouterr().out
    assert all(f"{argument.name}:=" in shown for argument in ARGUMENTS)


def test_rviz_gets_the_view_of_a_node_in_a_namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "rviz2"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    values, _ = parse_arguments(["rviz:=true", "namespace:=/r1/", "frame_prefix:=r1/", "use_sim_time:=true"])
    (line,) = companions(values)
    assert line[0] == "rviz2" and Path(line[2]).name == "lsm_perception.rviz" and Path(line[2]).is_file()
    assert line[line.index("-f") + 1] == "r1/lsm_map_unscaled"
    assert "/lsm_perception/points:=/r1/lsm_perception/points" in line and "use_sim_time:=true" in line
    plain = companions(parse_arguments(["rviz:=true"])[0])[0]
    assert "-r" not in plain and "-f" not in plain and "use_sim_time:=false" in plain


def test_where_rviz_is_missing_its_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["rviz:=true"]) == 2
    said = capsys.readouterr().err
    assert "apt install ros-jazzy-rviz2" in said and "viewer:=true" in said
