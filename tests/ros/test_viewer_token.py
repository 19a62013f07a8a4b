"""Who may see the viewer: this machine without a token, others with one, and no foreign page."""

from __future__ import annotations

import pytest

pytest.importorskip("lsm_perception.viewer", reason="the workspace is not built: ./run setup")

from lsm_perception.viewer.errors import ViewerError
from lsm_perception.viewer.gate import parse_head
from lsm_perception.viewer.token import VARIABLE, Guard, RequestHead, is_local, token_for

TOKEN = "a-long-enough-token"


def head(target: str = "/", **headers: str) -> RequestHead:
    return RequestHead(target, {"host": "localhost:8080"} | headers)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_machine_needs_no_token(host: str) -> None:
    assert is_local(host) and token_for(host, {}) == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "robot.local", ""])
def test_other_hosts_get_a_token_of_their_own_each_time(host: str) -> None:
    first, second = token_for(host, {}), token_for(host, {})
    assert first != second and len(first) >= 24


def test_a_given_token_is_taken_everywhere_and_a_weak_one_nowhere() -> None:
    assert token_for("0.0.0.0", {VARIABLE: TOKEN}) == token_for("127.0.0.1", {VARIABLE: TOKEN}) == TOKEN
    for weak in ("short", "with a space in it", "wíth-änother-letter"):
        with pytest.raises(ViewerError, match=VARIABLE):
            token_for("0.0.0.0", {VARIABLE: weak})


def test_the_address_with_the_token_gives_a_cookie_and_the_cookie_opens() -> None:
    guard = Guard(TOKEN, 8080)
    answer = guard.judge(head(f"/?token={TOKEN}"))
    assert not answer.allowed and answer.set_cookie.startswith(f"lsm_viewer_8080={TOKEN};")
    assert "HttpOnly" in answer.set_cookie and "SameSite" in answer.set_cookie
    assert guard.judge(head(cookie=f"other=1; lsm_viewer_8080={TOKEN}")).allowed


@pytest.mark.parametrize(
    "request_head",
    [
        head(),
        head("/?token="),
        head("/?token=a-long-enough-tokem"),
        head(cookie="lsm_viewer_8080="),
        head(cookie="lsm_viewer_8081=a-long-enough-token"),
        head(cookie='"; broken'),
        head(cookie="lsm_viewer_8080=a-long-enough-token", origin="http://evil.example"),
    ],
)
def test_everything_else_is_refused_with_a_reason(request_head: RequestHead) -> None:
    verdict = Guard(TOKEN, 8080).judge(request_head)
    assert not verdict.allowed and not verdict.set_cookie and verdict.complaint


def test_without_a_token_only_pages_of_this_machine_may_connect() -> None:
    guard = Guard("", 8080)
    assert guard.judge(head()).allowed
    assert guard.judge(head(origin="http://localhost:8080")).allowed
    assert guard.judge(RequestHead("/", {"host": "[::1]:8080"})).allowed
    assert not guard.judge(head(origin="http://evil.example")).allowed  # a page of another site
    assert not guard.judge(RequestHead("/", {"host": "evil.example:8080"})).allowed  # a name made to point here
    assert not guard.judge(RequestHead("/", {})).allowed


@pytest.mark.parametrize(
    "raw",
    [b"\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET / SMTP\r\n\r\n"],
)
def test_what_is_no_request_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):
        parse_head(raw)
