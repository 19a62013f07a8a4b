"""The viewer as a process: its address, its token, a port in use, and its end."""

from __future__ import annotations

import http.cookiejar
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception.viewer", reason="the workspace is not built: ./run setup")
pytest.importorskip("viser", reason="viser is not installed: pip install -e '.[viewer]'")

from node_process import NodeProcess

pytestmark = pytest.mark.ros


def viewer(folder: Path, *words: str) -> NodeProcess:
    return NodeProcess(folder / "viewer.log", *words, command=[sys.executable, "-m", "lsm_perception.viewer"])


def address(process: NodeProcess) -> str:
    process.wait_for("Open ")
    found = re.search(r"Open (\S+)", process.text)
    assert found
    return found[1]


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=20) as reply:
            assert b"<html" in reply.read().lower()
            return int(reply.status)
    except urllib.error.HTTPError as error:
        assert b"<html" not in error.read().lower()
        return error.code


def test_other_hosts_need_the_token_that_is_printed(tmp_path: Path) -> None:
    process = viewer(tmp_path, "--host", "0.0.0.0", "--port", "0")
    url = address(process).replace("0.0.0.0", "localhost")
    bare, _, token = url.partition("?token=")
    assert len(token) >= 24
    assert status(bare) == status(f"{bare}index.html") == status(f"{bare}?token={token[:-1]}x") == 403
    jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    urllib.request.install_opener(urllib.request.build_opener(jar))
    try:
        assert status(url) == 200 and status(bare) == 200  # the cookie is enough from then on
    finally:
        urllib.request.install_opener(None)  # type: ignore[arg-type]
    assert status(bare) == 403
    process.stop()


def test_this_machine_gets_the_page_and_a_second_viewer_is_told_of_the_port(tmp_path: Path) -> None:
    process = viewer(tmp_path, "--port", "0")
    url = address(process)
    assert "token" not in url and status(url) == 200
    port = url.rstrip("/").rpartition(":")[2]
    with pytest.raises(OSError):  # nobody beyond this machine is listened to
        socket.create_connection((own_address(), int(port)), 2)
    command = [sys.executable, "-m", "lsm_perception.viewer", "--port", port]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1 and "Traceback" not in second.stderr
    assert f"127.0.0.1:{port}" in second.stderr and "in use" in second.stderr
    process.stop()


def own_address() -> str:
    """Return an address of this machine that is not loopback; the test ends where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            pytest.skip("this machine has no address but loopback")
        found = str(probe.getsockname()[0])
    if found.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    return found


@pytest.mark.parametrize("words", [["--port", "99999"], ["--max-points", "0"], ["--nonsense"]])
def test_wrong_usage_is_told(words: list[str]) -> None:
    command = [sys.executable, "-m", "lsm_perception.viewer", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and words[0] in done.stderr
