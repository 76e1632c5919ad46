"""The pulse of a background process: it shows that it goes on, and others see when it has stood still.

A process that is stopped (by a signal, a debugger, a frozen cgroup) lives and holds its locks.
The pulse is in a few bytes at the start of a file, which need no new room on a full disk.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from pytest_agb import real

if TYPE_CHECKING:
    from pathlib import Path

_FORMAT = struct.Struct("<dq?")
#: Seconds without a beat after which a process is said to stand still: it beats several times a second.
STILL_SECONDS = 4.0


class Pulse(NamedTuple):
    """What a process has last shown."""

    #: By `real.awake_seconds`: a laptop that slept was not stopped.
    at: float
    pid: int
    #: Whether it goes on without the run's tables, which it can't use.
    from_memory: bool

    @classmethod
    def read(cls, path: Path) -> Pulse | None:
        """The latest; ``None`` where there is none. The process itself would lose its lock by reading it."""
        try:
            content = real.read_bytes(path)
        except OSError:
            return None
        return cls(*_FORMAT.unpack_from(content)) if len(content) >= _FORMAT.size else None

    @classmethod
    def beat(cls, descriptor: int, *, from_memory: bool = False) -> None:
        """Show that this process goes on.

        Raises:
            OSError: that can't be written.
        """
        os.pwrite(descriptor, _FORMAT.pack(real.awake_seconds(), real.pid(), from_memory), 0)

    def still_seconds(self) -> float:
        """For how long it has stood still; 0 while it goes on."""
        seconds = real.awake_seconds() - self.at
        return seconds if seconds >= STILL_SECONDS else 0.0
