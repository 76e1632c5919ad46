"""What time it is and who we are, whatever a test has put in the place of `time`, `os` and their functions.

freezegun replaces functions of `time` in the globals of all modules; a test may patch `time.sleep` or
`os.getpid`. A default argument stays what it was at import. The wall time needs more: `wall_clock`.
Standard library only.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

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
