"""The agent's end of links: connections to ports of the sandbox, for the server to have.

A sandbox's network is its own, so only a process inside can connect to what listens there. The connection's
descriptor can leave it. The server asks with a `framing.PORT_REQUEST` and gets one byte: 0 with a descriptor,
which may still be connecting, or an error number.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from pytest_agb.local.framing import PORT_REQUEST

if TYPE_CHECKING:
    from pytest_agb.local.loop import Loop

_LOOPBACK = {4: (socket.AF_INET, "127.0.0.1"), 6: (socket.AF_INET6, "::1")}


class Ports:
    """Answers the server's requests on ``channel``, from the agent's loop."""

    def __init__(self, loop: Loop, channel: socket.socket) -> None:
        self._loop = loop
        self._channel = channel
        channel.set_inheritable(False)
        loop.watch(channel.fileno(), self._on_request)

    def _on_request(self) -> None:
        try:
            request = self._channel.recv(PORT_REQUEST.size, socket.MSG_WAITALL)
            if len(request) == PORT_REQUEST.size:
                self._connect(*PORT_REQUEST.unpack(request))
                return
        except OSError:
            pass  # the server is gone, and so are we in a moment
        self._loop.unwatch(self._channel.fileno())
        self._channel.close()

    def _connect(self, port: int, version: int) -> None:
        family, host = _LOOPBACK[version]
        try:
            connection = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:  # no IPv6 here
            self._channel.sendall(bytes([error.errno or errno.EIO]))
            return
        with connection:
            connection.setblocking(False)  # whoever does not accept must not hold up the session
            number = connection.connect_ex((host, port))
            if number in (0, errno.EINPROGRESS):
                socket.send_fds(self._channel, [b"\0"], [connection.fileno()])
            else:
                self._channel.sendall(bytes([number]))
