"""Names who keeps tests from the network, where somebody does.

pytest-socket, pytest-recording and many a conftest replace parts of :mod:`socket` by what raises errors of
their own, ``RuntimeError`` or a bare ``Exception``. To our calls that applies as to all others; what they get
is told in a line.
"""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from pytest_agb.client import errors

#: How to let a host through, by the module that keeps it from the test.
_REMEDIES = {
    "pytest_socket": "Let it through by --allow-hosts={host}, or by the mark allow_hosts",
    "pytest_recording": "Let it through by --allowed-hosts={host}, or by the mark block_network",
}


def guard() -> str | None:
    """The module that has put something of its own in the place of a part of `socket`, if one has."""
    connect = getattr(socket.socket, "connect", None)  # a function may be there instead of the class
    for part in (socket.socket, socket.create_connection, socket.getaddrinfo, connect):
        module: str = getattr(part, "__module__", None) or "_socket"  # what is written in C may have none
        if module not in ("socket", "_socket"):
            return module
    return None


def refused(failed: str, address: str, by: str, error: Exception, *, sent: bool) -> errors.AGBError:
    """What to raise instead of the ``error`` of guard ``by``; ``failed`` begins the message.

    Not an `UnavailableError`: no repetition can help.
    """
    remedy = _REMEDIES.get(by.partition(".")[0], "Let {host} through there")
    return errors.AGBError(
        f"{failed}{by} keeps this test from {address}: {str(error) or type(error).__name__}",
        hint=remedy.format(host=urlsplit(address).hostname),
        maybe_executed=sent,
    )


def while_connecting(error: Exception) -> bool:
    """Whether ``error`` came out of httpcore's making a connection: nothing was sent then."""
    frames = error.__traceback__
    while frames is not None:
        if frames.tb_frame.f_code.co_name == "connect_tcp":
            return True
        frames = frames.tb_next
    return False
