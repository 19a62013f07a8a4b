"""docs/frames_and_scale.md: every row of its tables happens in the code, and its figures are drawn from it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.frames import frame_names
from lsm_perception.interface_reference.topics import IMAGE, OUTPUTS

from lsm_core.mapping import SampleConfig, ScaleConfig, ScaleEstimate, ScaleEstimator, ScaleSample, ScaleSource
from lsm_core.mapping.scale import AUTO_ORDER, MEDIAN_ERROR, MIN_FITTED, RECENT

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "frames_and_scale.md").read_text(encoding="utf-8")
UNIT = 2.0
Moment = tuple[ScaleEstimate, ScaleEstimate]


def table(head: str) -> list[list[str]]:
    """Return the cells of the table whose head begins like this."""
    lines = PAGE.split(f"\n| {head}")[1].split("\n\n")[0].splitlines()[2:]
    return [line.strip("| ").split(" | ") for line in lines]


def feed(estimator: ScaleEstimator, values: list[float], source: ScaleSource = ScaleSource.ODOMETRY) -> None:
    """Give one sample per pair."""
    for value in values:
        estimator.add_sample(ScaleSample(value, source))
        estimator.end_pair()


def metric(config: ScaleConfig | None = None) -> ScaleEstimator:
    """Return an estimator that is METRIC."""
    estimator = ScaleEstimator(config)
    feed(estimator, [UNIT] * ScaleConfig().min_samples)
    return estimator


def model_claim() -> ScaleEstimator:
    """Return an estimator that has heard the model's own claim only."""
    estimator = ScaleEstimator(ScaleConfig(allow_model=True))
    feed(estimator, [UNIT * 1.1], ScaleSource.MODEL)
    return estimator


def moment(estimator: ScaleEstimator, change: Callable[[ScaleEstimator], object]) -> Moment:
    """Return the estimates before and after a change."""
    before = estimator.estimate
    change(estimator)
    return before, estimator.estimate


def contested() -> ScaleEstimator:
    """Return an estimator that has set aside too many samples that do not agree."""
    estimator = metric()
    feed(estimator, [UNIT * 9, UNIT * 40, UNIT / 30])
    return estimator


def pairs_without_samples(estimator: ScaleEstimator) -> None:
    for _ in range(ScaleConfig().stale_pairs + 1):
        estimator.end_pair()


def scattered(estimator: ScaleEstimator) -> None:
    feed(estimator, [UNIT * factor for factor in (1.9, 0.52, 1.9, 0.52)])


def another_source(estimator: ScaleEstimator) -> None:
    feed(estimator, [UNIT * 1.1] * 3, ScaleSource.DEPTH)


# Of each row of the table of transitions, in its order.
SCENARIOS: list[Callable[[], Moment]] = [
    lambda: moment(ScaleEstimator(), lambda e: feed(e, [UNIT] * ScaleConfig().min_samples)),
    lambda: moment(ScaleEstimator(ScaleConfig(allow_model=True)), lambda e: feed(e, [UNIT], ScaleSource.MODEL)),
    lambda: moment(ScaleEstimator(), lambda e: e.adopt(metric().estimate)),
    lambda: moment(metric(), lambda e: feed(e, [UNIT * 9, UNIT * 40, UNIT / 30])),
    lambda: moment(metric(), scattered),
    lambda: moment(metric(), pairs_without_samples),
    lambda: moment(metric(), another_source),
    lambda: moment(metric(), lambda e: feed(e, [3 * UNIT] * ScaleConfig().jump_samples)),
    lambda: moment(contested(), lambda e: feed(e, [UNIT] * RECENT)),
    lambda: moment(model_claim(), lambda e: feed(e, [UNIT] * 3)),
    lambda: moment(metric(), lambda e: e.on_new_segment()),
    lambda: moment(contested(), lambda e: e.on_new_segment()),
    lambda: moment(ScaleEstimator(), lambda e: e.reset()),
]


@pytest.mark.parametrize("number", range(len(SCENARIOS)))
def test_each_transition_of_the_table_happens(number: int) -> None:
    rows = table("from | to | when")
    assert len(rows) == len(SCENARIOS)
    start, end, _, epoch = rows[number]
    before, after = SCENARIOS[number]()
    assert (before.state.name, after.state.name) == (start, end)
    step = {"1 the first time": 1, "+ 1": 1, "same": 0}[epoch]
    assert after.epoch - before.epoch == step
    if epoch.startswith("1 "):
        assert (before.epoch, after.epoch) == (0, 1)


def test_the_limits_named_are_the_defaults() -> None:
    config, sample = ScaleConfig(), SampleConfig()
    rows = [row[2] for row in table("from | to | when")]
    assert rows[0].startswith(f"{config.min_samples} samples")
    assert f"at most {config.max_spread}, " in rows[0] and rows[0].endswith(f"at most {config.max_error}")
    assert f"more than {100 * (1 - MIN_FITTED):.0f} % of the last {RECENT} samples" in rows[3]
    assert (
        rows[5].startswith(f"{config.stale_pairs} pairs") and f"{config.jump_samples} samples in a row" in rows[7]
    )
    (odometry,) = [row for row in table("source | what you give") if row[0] == "`odometry`"]
    assert f"needs {sample.min_baseline_m} m per step, and {sample.min_m_per_deg} m per degree" in odometry[2]
    assert f"`{MEDIAN_ERROR:.2f} * spread / sqrt(samples)`" in PAGE


def test_sources_are_those_of_the_code_in_the_order_of_auto() -> None:
    rows = [row[0].strip("`") for row in table("source | what you give")]
    assert rows == [source.value for source in (*AUTO_ORDER, ScaleSource.MODEL)]


def test_topics_by_state_are_those_of_the_interface() -> None:
    scaled, silent, same = (set(re.findall(r"`~/([^`]+)`", row[0])) for row in table("topics | UNKNOWN"))
    outputs = {name: entry for name, entry in OUTPUTS.items() if name != "diagnostics"}
    assert silent == {name for name, entry in outputs.items() if entry.metric_only}
    assert same == {name for name, entry in outputs.items() if entry.frames == (IMAGE, IMAGE)}
    assert scaled == set(outputs) - silent - same
    assert all(outputs[name].frames[0].endswith("_unscaled") for name in scaled)


def test_frames_are_those_of_the_code() -> None:
    names = frame_names("", "", "odom")
    rows = [tuple(re.findall("`([^`]+)`", row[0])) for row in table("frame | where it is")]
    trees = (names.unscaled, names.metric)
    assert rows == [tuple(getattr(tree, part) for tree in trees) for part in ("map", "keyframe", "camera")]


def test_the_standard_errors_of_the_example_follow_from_its_figures() -> None:
    for _, _, spread, samples, error in table("stamp, s |"):
        assert 100 * MEDIAN_ERROR * float(spread) / int(samples) ** 0.5 == pytest.approx(
            float(error[:-2]), abs=0.06
        )


def test_the_figures_are_what_the_tool_draws(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(ROOT / "tools" / "draw_frames.py"), str(tmp_path)], check=True)
    for drawn in tmp_path.iterdir():
        committed = ROOT / "docs" / "images" / drawn.name
        assert drawn.read_text() == committed.read_text(), "run: python tools/draw_frames.py docs/images"
        assert f"(images/{drawn.name})" in PAGE
