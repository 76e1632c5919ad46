"""Frames between the agent and an interpreter: a line of name and length, then that many bytes.

Simple on purpose: the drivers in JavaScript, Java and R read and write them too. To the interpreter::

    count       the number of this piece of code
    timeout     milliseconds that it may take, for those that can't be interrupted from outside
    code        the code itself, as UTF-8; the last one

From the interpreter, once: ``ready``. Then for each piece of code::

    text/plain, image/png, ...   the formats of one result, the bytes of an image as they are
    display | main               its end: something shown on the way, or the value of the code
    error-name, error-value      kind and text of an error
    error                        the error as the user is to read it, with traceback
    end                          nothing more will come
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Bytes that one frame may have.
MAX_BYTES = 256 * 1024 * 1024


class FrameError(RuntimeError):
    """The other side sent what is no frame."""


def encode(name: str, data: bytes | str = b"") -> bytes:
    """Return one frame."""
    body = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    return f"{name} {len(body)}\n".encode() + body


class Decoder:
    """Puts the frames together again, whatever pieces they arrive in."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """Take ``data`` in and yield name and bytes of every frame that is now complete.

        Raises:
            FrameError: that is no frame, or one of more than `MAX_BYTES`.
        """
        self._buffer += data
        while (line_end := self._buffer.find(b"\n", 0, 200)) >= 0:
            name, _, length = bytes(self._buffer[:line_end]).partition(b" ")
            if not length.isdigit() or int(length) > MAX_BYTES:
                raise FrameError(f"no frame begins with {bytes(self._buffer[:line_end])!r:.100}")
            end = line_end + 1 + int(length)
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[line_end + 1 : end])
            del self._buffer[:end]
            yield name.decode("ascii", "replace"), body
        if len(self._buffer) >= 200:
            raise FrameError(f"no frame begins with {bytes(self._buffer[:100])!r}")
