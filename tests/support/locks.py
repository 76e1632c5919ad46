"""Who holds the lock on a file: told of any process, where /proc hides those that leave no core dumps."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

#: Of `struct flock`: type, whence, start, length, process ID.
_FORMAT = "hhqqi"


def holder(path: Path) -> int | None:
    """The ID of the process that holds the lock on ``path``; ``None`` if nobody does, or there is no file."""
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except FileNotFoundError:
        return None
    try:
        asked = struct.pack(_FORMAT, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(_FORMAT, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    finally:
        os.close(descriptor)
    return None if kind == fcntl.F_UNLCK else pid
