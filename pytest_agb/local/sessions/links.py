"""Links: ports of this machine that lead to ports of a session, for anything that speaks TCP.

The service's links are ``https`` and ``wss`` URLs. Here they are ``http`` and ``ws``, on the loopback: there
is no name for which a certificate could be had.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import select
import socket
from typing import TYPE_CHECKING

from pytest_agb.local.framing import PORT_REQUEST
from pytest_agb.local.sessions.registry import SessionNotFoundError
from pytest_agb.local.sessions.sandbox import SandboxError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_agb.local.sessions.sandbox import Sandbox

logger = logging.getLogger("pytest_agb.local")

#: The ports that the service's links lead to (the SDK's test_agb_get_link.py).
FIRST_PORT, LAST_PORT = 30100, 30199
#: Seconds that a connection inside of a sandbox may take.
_CONNECT_SECONDS = 10.0
_PIECE_BYTES = 1 << 16


class Links:
    """The links of one session. ``on_use`` is called whenever a connection is made through one."""

    def __init__(self, sandbox: Sandbox, on_use: Callable[[], object]) -> None:
        self._sandbox = sandbox
        self._on_use = on_use
        self._listeners: dict[int, asyncio.Server] = {}
        self._channel: socket.socket | None = None
        self._asking = asyncio.Lock()
        self._connections: set[asyncio.Task[None]] = set()

    async def address(self, port: int) -> str:
        """Return ``host:port`` on this machine that leads to ``port`` of the session; the same each time.

        Raises:
            sandbox.SandboxError: the sandbox is gone.
            OSError: this machine has no port to spare.
        """
        async with self._asking:
            if self._channel is None:
                self._channel = await self._sandbox.open_ports()
                self._channel.settimeout(_CONNECT_SECONDS)
            if port not in self._listeners:

                async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                    await self._serve(port, reader, writer)

                self._listeners[port] = await asyncio.start_server(serve, "127.0.0.1", 0)
        host, here = self._listeners[port].sockets[0].getsockname()[:2]
        return f"{host}:{here}"

    async def close(self) -> None:
        """End all links and the connections through them."""
        for listener in self._listeners.values():
            listener.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._channel is not None:
            self._channel.close()

    async def _serve(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            self._on_use()
            async with self._asking:
                connection = await asyncio.to_thread(self._connect, port)
            inner_reader, inner_writer = await asyncio.open_connection(sock=connection)
            with contextlib.closing(inner_writer):
                await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        except (OSError, SandboxError, SessionNotFoundError) as error:
            logger.info("a link to port %d is broken: %s", port, error)
        finally:
            self._connections.discard(task)
            writer.close()

    def _connect(self, port: int) -> socket.socket:
        """Connect to a port of the sandbox, by IPv4 or else IPv6: some servers listen on one only."""
        try:
            return self._connect_by(4, port)
        except ConnectionRefusedError:
            return self._connect_by(6, port)

    def _connect_by(self, version: int, port: int) -> socket.socket:
        assert self._channel is not None
        self._channel.sendall(PORT_REQUEST.pack(port, version))
        answer, descriptors, _, _ = socket.recv_fds(self._channel, 1, 1)
        if not answer:
            raise SandboxError("the sandbox is gone")
        if not descriptors:
            raise OSError(answer[0], os.strerror(answer[0]))
        connection = socket.socket(fileno=descriptors[0])
        try:
            connection.set_inheritable(False)
            if not select.select([], [connection], [], _CONNECT_SECONDS)[1]:
                raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
            if number := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(number, os.strerror(number))
        except BaseException:
            connection.close()
            raise
        return connection


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes until the end of it, and then the end."""
    while piece := await reader.read(_PIECE_BYTES):
        writer.write(piece)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
