"""What time it is, who we are and what is on the disk, whatever a test has put in the place of that.

freezegun replaces functions of `time` in the globals of all modules, pyfakefs whole modules there (`os`,
`fcntl`, `io`, `pathlib`); a test may patch `time.sleep`, `os.stat` or `json.loads`. A default argument stays
what it was at import, and so do `System` and `Popen`; with `json`, which only patches replace, ``from json
import loads`` is enough. What a process of the run does while tests run goes by these; what it does before,
and what the keeper does, need not. The wall time needs more: `wall_clock`. Standard library only.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Goes on while a laptop sleeps. macOS has none of the name, and its monotonic clock stands still then.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_seconds(*, _read: Callable[[int], float] = time.clock_gettime, _clock: int = _CLOCK) -> float:
    """Seconds since some moment, the same in all processes of a host: for intervals and deadlines."""
    return _read(_clock)


def awake_seconds(*, _read: Callable[[int], float] = time.clock_gettime) -> float:
    """Seconds since some moment, the same in all processes of a host, those that it slept left out."""
    return _read(time.CLOCK_MONOTONIC)


def boot_id() -> str:
    """Which boot of the host `boot_seconds` counts from; empty where the system does not say."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # of Linux
            return file.read().strip()
    except OSError:
        return ""


def sleep(seconds: float, *, _sleep: Callable[[float], None] = time.sleep) -> None:
    """Sleep for ``seconds``."""
    _sleep(seconds)


def pid(*, _getpid: Callable[[], int] = os.getpid) -> int:
    """The ID of this process."""
    return _getpid()


class System:
    """Functions of `os` and `select`."""

    open = staticmethod(os.open)
    close = staticmethod(os.close)
    read = staticmethod(os.read)
    stat = staticmethod(os.stat)
    fstat = staticmethod(os.fstat)
    unlink = staticmethod(os.unlink)
    select = staticmethod(select.select)


class Popen(subprocess.Popen[bytes]):
    """`subprocess.Popen`, which pytest-subprocess replaces in the globals of all modules too."""


def replaced() -> str:
    """What is replaced that an import of ours would keep for good, and by whom; empty if nothing is."""
    sqlite3 = sys.modules.get("sqlite3")
    if os.open is not System.open:  # a fake file system, or a part of one
        return f"os.open is replaced by {_module(os.open)}"
    if sqlite3 is not None and _module(sqlite3.connect) not in ("sqlite3", "_sqlite3"):
        return f"sqlite3.connect is replaced by {_module(sqlite3.connect)}"
    return ""


def _module(function: object) -> str:
    return str(getattr(function, "__module__", None) or type(function).__module__)


def read_text(path: Path) -> str:
    """The text of a small file; see `read_bytes`."""
    return read_bytes(path).decode()


def read_bytes(path: Path) -> bytes:
    """The content of a small file.

    Raises:
        OSError: it can't be read.
    """
    descriptor = System.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = []
        while piece := System.read(descriptor, 65536):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        System.close(descriptor)


def unlink(path: Path) -> None:
    """Remove a file, if it is there."""
    with suppress(FileNotFoundError):
        System.unlink(path)


def exists(path: str) -> bool:
    """Whether there is something at ``path``, or a link to something."""
    try:
        System.stat(path)
    except OSError:
        return False
    return True
