"""Fixtures of the data tests: the furniture packs and an off-screen GL context, each or a skip with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lsm_core.data.catalog import FurnitureEntry, furniture_folder, read_catalog
from lsm_core.data.gl_renderer import Renderer
from lsm_core.errors import DependencyError, DeviceError


@pytest.fixture(scope="session")
def furniture() -> Path:
    """Return the folder of the furniture packs."""
    try:
        return furniture_folder()
    except DependencyError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def catalog(furniture: Path) -> list[FurnitureEntry]:
    """Return the whole catalogue."""
    return read_catalog(furniture)


@pytest.fixture(scope="session")
def renderer() -> Iterator[Renderer]:
    """Return a small off-screen renderer."""
    try:
        made = Renderer(128, 96)
    except (DependencyError, DeviceError) as error:
        pytest.skip(str(error))
    yield made
    made.close()
