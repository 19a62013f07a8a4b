"""Two commands of the documents bring official weights and use them; here from a folder and from a mirror."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from lsm_runner import Lsm

from lsm_core.backends.lsm_files import FILES
from lsm_core.backends.seeded_checkpoints import write_checkpoints

PAGE = Path(__file__).resolve().parents[3] / "docs" / "backends.md"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("published")
    write_checkpoints(path)
    return path


@pytest.fixture(scope="module")
def mirror(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def commands() -> list[list[str]]:
    """Return the words of the two commands in the page, without what stands for images and comments."""
    found = re.findall(
        r"^\./run lsm (weights fetch lsm .*|reconstruct a\.jpg b\.jpg -b lsm .*)$", PAGE.read_text(), re.M
    )
    assert len(found) == 2
    return [line.partition("#")[0].split() for line in found]


@pytest.mark.parametrize("place", ["folder", "mirror"])
def test_the_two_commands_of_the_page_bring_the_weights_and_reconstruct(
    lsm: Lsm,
    pair: tuple[Path, Path],
    folder: Path,
    mirror: str,
    place: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    fetch, reconstruct = commands()
    code, out, err = lsm(*fetch, "--from", folder if place == "folder" else mirror)
    assert code == 0 and "weights:=weights/lsm" in out, err
    assert sorted(p.name for p in (tmp_path / "weights" / "lsm").iterdir() if p.suffix != ".sha256") == sorted(
        FILES.values()
    )
    names = {"a.jpg": str(pair[0]), "b.jpg": str(pair[1])}
    code, _, err = lsm(*(names.get(word, word) for word in reconstruct))
    # Random weights find no pose, which is an error with what is known written; everything before it works.
    assert code == 1 and "No relative pose" in " ".join(err.split())
    record = json.loads((tmp_path / "out" / "pair" / "poses.json").read_text())
    assert record["backend"] == "lsm" and record["points"] > 0
    again, out, _ = lsm(*fetch, "--from", folder)
    assert again == 0 and out.count("(was there)") == len(FILES)


def test_without_the_weights_the_second_command_names_the_first(
    lsm: Lsm, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = lsm("reconstruct", *pair, "-b", "lsm", "--weights", "weights/lsm")
    said = " ".join(err.split())
    assert code == 1 and "lsm weights fetch lsm --accept-licence --to weights/lsm" in said
    assert "weights/lsm does not exist" in said
    code, _, err = lsm("reconstruct", *pair, "-b", "lsm")
    assert code == 1 and "lsm weights fetch lsm --accept-licence" in " ".join(err.split())
