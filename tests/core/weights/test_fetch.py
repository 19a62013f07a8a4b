"""Fetching: from a server that breaks off, a mirror, a folder; hashes, pages in place of files."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lsm_core.cli.main import main
from lsm_core.errors import WeightsError
from lsm_core.weights.fetch import HASH, PARTIAL, fetch
from lsm_core.weights.table import Checkpoint

CONTENT = bytes(range(256)) * 12_000  # 3 MB: several blocks


class Server:
    """A file server that can be told to misbehave."""

    def __init__(self) -> None:
        self.ranges: list[str | None] = []
        self.break_after: int | None = None
        self.ignores_ranges = False
        self.page = False
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range")
        self.ranges.append(asked)
        if not request.path.endswith("/x.pth"):
            request.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and not self.ignores_ranges else 0
        if start >= len(CONTENT):
            request.send_error(416)
            return
        request.send_response(206 if start else 200)
        request.send_header("Content-Type", "text/html; charset=utf-8" if self.page else "application/octet-stream")
        request.send_header("Content-Length", str(len(CONTENT) - start))
        request.end_headers()
        end = len(CONTENT) if self.break_after is None else start + self.break_after
        request.wfile.write(CONTENT[start:end])


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.http.shutdown()


def checkpoint(url: str, sha256: str | None = None) -> Checkpoint:
    return Checkpoint("x.pth", "lsm", url, "page", "licence", sha256)


def test_a_file_arrives_whole_with_its_hash_beside_it(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    found = fetch(checkpoint(server.url + "/x.pth"), tmp_path / "new", progress=lambda *p: seen.append(p))
    assert found.path.read_bytes() == CONTENT and not found.was_there
    assert found.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert (tmp_path / "new" / f"x.pth{HASH}").read_text().strip() == found.sha256
    assert seen[0] == (0, len(CONTENT)) and seen[-1] == (len(CONTENT), len(CONTENT))
    assert not list((tmp_path / "new").glob(f"*{PARTIAL}"))


def test_an_interrupted_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.break_after = 1_500_000
    with pytest.raises(WeightsError, match="go on"):
        fetch(checkpoint(server.url + "/x.pth"), tmp_path)
    assert not (tmp_path / "x.pth").exists() and (tmp_path / f"x.pth{PARTIAL}").stat().st_size == 1_500_000
    server.break_after = None
    assert fetch(checkpoint(server.url + "/x.pth"), tmp_path).path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1500000-"]


def test_a_server_that_cannot_resume_starts_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"x.pth{PARTIAL}").write_bytes(b"old bytes of another file")
    server.ignores_ranges = True
    assert fetch(checkpoint(server.url + "/x.pth"), tmp_path).path.read_bytes() == CONTENT


def test_a_partial_file_that_is_whole_is_taken(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"x.pth{PARTIAL}").write_bytes(CONTENT)
    assert fetch(checkpoint(server.url + "/x.pth"), tmp_path).path.read_bytes() == CONTENT


def test_a_file_that_is_there_is_checked_and_not_fetched_again(server: Server, tmp_path: Path) -> None:
    fetch(checkpoint(server.url + "/x.pth"), tmp_path)
    assert fetch(checkpoint(server.url + "/x.pth"), tmp_path).was_there
    assert len(server.ranges) == 1
    (tmp_path / "x.pth").write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(WeightsError, match="sha256"):
        fetch(checkpoint(server.url + "/x.pth"), tmp_path)


def test_another_hash_than_the_known_one_is_refused_and_nothing_takes_the_name(
    server: Server, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match="not 0000"):
        fetch(checkpoint(server.url + "/x.pth", "0000"), tmp_path)
    assert not (tmp_path / "x.pth").exists()


def test_a_web_page_is_not_taken_for_the_file(server: Server, tmp_path: Path) -> None:
    server.page = True
    with pytest.raises(WeightsError, match="web page"):
        fetch(checkpoint(server.url + "/x.pth"), tmp_path)
    assert not (tmp_path / "x.pth").exists()


def test_a_mirror_and_a_folder_serve_by_name(server: Server, tmp_path: Path) -> None:
    elsewhere = checkpoint("http://127.0.0.1:9/never")
    first = fetch(elsewhere, tmp_path / "a", source=server.url + "/")
    assert fetch(elsewhere, tmp_path / "b", source=str(tmp_path / "a")).sha256 == first.sha256


@pytest.mark.parametrize("where", ["refused", "absent", "folder"])
def test_what_cannot_be_reached_is_named(server: Server, tmp_path: Path, where: str) -> None:
    url = {"refused": "http://127.0.0.1:9/x.pth", "absent": server.url + "/y", "folder": server.url}[where]
    source = str(tmp_path) if where == "folder" else None
    with pytest.raises(WeightsError, match=r"127\.0\.0\.1|x\.pth"):
        fetch(checkpoint(url), tmp_path / "to", source=source)


def test_of_variants_of_one_model_the_first_is_brought_unless_others_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "there"
    source.mkdir()
    for name in ("re10k.ckpt", "acid.ckpt"):
        (source / name).write_bytes(name.encode())
    command = ["weights", "fetch", "noposplat", "--accept-licence", "--from", str(source)]
    assert main([*command, "--to", str(tmp_path / "one")]) == 0
    assert "mixRe10kDl3dv_512x512.ckpt" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "one").glob("*.ckpt")] == ["re10k.ckpt"]
    assert main([*command, "--to", str(tmp_path / "other"), "--file", "acid.ckpt"]) == 0
    assert [p.name for p in (tmp_path / "other").glob("*.ckpt")] == ["acid.ckpt"]
    assert main([*command, "--to", str(tmp_path / "none"), "--file", "office.ckpt"]) == 1
    assert "acid.ckpt" in capsys.readouterr().err and not (tmp_path / "none").exists()
