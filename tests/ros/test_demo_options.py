"""The demo's command line and what it makes of a recording; no ROS graph needed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("lsm_perception.demo.options", reason="the workspace is not built: ./run setup")

from lsm_perception.demo.options import parse_arguments
from lsm_perception.demo.processes import Child
from lsm_perception.demo.source import read_source

from lsm_core.data import sample_path
from lsm_core.errors import FileFormatError


def test_defaults_play_the_sample_and_ask_for_common_things() -> None:
    options = parse_arguments([])
    assert options.bag is None and "chair" in options.queries and options.odometry
    assert options.output.parts[0] == "out"


def test_queries_are_collected_once_each() -> None:
    assert parse_arguments(["-q", "sofa", "--query", "red cup", "-q", "sofa"]).queries == ("sofa", "red cup")


def test_a_list_is_split_and_what_has_a_comma_stays_whole_for_the_node() -> None:
    options = parse_arguments(["-q", 'sofa, lamp; "a red, round table"', "-q", "lamp"])
    assert options.queries == ("sofa", "lamp", '"a red, round table"')


@pytest.mark.parametrize(
    "words", [["--max-seconds", "-1"], ["--rate", "0"], ["-q", " "], ["--what"], ["--rate", "x"]]
)
def test_wrong_usage_exits_with_two(words: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse_arguments(words)
    assert end.value.code == 2


def test_the_sample_is_described_with_its_true_path() -> None:
    source = read_source(sample_path(), None, max_seconds=4.0)
    assert source.topics.compressed and source.truth is not None
    assert source.seconds == pytest.approx(4.0) and 20 < source.images < 60
    words = dict(word.split(":=") for word in source.topics.bringup_words())
    assert words["image_transport"] == "compressed"
    assert f"{words['image_topic']}/compressed" == source.topics.image_topic
    assert words["odom_frame"] == "odom"
    frames = source.frames_at({source.start_ns})
    assert list(frames) == [source.start_ns]
    assert np.linalg.norm(source.truth.poses[-1][:3, 3] - source.truth.poses[0][:3, 3]) > 0.5


def test_odometry_is_not_among_the_topics_when_it_is_held_back() -> None:
    topics = read_source(sample_path(), None, 0.0).topics_without_odometry()
    assert "/odom" not in topics and "/tf" not in topics and "/tf_static" in topics


def test_a_missing_bag_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no bag"):
        read_source(tmp_path / "none", None, 0.0)


def test_a_child_is_stopped_by_an_interrupt_and_its_output_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sleeper.py").write_text(
        "import time\nprint('started', flush=True)\n"
        "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('bye', flush=True)\n"
    )
    environment = {"PYTHONPATH": str(tmp_path), "PATH": str(Path(sys.executable).parent)}
    child = Child("sleeper", [], tmp_path / "log.txt", environment)
    deadline = time.monotonic() + 20
    while "started" not in child.tail() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert child.exit_code is None
    assert child.stop() == 0 and child.tail().splitlines() == ["started", "bye"]
