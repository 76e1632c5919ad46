"""Read what a process writes, without ever waiting for it, and keep a bounded part."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os

#: Bytes of each of stdout and stderr that a call's answer holds.
MAX_BYTES = 10 * 1024 * 1024
_F_SETPIPE_SZ = 1031


class Stream:
    """The reading end of one pipe.

    It is read as long as anybody has the other end, kept or not: a process that writes into a pipe
    that nobody reads blocks, and one that writes into a closed pipe dies.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.descriptor, self.writer = os.pipe()
        os.set_blocking(self.descriptor, False)
        with contextlib.suppress(OSError, AttributeError):
            fcntl.fcntl(self.writer, _F_SETPIPE_SZ, 1 << 18)  # fewer wake-ups; Linux only
        self._max_bytes = max_bytes
        self.start()
        self.ended = False

    def start(self) -> None:
        """Forget what was read so far and keep what comes."""
        self._kept = bytearray()
        self._total = 0
        self._keeping = True
        # Characters may be cut in two by a read.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def close_writer(self) -> None:
        """Close our copy of the writing end, once the process has its own."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def read_available(self, max_bytes: int = 1 << 20) -> None:
        """Read what is there now, up to ``max_bytes`` or so. Sets `ended` at the end of the stream."""
        done = 0
        while done < max_bytes and not self.ended:
            try:
                data = os.read(self.descriptor, 1 << 16)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.ended = True
                return
            done += len(data)
            if self._keeping:
                self._kept += data[: max(0, self._max_bytes - self._total)]
                self._total += len(data)

    def take_chunk(self) -> str:
        """Return what was kept since the last chunk as text, whole characters only."""
        text = self._decoder.decode(bytes(self._kept))
        self._kept.clear()
        return text

    def take(self) -> str:
        """Return what was kept as text, with a last line that says so if something was cut; keep no more."""
        text = self._decoder.decode(bytes(self._kept), final=True)
        if self._total > self._max_bytes:
            text += f"\n[output truncated: {self._max_bytes} of {self._total} bytes are shown]\n"
        self.start()
        self._keeping = False
        return text

    def close(self) -> None:
        """Close both ends."""
        self.close_writer()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
            self.ended = True
