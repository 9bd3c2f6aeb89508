"""The sockets of the loopback Hub: HTTP/1.1 with keep-alive, byte ranges, and faults on the way out."""

from __future__ import annotations

import contextlib
import re
import threading
import time
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from typing import Any, NamedTuple, Protocol

from hub_lineage.testing.answers import Answer, Blob, Origin, Request
from hub_lineage.testing.faults import Fault, Faults

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_BODY_LIMIT = 64_000_000
_LINE_LIMIT = 65_536
_PATIENCE = 5.0  # seconds that closing waits for handlers


class Serving(Protocol):
    """What a connection needs of the Hub behind it."""

    delay: float
    connect_delay: float
    faults: Faults
    crashes: list[str]

    def next_connection(self) -> int:
        """The number of a new connection."""
        ...

    def answer(self, request: Request, fault: Fault | None) -> Answer | None:
        """The answer to a request, None where the connection breaks off instead."""
        ...

    def record(self, request: Request, connection: int, status: int) -> None:
        """Keep a request for assertions."""
        ...


class Server(ThreadingHTTPServer):
    """A threaded server on a free port of the loopback interface that can close its open connections."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, hub: Serving, origin: Origin) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.hub = hub
        self.origin: Origin = origin
        self._open: set[socket] = set()
        self._changed = threading.Condition()

    @property
    def url(self) -> str:
        """The origin's address."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, and remember it."""
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection and forget it."""
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about clients that hang up."""

    def stop(self) -> None:
        """Stop listening, hang up on everyone, and wait until the handlers are gone."""
        self.shutdown()
        with self._changed:
            for connection in self._open:
                _hang_up(connection)
            self._changed.wait_for(lambda: not self._open, timeout=_PATIENCE)
        self.server_close()


class _Head(NamedTuple):
    """Status and headers of an answer, and which bytes of its body are sent."""

    status: int
    headers: dict[str, str]
    start: int
    stop: int


class Connection(BaseHTTPRequestHandler):
    """One connection of a client: requests in, answers out, until either side hangs up."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Let a new connection cost its round trip."""
        super().setup()
        self.number = self.server.hub.next_connection()
        time.sleep(self.server.hub.connect_delay)

    def log_message(self, *_arguments: object) -> None:
        """Print nothing: requests are recorded instead."""

    def do_GET(self) -> None:
        """Serve any method: the routing table tells them apart."""
        body = self._read_body()
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.server.origin, self.command, path, query, headers, body)
        hub = self.server.hub
        time.sleep(hub.delay)
        fault = hub.faults.take(request)
        try:
            answer = hub.answer(request, fault)
        except Exception:  # noqa: BLE001 - whatever went wrong in a handler is kept for the test that caused it
            hub.crashes.append(traceback.format_exc())
            answer = Answer(500, {}, b"Internal error of the loopback Hub")
        head = None if answer is None else _head(answer, self.headers.get("Range"), fault)
        hub.record(request, self.number, 0 if head is None else head.status)
        if answer is None or head is None:
            self._break_off(b"this is no HTTP\r\n\r\n" if fault and fault.kind == "garbage" else b"")
        else:
            self._send(answer.body, head, fault)

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks up
    do_POST = do_GET  # noqa: N815 - likewise
    do_PUT = do_GET  # noqa: N815 - likewise
    do_DELETE = do_GET  # noqa: N815 - likewise

    def _read_body(self) -> bytes:
        """The body, of stated length or in chunks; of one that is too long the beginning, and then the connection ends."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(self._read_chunks())
        return self._read(int(self.headers.get("Content-Length") or 0))

    def _read_chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(_LINE_LIMIT).partition(b";")[0] or b"0", 16):
            yield self._read(size)
            self.rfile.readline(_LINE_LIMIT)
        while self.rfile.readline(_LINE_LIMIT).strip():
            pass  # trailers

    def _read(self, size: int) -> bytes:
        self.close_connection = self.close_connection or size > _BODY_LIMIT
        return self.rfile.read(min(size, _BODY_LIMIT))

    def _break_off(self, last_words: bytes) -> None:
        self.close_connection = True
        self.wfile.write(last_words)

    def _send(self, body: bytes | Blob, head: _Head, fault: Fault | None) -> None:
        self._send_head(head)
        if self.command != "HEAD":
            broken = fault is not None and fault.kind == "truncate"
            self._send_body(body, head.start, head.start + (head.stop - head.start) // 2 if broken else head.stop)
            self.close_connection = self.close_connection or broken

    def _send_head(self, head: _Head) -> None:
        self.send_response(head.status)
        for name, value in head.headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send_body(self, body: bytes | Blob, start: int, stop: int) -> None:
        if stop <= start:
            return
        if isinstance(body, Blob) and body.file is not None:
            with body.file.open("rb") as stream:
                self.connection.sendfile(stream, start, stop - start)
            return
        data = body.data if isinstance(body, Blob) else body
        self.wfile.write(memoryview(data or b"")[start:stop])


def _head(answer: Answer, asked: str | None, fault: Fault | None) -> _Head:
    """What is sent before the body, the fault included."""
    kind = fault.kind if fault else None
    body = answer.body
    size = len(body) if isinstance(body, bytes) else body.size
    status, start, stop = answer.status, 0, size
    told: dict[str, str] = {}
    if isinstance(body, Blob):
        status, start, stop, told = _ranged(None if kind == "whole" else asked, size)
        told["Accept-Ranges"] = "bytes"
    if kind == "lie" and "Content-Range" in told:
        told["Content-Range"] = f"bytes {start + 1}-{stop}/{size}"
    if kind == "flood":
        stop = size
    return _Head(status, {**answer.headers, **told, "Content-Length": str(stop - start)}, start, stop)


def _ranged(header: str | None, size: int) -> tuple[int, int, int, dict[str, str]]:
    """Status, first byte, end and headers of the answer to a Range header; several ranges at once are not honoured."""
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or not (match[1] or match[2]):
        return 200, 0, size, {}
    if match[1]:
        start, stop = int(match[1]), min(int(match[2]) + 1, size) if match[2] else size
    else:
        start, stop = max(0, size - int(match[2])), size
    if start >= stop:
        return 416, 0, 0, {"Content-Range": f"bytes */{size}"}
    return 206, start, stop, {"Content-Range": f"bytes {start}-{stop - 1}/{size}"}


def _hang_up(connection: socket) -> None:
    with contextlib.suppress(OSError):  # the other side was quicker
        connection.shutdown(SHUT_RDWR)
