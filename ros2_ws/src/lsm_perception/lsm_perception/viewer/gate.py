"""The door to the viewer's web server: a small proxy that lets nobody through whom the guard does not know.

viser listens on a free port of the loopback interface and knows no passwords. What comes to the viewer's own
address is looked at first; only then are bytes handed on, in both directions, until one side ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from http import HTTPStatus

from lsm_perception.viewer.errors import ViewerError
from lsm_perception.viewer.token import Guard, RequestHead

MAX_HEAD = 16_384
HEAD_S = 10.0
LINGER_S = 1.0
CHUNK = 65_536
BACKLOG = 64
MAX_CONNECTIONS = 64

log = logging.getLogger(__name__)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there.

    Raises:
        ViewerError: the port is in use, or the address is not this machine's.
    """
    try:
        kind, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(kind, socket.SOCK_STREAM)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(address)
            found.listen(BACKLOG)
        except OSError:
            found.close()
            raise
    except OSError as error:
        raise ViewerError(
            f"Cannot listen on {host}:{port}: {error.strerror or error}. Another viewer may run; take another port."
        ) from error
    return found


class Gate:
    """Serves a socket in a thread of its own."""

    def __init__(self, listener: socket.socket, guard: Guard, inner_port: int) -> None:
        """Start serving.

        Args:
            listener: as `listen` gives it; closed by `close`.
            guard: decides on each connection by its first request.
            inner_port: of the web server behind, on 127.0.0.1.
        """
        self._listener = listener
        self._guard = guard
        self._inner_port = inner_port
        self._open = 0
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="viewer-gate", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5.0)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._meet, sock=self._listener, limit=MAX_HEAD)
        await self._stop.wait()
        server.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Look at one connection's first request and act on it."""
        self._open += 1
        try:
            # A client that is gone, or speaks no HTTP, is no fault of ours.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                if self._open > MAX_CONNECTIONS:
                    return await refuse(reader, writer, HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections.")
                await self._answer(reader, writer)
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            raw = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_S)
            head = parse_head(raw)
        except TimeoutError:
            return  # in silence: a browser opens connections in advance, and would take a word for a later answer
        except (asyncio.LimitOverrunError, ValueError):
            return await refuse(reader, writer, HTTPStatus.BAD_REQUEST, "This is no request that can be read.")
        verdict = self._guard.judge(head)
        if verdict.set_cookie:
            return await send(writer, HTTPStatus.SEE_OTHER, "", {"Location": "/", "Set-Cookie": verdict.set_cookie})
        if not verdict.allowed:
            return await refuse(reader, writer, HTTPStatus.FORBIDDEN, verdict.complaint)
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._inner_port)
        try:
            inner_writer.write(raw)
            ways = {
                asyncio.ensure_future(copy(reader, inner_writer)),
                asyncio.ensure_future(copy(inner_reader, writer)),
            }
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            inner_writer.close()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand bytes on until there are no more."""
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: HTTPStatus, why: str) -> None:
    """Answer with a status and one line."""
    log.info("refused a connection: %s", why)
    await send(writer, status, why)
    # Closing while something is unread would reset the connection, and the other side might not see the answer.
    writer.write_eof()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(discard(reader), LINGER_S)


async def discard(reader: asyncio.StreamReader) -> None:
    """Read to the end, for nothing."""
    while await reader.read(CHUNK):
        pass


async def send(
    writer: asyncio.StreamWriter, status: HTTPStatus, text: str, headers: dict[str, str] | None = None
) -> None:
    """Answer a request and end the connection."""
    body = text.encode()
    fields = {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "Connection": "close",
    } | (headers or {})
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in fields.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()


def parse_head(raw: bytes) -> RequestHead:
    """Read the first lines of a request.

    Raises:
        ValueError: they are none, or name one of the deciding headers twice.
    """
    first, *lines = raw.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise ValueError("no request line")
    headers: dict[str, str] = {}
    for line in filter(None, lines):
        name, separator, value = line.partition(":")
        name = name.strip().lower()
        if not separator or (name in headers and name in ("host", "origin", "cookie")):
            raise ValueError("bad header")
        headers[name] = value.strip()
    return RequestHead(parts[1], headers)
