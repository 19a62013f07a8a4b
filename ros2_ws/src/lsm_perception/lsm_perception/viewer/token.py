"""Who may see the viewer: everybody on this machine, and others with a token."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from lsm_perception.viewer.errors import ViewerError

VARIABLE = "LSM_VIEWER_TOKEN"
MIN_LENGTH = 12
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class RequestHead:
    """The first lines of an HTTP request.

    Attributes:
        target: path and query.
        headers: by lower-case name.
    """

    target: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Verdict:
    """What to do with a request.

    Attributes:
        allowed: pass it on.
        set_cookie: it brought the right token in its address: answer with this cookie and send it on without.
        complaint: why it is refused.
    """

    allowed: bool
    set_cookie: str = ""
    complaint: str = ""


def is_local(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def token_for(host: str, environment: Mapping[str, str]) -> str:
    """Return the token that a host needs: none on this machine only, unless the environment names one.

    Raises:
        ViewerError: the one given is too short.
    """
    given = environment.get(VARIABLE, "")
    if given and (len(given) < MIN_LENGTH or not given.isascii() or not given.isprintable() or " " in given):
        raise ViewerError(f"{VARIABLE} must have at least {MIN_LENGTH} plain characters, or be unset.")
    return given or ("" if is_local(host) else secrets.token_urlsafe(24))


class Guard:
    """Decides on requests by token and by where they come from."""

    def __init__(self, token: str, port: int) -> None:
        """Guard one port.

        Args:
            token: that is asked for; "" asks for none, and then only pages of this machine may connect.
            port: on which this is served; cookies of one host are shared by all its ports.
        """
        self._token = token
        self._cookie = f"lsm_viewer_{port}"

    def judge(self, head: RequestHead) -> Verdict:
        """Decide on a request."""
        host = head.headers.get("host", "")
        origin = head.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return Verdict(False, complaint="This page may only be used from its own address.")
        if not self._token:
            # A name that somebody made point here must not open what only this machine may see.
            if urlsplit(f"//{host}").hostname not in LOCAL_NAMES:
                return Verdict(False, complaint="Without a token this is for localhost only.")
            return Verdict(True)
        query = parse_qs(urlsplit(head.target).query)
        if self._is_token(query.get("token", [""])[0]):
            return Verdict(False, set_cookie=f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Lax")
        if self._is_token(self._from_cookie(head.headers.get("cookie", ""))):
            return Verdict(True)
        return Verdict(False, complaint="A token is needed: open the address that the viewer has printed.")

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())

    def _from_cookie(self, text: str) -> str:
        try:
            morsel = SimpleCookie(text).get(self._cookie)
        except CookieError:
            return ""
        return "" if morsel is None else morsel.value
