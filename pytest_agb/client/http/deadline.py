"""One deadline for a whole exchange, from the connecting to the last byte of the answer.

httpx bounds each single read and write, so that an answer which drips may take for ever. Here all that a
thread reads and writes within `within` ends with it.
"""

from __future__ import annotations

import functools
import math
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_agb import real
from pytest_agb.client.http.private_httpx import httpcore

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator

#: A write of this many bytes is one wait for the other side.
_PIECE = 16 * 1024


class _Exchange(threading.local):
    """The exchange of a thread: it makes one at a time, and reads and writes for it itself."""

    end = math.inf


_exchange = _Exchange()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Have what this thread sends and receives end within ``seconds``, in httpx's ``TimeoutException``."""
    _exchange.end = real.boot_seconds() + seconds
    try:
        yield
    finally:
        _exchange.end = math.inf


def _left(timeout: float | None, too_late: type[Exception]) -> float | None:
    """How long the next wait may be."""
    if _exchange.end == math.inf:  # a connection that is closed when nobody asks for anything
        return timeout
    left = _exchange.end - real.boot_seconds()
    if left <= 0:
        raise too_late("the time for all of it is over")
    return left if timeout is None else min(timeout, left)


class _Stream(httpcore.NetworkStream):
    """A connection whose waits end with the exchange."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PIECE):
            self._stream.write(buffer[start : start + _PIECE], _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    """Makes such connections."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        # By itself it would give each address of a name all of the time.
        end = math.inf if timeout is None else real.boot_seconds() + timeout
        failure: Exception | None = None
        for address in _addresses(host, port):
            left = _left(end - real.boot_seconds(), httpcore.ConnectTimeout)
            assert left is not None
            if left <= 0:
                break
            wait = None if left == math.inf else left
            try:
                return _Stream(super().connect_tcp(address, port, wait, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectTimeout("the time for a connection is over")


def _addresses(host: str, port: int) -> Iterable[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    return dict.fromkeys(str(item[4][0]) for item in found)


# The copy is ours alone: the pools that our httpx makes of it have these connections.
for _name in ("ConnectionPool", "HTTPProxy", "SOCKSProxy"):
    _pool = functools.partial(getattr(httpcore, _name), network_backend=_Backend())
    setattr(httpcore, _name, _pool)
