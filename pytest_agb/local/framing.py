"""Messages between server, fork server and agent: a length, then JSON.

Each message is four bytes (big-endian length) and that many bytes of JSON: an object. On a channel for ports
(`agent.ports`) the server asks with `PORT_REQUEST` instead.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

_LENGTH = struct.Struct(">I")

#: A port of the sandbox, and the version of IP to connect by: 4 or 6.
PORT_REQUEST = struct.Struct(">HH")

#: Bytes that one message may have. Ten times the bounded output of a call leaves room for JSON's escapes.
MAX_MESSAGE_BYTES = 256 * 1024 * 1024


class ProtocolError(RuntimeError):
    """The other side sent what is no message of ours."""


def encode(message: dict[str, Any]) -> bytes:
    """Turn ``message`` into bytes for the socket."""
    body = json.dumps(message, separators=(",", ":")).encode()
    return _LENGTH.pack(len(body)) + body


class Decoder:
    """Puts the messages together again, whatever pieces they arrive in."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Take ``data`` in and yield every message that is now complete.

        Raises:
            ProtocolError: a length beyond `MAX_MESSAGE_BYTES`, or a body that is no JSON object.
        """
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > MAX_MESSAGE_BYTES:
                raise ProtocolError(f"a message of {length} bytes")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            try:
                message = json.loads(body)
            except ValueError as error:
                raise ProtocolError("a message that is no JSON") from error
            if not isinstance(message, dict):
                raise ProtocolError("a message that is no object")
            yield message


def receive(connection: socket.socket, decoder: Decoder) -> list[dict[str, Any]] | None:
    """Read once from a blocking ``connection``; ``None`` at its end."""
    data = connection.recv(1 << 18)
    return list(decoder.feed(data)) if data else None
