"""The prepared folder, once per test process, and a copy of it for each page."""

from __future__ import annotations

from pathlib import Path

import pytest


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
