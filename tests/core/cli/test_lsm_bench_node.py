"""`lsm bench node` where ROS is missing."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from lsm_runner import Lsm

from lsm_core.cli import bench_node


@pytest.mark.parametrize("missing", bench_node.NEEDED)
def test_without_ros_one_error_names_what_is_missing_and_the_fix(
    lsm: Lsm, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    def find(name: str, *_: Any) -> Any:
        return None if name == missing else importlib.util.spec_from_loader(name, None)

    monkeypatch.setattr(bench_node.importlib.util, "find_spec", find)
    code, _, text = lsm("bench", "node", "--quick")
    assert code != 0
    assert missing in text and "missing_dependency" in text and "./run lsm bench node" in text
