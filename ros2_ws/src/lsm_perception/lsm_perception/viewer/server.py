"""The web server: viser behind the gate."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Mapping
from types import TracebackType

import viser

from lsm_perception.symptoms import Symptom, see
from lsm_perception.viewer.gate import Gate, listen
from lsm_perception.viewer.options import LOCAL
from lsm_perception.viewer.token import Guard, is_local, token_for

log = logging.getLogger(__name__)


class PrivateServer(viser.ViserServer):
    """viser without its tunnel to the outside, which any client could ask for."""

    def request_share_url(self, verbose: bool = True) -> str | None:
        """Refuse."""
        log.warning(see("A browser asked to share this view over the internet: refused", Symptom.VIEWER))
        return None


class WebServer:
    """Serves as long as its block lasts."""

    def __init__(self, host: str, port: int, environment: Mapping[str, str]) -> None:
        """Start it.

        Args:
            host, port: address to listen on; port 0 for any free one.
            environment: may hold the token.

        Raises:
            ViewerError: the address cannot be had, or the token is too short.
        """
        token = token_for(host, environment)
        listener = listen(host, port)
        self.port: int = listener.getsockname()[1]
        try:
            # Its banner names the port behind the gate, which is of no use to anybody.
            with contextlib.redirect_stdout(io.StringIO()):
                self.viser = PrivateServer(LOCAL, 0, label="lsm_perception", verbose=False)
        except BaseException:
            listener.close()
            raise
        self._gate = Gate(listener, Guard(token, self.port), self.viser.get_port())
        shown = "localhost" if is_local(host) else host
        shown = f"[{shown}]" if ":" in shown else shown
        self.url = f"http://{shown}:{self.port}/" + (f"?token={token}" if token else "")

    def __enter__(self) -> WebServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gate.close()
        with contextlib.redirect_stdout(io.StringIO()):
            self.viser.stop()
