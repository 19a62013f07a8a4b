"""The prepared folder, once per test process, and a copy of it for each page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ros_domain import DOMAIN

os.environ["ROS_DOMAIN_ID"] = str(DOMAIN)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the documents name."""
    from prepared_folder import prepare

    return prepare(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def page_folder(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the working directory, with a home of its own."""
    from prepared_folder import copy_for_page

    folder = copy_for_page(prepared, tmp_path)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PWD", str(folder))
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return folder


@pytest.fixture(scope="module")
def observer(rclpy_session: None) -> Iterator[Any]:
    """A node of rclpy that looks at the graph and asks."""
    import rclpy

    node = rclpy.create_node("reader_of_the_documents")
    yield node
    node.destroy_node()
