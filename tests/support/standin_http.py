"""The sockets of the stand-in: an HTTP/1.1 server in threads, with connections that are kept alive.

It knows nothing of the AGB API: a function answers each request, and may also say to break the connection.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class HttpRequest:
    """One request as it came in."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes
    #: Counts from 1; requests with the same number shared a connection.
    connection: int


@dataclass(frozen=True)
class HttpReply:
    """One answer as it goes out."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


#: Answers a request; ``None`` breaks the connection.
Answer = Callable[[HttpRequest], "HttpReply | None"]


class HttpServer:
    """Serves ``answer`` on a free port of the loopback interface, from construction to :meth:`close`."""

    def __init__(self, answer: Answer) -> None:
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        #: Connections accepted so far.
        self.connections = 0
        #: What went wrong in a handler; looked at when the server is closed.
        self.failures: list[BaseException] = []
        owner = self

        class Handler(_Handler):
            server_owner = owner
            answer_request = staticmethod(answer)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request: Any, client_address: Any) -> None:
                import sys

                error = sys.exc_info()[1]
                if error is not None and not isinstance(error, OSError):
                    owner.failures.append(error)

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def connected(self, connection: socket.socket) -> int:
        """Note a connection, and give it a number."""
        with self._lock:
            self._sockets.add(connection)
            self.connections += 1
            return self.connections

    def disconnected(self, connection: socket.socket) -> None:
        """Note that a connection has ended."""
        with self._lock:
            self._sockets.discard(connection)

    def break_connections(self) -> None:
        """Break every connection there is, idle ones too."""
        with self._lock:
            for connection in self._sockets:
                _break(connection)

    def close(self) -> None:
        """Break every connection, stop listening, and wait for the threads."""
        self._server.shutdown()
        self.break_connections()
        self._server.server_close()
        self._thread.join()


def _break(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other end may have been first
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # With Nagle's algorithm and an answer in two writes, each call on a kept connection takes 40 ms more.
    disable_nagle_algorithm = True
    server_owner: HttpServer
    answer_request: Answer

    def setup(self) -> None:
        super().setup()
        self.connection_number = self.server_owner.connected(self.connection)

    def finish(self) -> None:
        self.server_owner.disconnected(self.connection)
        super().finish()

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        reply = type(self).answer_request(
            HttpRequest(
                self.command,
                url.path,
                dict(parse_qsl(url.query, keep_blank_values=True)),
                {name.lower(): value for name, value in self.headers.items()},
                body,
                self.connection_number,
            )
        )
        if reply is None:
            self.close_connection = True
            _break(self.connection)
            return
        lines = [f"HTTP/1.1 {reply.status} Whatever"]
        headers = {
            "content-type": "application/json",
            "content-length": str(len(reply.body)),
            **reply.headers,
        }
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode() + reply.body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
